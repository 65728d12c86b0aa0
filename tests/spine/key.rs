use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::net::SocketAddr;

use http::{HeaderName, Request};
use tower_rampart::key::{
    ClientIp, HeaderKey, IdentityKey, Ipv6Prefix, KeyExtractor, KeyWriter, MissingKey, PeerAddr, from_fn,
};
use tower_rampart::{Identity, RequestView};

fn key(extractor: &impl KeyExtractor, request: &Request<()>) -> Result<u64, MissingKey> {
    let mut hasher = DefaultHasher::new();
    extractor.extract(RequestView::of(request), &mut KeyWriter::new(&mut hasher))?;
    Ok(hasher.finish())
}

fn from(peer: &str) -> Request<()> {
    let peer: SocketAddr = peer.parse().unwrap();
    Request::get("/").extension(PeerAddr::new(peer)).body(()).unwrap()
}

#[test]
fn an_ipv6_client_is_its_network_and_an_ipv4_client_itself() {
    let by_client = ClientIp::new();
    let same = |a: &str, b: &str| key(&by_client, &from(a)).unwrap() == key(&by_client, &from(b)).unwrap();
    assert!(same("[2001:db8::1]:1", "[2001:db8::ffff:1]:2"));
    assert!(!same("[2001:db8::1]:1", "[2001:db8:0:1::1]:1"));
    assert!(!same("192.0.2.1:1", "192.0.2.2:1"));
    assert!(same("192.0.2.1:1", "[::ffff:192.0.2.1]:9"));

    let exact = ClientIp::new().ipv6_prefix(Ipv6Prefix::new(128).unwrap());
    assert_ne!(key(&exact, &from("[2001:db8::1]:1")), key(&exact, &from("[2001:db8::2]:1")));
    for bits in [0, 129, 255] {
        assert!(Ipv6Prefix::new(bits).is_err());
    }
}

#[test]
fn parts_do_not_run_into_each_other() {
    let pair = (HeaderKey::new(HeaderName::from_static("x-a")), HeaderKey::new(HeaderName::from_static("x-b")));
    let with = |a: &str, b: &str| Request::get("/").header("x-a", a).header("x-b", b).body(()).unwrap();
    assert_ne!(key(&pair, &with("ab", "c")), key(&pair, &with("a", "bc")));
    assert_eq!(key(&pair, &with("ab", "c")), key(&pair, &with("ab", "c")));
}

#[test]
fn a_caller_is_issuer_and_subject() {
    let of = |issuer: &str, subject: &str| {
        key(&IdentityKey, &Request::get("/").extension(Identity::new(issuer, subject)).body(()).unwrap()).unwrap()
    };
    assert_ne!(of("a", "x"), of("b", "x"));
    assert_eq!(of("a", "x"), of("a", "x"));
}

#[test]
fn what_is_missing_is_named_with_its_mend() {
    let nothing = Request::get("/").body(()).unwrap();
    assert!(key(&IdentityKey, &nothing).unwrap_err().to_string().contains("authentication layer"));
    assert!(key(&ClientIp::new(), &nothing).unwrap_err().to_string().contains("PeerAddrLayer"));
    assert!(key(&HeaderKey::new(HeaderName::from_static("x-a")), &nothing).is_err());
}

#[test]
fn a_closure_is_an_extractor_and_long_parts_are_capped() {
    let by_path = from_fn(|request, key| {
        key.part(request.uri().path().as_bytes());
        Ok(())
    });
    let path = |tail: &str| Request::get(format!("/{}{tail}", "a".repeat(2000))).body(()).unwrap();
    assert_eq!(key(&by_path, &path("b")), key(&by_path, &path("c")), "beyond the cap only the length counts");
    assert_ne!(key(&by_path, &path("b")), key(&by_path, &path("bb")));
}
