use std::net::{IpAddr, SocketAddr};

use http::{HeaderValue, Request};
use proptest::prelude::*;
use tower_rampart::RequestView;
use tower_rampart::key::{Cidr, ClientIp, ForwardedHeader, MAX_HOPS, PeerAddr, TrustedProxies};

fn resolver(header: ForwardedHeader) -> ClientIp {
    let proxies = TrustedProxies::parse(["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"]).unwrap();
    ClientIp::new().trusted_proxies(proxies).header(header)
}

fn request(peer: &str, lines: &[(&str, &[u8])]) -> Request<()> {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::get("/").extension(PeerAddr::new(peer)).body(()).unwrap();
    for (name, value) in lines {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, HeaderValue::from_bytes(value).unwrap());
    }
    request
}

fn client(header: ForwardedHeader, peer: &str, lines: &[(&str, &[u8])]) -> String {
    resolver(header).resolve(RequestView::of(&request(peer, lines))).unwrap().to_string()
}

fn xff(peer: &str, value: &str) -> String {
    client(ForwardedHeader::XForwardedFor, peer, &[("x-forwarded-for", value.as_bytes())])
}

fn forwarded(value: &str) -> String {
    client(ForwardedHeader::Forwarded, "10.0.0.1:1", &[("forwarded", value.as_bytes())])
}

#[test]
fn a_stranger_is_itself_whatever_it_claims() {
    assert_eq!(xff("203.0.113.7:1", "1.2.3.4"), "203.0.113.7");
    assert_eq!(xff("[::ffff:203.0.113.7]:1", "1.2.3.4"), "203.0.113.7");
    assert_eq!(xff("[2001:db8::1]:1", "1.2.3.4"), "2001:db8::1");
}

#[test]
fn the_first_untrusted_from_the_right_is_the_client() {
    assert_eq!(xff("10.0.0.1:1", "1.2.3.4"), "1.2.3.4");
    assert_eq!(xff("10.0.0.1:1", "6.6.6.6, 1.2.3.4, 10.0.0.2,10.0.0.3"), "1.2.3.4");
    assert_eq!(xff("[::ffff:10.0.0.1]:1", "6.6.6.6, ::ffff:1.2.3.4, ::ffff:10.0.0.2"), "1.2.3.4");
    assert_eq!(xff("10.0.0.1:1", "10.0.0.9, 10.0.0.2"), "10.0.0.9", "trusted ones alone");
    assert_eq!(client(ForwardedHeader::XForwardedFor, "10.0.0.1:1", &[]), "10.0.0.1", "no header");
}

#[test]
fn all_lines_count_in_order() {
    let lines: &[(&str, &[u8])] = &[("x-forwarded-for", b"6.6.6.6, 1.2.3.4"), ("x-forwarded-for", b"10.0.0.2")];
    assert_eq!(client(ForwardedHeader::XForwardedFor, "10.0.0.1:1", lines), "1.2.3.4");
}

#[test]
fn one_family_counts() {
    let both: &[(&str, &[u8])] =
        &[("x-forwarded-for", b"6.6.6.6"), ("forwarded", b"for=1.2.3.4"), ("x-real-ip", b"7.7.7.7")];
    assert_eq!(client(ForwardedHeader::Forwarded, "10.0.0.1:1", both), "1.2.3.4");
    assert_eq!(client(ForwardedHeader::XForwardedFor, "10.0.0.1:1", both), "6.6.6.6");
    assert_eq!(client(ForwardedHeader::XRealIp, "10.0.0.1:1", both), "7.7.7.7");
    assert_eq!(client(ForwardedHeader::CfConnectingIp, "10.0.0.1:1", both), "10.0.0.1");
}

#[test]
fn addresses_with_ports_and_brackets() {
    for (entry, expected) in [
        ("1.2.3.4:8080", "1.2.3.4"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("2001:db8::7", "2001:db8::7"),
        ("[::ffff:1.2.3.4]:80", "1.2.3.4"),
    ] {
        assert_eq!(xff("10.0.0.1:1", entry), expected, "{entry}");
    }
}

#[test]
fn a_malformed_entry_stops_at_the_last_trusted_hop() {
    for bad in [
        "",
        "unknown",
        "_hidden",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.4:",
        "1.2.3.4:x",
        "1.2.3.4:123456",
        "[::1",
        "::1]",
        "[1.2.3.4]",
        "localhost",
        "1.2.3.4 5.6.7.8",
        "01.2.3.4",
        "0x7f.1",
        "\"1.2.3.4\"",
        "fe80::1%eth0",
        "1.2.3.4;",
    ] {
        assert_eq!(xff("10.0.0.1:1", &format!("1.1.1.1, {bad}")), "10.0.0.1", "{bad}");
        assert_eq!(xff("10.0.0.1:1", &format!("1.1.1.1, {bad}, 10.0.0.2")), "10.0.0.2", "{bad}");
    }
}

/// RFC 7239 sections 4 to 6.
#[test]
fn forwarded_elements() {
    for (value, expected) in [
        ("for=1.2.3.4", "1.2.3.4"),
        ("For=1.2.3.4;Proto=https;By=10.0.0.1", "1.2.3.4"),
        ("proto=http; for=\"1.2.3.4:80\"", "1.2.3.4"),
        ("for=\"[2001:db8::7]:4711\"", "2001:db8::7"),
        ("for=\"[2001:db8::7]\"", "2001:db8::7"),
        ("for=\"[2001:db8::7]:_port\"", "2001:db8::7"),
        ("for=\"1.2.3\\.4\"", "1.2.3.4"),
        ("for=6.6.6.6, for=1.2.3.4, for=10.0.0.2", "1.2.3.4"),
        ("for=6.6.6.6;by=\"a,b;c\", for=1.2.3.4;host=\"x\\\",y\", for=10.0.0.2", "1.2.3.4"),
        // Quotes that a client opened far to the left swallow nothing that the proxies wrote.
        ("for=\"6.6.6.6, for=1.2.3.4", "1.2.3.4"),
        ("for=\"\\\", for=1.2.3.4, for=10.0.0.2", "1.2.3.4"),
    ] {
        assert_eq!(forwarded(value), expected, "{value}");
    }
    for opaque in [
        "for=unknown",
        "for=_SEVKISEK",
        "for=",
        "for=2001:db8::7x",
        "proto=https",
        "for=1.2.3.4;for=5.6.7.8",
        "for=\"1.2.3.4",
        "1.2.3.4",
        "for=1\"2.3.4",
        ";;",
        "for=\"1.2.3.4\"x",
    ] {
        assert_eq!(forwarded(&format!("for=6.6.6.6, {opaque}")), "10.0.0.1", "{opaque}");
    }
}

#[test]
fn a_single_valued_header_that_comes_twice_counts_for_nothing() {
    let twice: &[(&str, &[u8])] = &[("x-real-ip", b"6.6.6.6"), ("x-real-ip", b"1.2.3.4")];
    assert_eq!(client(ForwardedHeader::XRealIp, "10.0.0.1:1", twice), "10.0.0.1");
    let list: &[(&str, &[u8])] = &[("cf-connecting-ip", b"6.6.6.6, 1.2.3.4")];
    assert_eq!(client(ForwardedHeader::CfConnectingIp, "10.0.0.1:1", list), "10.0.0.1");
}

#[test]
fn a_long_list_is_walked_sixteen_hops_and_no_further() {
    let trusted = |count: usize| (0..count).map(|n| format!("10.1.{}.{}", n / 256, n % 256)).collect::<Vec<_>>();
    let long = format!("1.2.3.4, {}", trusted(10_000).join(", "));
    let sixteenth_from_the_right = trusted(10_000)[10_000 - MAX_HOPS].clone();
    assert_eq!(xff("10.0.0.1:1", &long), sixteenth_from_the_right);
    let just = format!("1.2.3.4, {}", trusted(MAX_HOPS - 1).join(", "));
    assert_eq!(xff("10.0.0.1:1", &just), "1.2.3.4");
}

#[test]
fn bytes_that_are_no_text_are_no_address() {
    let lines: &[(&str, &[u8])] = &[("x-forwarded-for", b"1.1.1.1, \xff\xfe"), ("x-forwarded-for", b"10.0.0.2")];
    assert_eq!(client(ForwardedHeader::XForwardedFor, "10.0.0.1:1", lines), "10.0.0.2");
}

#[test]
fn no_peer_says_which_line_to_add() {
    let request = Request::get("/").header("x-forwarded-for", "1.2.3.4").body(()).unwrap();
    let error = resolver(ForwardedHeader::XForwardedFor).resolve(RequestView::of(&request)).unwrap_err();
    for hint in ["into_make_service_with_connect_info", "PeerAddrLayer", "feature `tonic`"] {
        assert!(error.to_string().contains(hint), "{error}");
    }
}

#[test]
fn address_blocks_are_checked() {
    for bad in
        ["10.0.0.0/33", "10.0.0.1/8", "::ffff:10.0.0.0/104", "10.0.0", "", "a/b", "2001:db8::/129", "10.0.0.0/-1"]
    {
        let error = bad.parse::<Cidr>().unwrap_err();
        assert_eq!(error.value(), bad);
    }
    let everything: Cidr = "0.0.0.0/0".parse().unwrap();
    assert!(everything.is_everything());
    assert!("::ffff:10.0.0.1".parse::<Cidr>().unwrap().contains("10.0.0.1".parse().unwrap()));
}

/// The rule, written the slow way: all entries at once, from the left.
fn model(peer: IpAddr, entries: &[Option<IpAddr>], trusted: &TrustedProxies) -> IpAddr {
    let mut chain: Vec<Option<IpAddr>> = entries.to_vec();
    chain.push(Some(peer));
    let start = chain.len().saturating_sub(MAX_HOPS + 1);
    let mut client = peer;
    for entry in chain[start..].iter().rev() {
        match entry {
            None => return client,
            Some(addr) => client = *addr,
        }
        if !trusted.contains(client) {
            return client;
        }
    }
    client
}

fn any_addr() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        3 => (0..6u8).prop_map(|n| IpAddr::from([10, 0, 0, n])),
        2 => (0..6u8).prop_map(|n| IpAddr::from([203, 0, 113, n])),
        1 => (0..4u16).prop_map(|n| IpAddr::from([0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, n])),
    ]
}

proptest! {
    #[test]
    fn the_walk_agrees_with_the_model(
        peer in any_addr(),
        entries in prop::collection::vec(prop_oneof![9 => any_addr().prop_map(Some), 1 => Just(None)], 0..24),
        breaks in prop::collection::vec(any::<bool>(), 24),
        in_forwarded in any::<bool>(),
    ) {
        let header = if in_forwarded { ForwardedHeader::Forwarded } else { ForwardedHeader::XForwardedFor };
        let write = |addr: &Option<IpAddr>| match (addr, in_forwarded) {
            (None, _) => "unknown".to_owned(),
            (Some(addr), false) => addr.to_string(),
            (Some(IpAddr::V4(v4)), true) => format!("by=\"x,y\";for={v4}"),
            (Some(IpAddr::V6(v6)), true) => format!("for=\"[{v6}]:80\";proto=https"),
        };
        // The entries are spread over lines at random.
        let mut lines: Vec<String> = Vec::new();
        for (entry, breaks) in entries.iter().zip(&breaks) {
            match lines.last_mut() {
                Some(line) if !breaks => *line = format!("{line} , {}", write(entry)),
                _ => lines.push(write(entry)),
            }
        }
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|line| (header.name(), line.as_bytes())).collect();
        let peer_socket = SocketAddr::new(peer, 1).to_string();
        let trusted = TrustedProxies::parse(["10.0.0.0/8", "2001:db8:ffff::/48", "192.0.2.1"]).unwrap();
        prop_assert_eq!(client(header, &peer_socket, &lines), model(peer, &entries, &trusted).to_string());
    }

    #[test]
    fn no_bytes_panic(lines in prop::collection::vec("[ -~\t]{0,60}", 0..6), header in 0..4usize) {
        let header = [
            ForwardedHeader::XForwardedFor, ForwardedHeader::Forwarded, ForwardedHeader::XRealIp, ForwardedHeader::CfConnectingIp,
        ][header];
        let lines: Vec<(&str, &[u8])> = lines.iter().map(|line| (header.name(), line.as_bytes())).collect();
        let view = request("10.0.0.1:1", &lines);
        let _ = resolver(header).resolve(RequestView::of(&view));
        let _ = resolver(header).is_secure(RequestView::of(&view));
    }
}
