use std::net::SocketAddr;

use tower_rampart::key::{PeerAddr, TrustedProxies};

use super::*;

const STRANGER: &str = "203.0.113.9:1";
const PROXY: &str = "10.0.0.7:1";

fn received(version: Version, peer: &str, fields: &[(&'static str, &'static str)]) -> Request<()> {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::get("/").version(version).extension(PeerAddr::new(peer)).body(()).unwrap();
    for (name, value) in [("host", "a.example")].iter().chain(fields) {
        request.headers_mut().append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let client_ip = ClientIp::new().trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"]).unwrap());
    receive(&mut request, &client_ip);
    request
}

fn left(peer: &str, fields: &[(&'static str, &'static str)]) -> Vec<String> {
    let request = received(Version::HTTP_11, peer, fields);
    let mut names: Vec<_> = request.headers().keys().map(ToString::to_string).collect();
    names.sort_unstable();
    names
}

/// RFC 9110 section 7.6.1: whatever the field is for.
#[test]
fn what_connection_names_is_gone_at_once() {
    let names = "origin, cookie, authorization, if-none-match, range, grpc-timeout, x-api-key";
    let mut fields = vec![("connection", names)];
    fields.extend(names.split(", ").map(|name| (name, "1")));
    assert_eq!(left(STRANGER, &fields), ["host"]);
    assert_eq!(left(PROXY, &fields), ["host"]);
}

#[test]
fn a_trusted_proxys_word_stays_whatever_connection_names() {
    let named = [
        ("connection", "x-forwarded-for, x_forwarded_for, forwarded"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x_forwarded_for", "6.6.6.6"),
        ("forwarded", "for=203.0.113.9"),
        ("x-auth-subject", "admin"),
    ];
    assert_eq!(left(PROXY, &named), ["forwarded", "host", "x-forwarded-for"]);
    assert_eq!(left(STRANGER, &named), ["host"]);
}

/// RFC 9110 section 7.8.
#[test]
fn upgrades_are_gone_but_for_those_that_are_refused() {
    let ignored = [("connection", "upgrade, http2-settings"), ("upgrade", "h2c"), ("http2-settings", "AA")];
    assert_eq!(left(STRANGER, &ignored), ["host"]);
    let handshake = [("connection", "upgrade"), ("upgrade", "websocket"), ("x-forwarded-for", "6.6.6.6")];
    assert_eq!(left(STRANGER, &handshake), ["connection", "host", "upgrade"]);
}

#[test]
fn what_is_refused_passes_the_cache_by() {
    let passes = |fields: &[(&'static str, &'static str)]| {
        received(Version::HTTP_11, STRANGER, fields).extensions().get::<CacheBypass>().is_some()
    };
    assert!(passes(&[("host", "a.example")]), "twice");
    assert!(passes(&[("connection", "upgrade"), ("upgrade", "websocket")]));
    assert!(!passes(&[("upgrade", "websocket")]));
}

/// RFC 9113 section 8.2.3.
#[test]
fn crumbs_are_joined_where_they_may_be_sent() {
    let cookies = |version, fields: &[(&'static str, &'static str)]| {
        let request = received(version, STRANGER, fields);
        let lines = request.headers().get_all(COOKIE).iter();
        lines.map(|line| line.to_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let crumbs = [("cookie", "a=1"), ("cookie", "b=2; c=3"), ("cookie", "d=4")];
    assert_eq!(cookies(Version::HTTP_2, &crumbs), ["a=1; b=2; c=3; d=4"]);
    assert_eq!(cookies(Version::HTTP_11, &crumbs), ["a=1", "b=2; c=3", "d=4"], "nobody may, and nobody is guessed for");
    assert_eq!(cookies(Version::HTTP_2, &crumbs[..1]), ["a=1"]);
    assert!(cookies(Version::HTTP_2, &[]).is_empty());
}
