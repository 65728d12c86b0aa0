use std::net::SocketAddr;

use http::Request;
use tower_rampart::key::{ClientIp, TrustedProxies};

use super::super::arrival::receive;
use super::*;

fn rewritten(peer: &str, fields: &[(&str, &str)]) -> HeaderMap {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut request = Request::get("/").extension(PeerAddr::new(peer)).body(()).unwrap();
    for (name, value) in fields {
        let name: HeaderName = name.parse().unwrap();
        request.headers_mut().append(name, value.parse().unwrap());
    }
    request.extensions_mut().insert(RequestId::from(7));
    let client_ip = ClientIp::new().trusted_proxies(TrustedProxies::parse(["10.0.0.0/8", "::1"]).unwrap());
    receive(&mut request, &client_ip);
    rewrite_request(&mut request, false);
    request.headers().clone()
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a str> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect()
}

const STRANGER: &str = "203.0.113.9:1";
const PROXY: &str = "10.0.0.7:1";

/// RFC 9110 section 7.6.1.
#[test]
fn hop_by_hop_fields_and_those_that_connection_names_go() {
    let headers = rewritten(
        STRANGER,
        &[
            ("connection", "close, X-Mine"),
            ("connection", "x-other"),
            ("x-mine", "1"),
            ("x-other", "1"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("proxy-authorization", "Basic eA=="),
            ("te", "gzip"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("expect", "100-continue"),
            ("accept", "*/*"),
        ],
    );
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["accept", "via", "x-forwarded-for", "x-forwarded-proto", "x-request-id"]);
}

/// What the cache refreshes comes from nobody.
#[test]
fn without_a_peer_nobodys_address_is_told() {
    let mut request = Request::get("/").body(()).unwrap();
    for name in ["x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "x-forwarded-host"] {
        request.headers_mut().insert(name, HeaderValue::from_static("a.example"));
    }
    request.headers_mut().insert("x-forwarded-proto", HeaderValue::from_static("https"));
    rewrite_request(&mut request, false);
    let mut left: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["via", "x-forwarded-host", "x-forwarded-proto"]);
    assert_eq!(all(request.headers(), "x-forwarded-proto"), ["https"]);
}

#[test]
fn connection_cannot_strip_what_we_add_nor_the_host() {
    let claims = "host, content-length, x-forwarded-for, x-forwarded-proto, x-request-id, via";
    let headers = rewritten(STRANGER, &[("host", "a.example"), ("content-length", "3"), ("connection", claims)]);
    for name in ["host", "content-length", "x-forwarded-for", "x-forwarded-proto", "x-request-id", "via"] {
        assert!(headers.contains_key(name), "{name}");
    }
}

#[test]
fn trailers_are_asked_for_when_the_client_did() {
    const GRPC: (&str, &str) = ("content-type", "application/grpc+proto");
    assert_eq!(all(&rewritten(STRANGER, &[GRPC, ("te", "trailers, deflate;q=0.5")]), "te"), ["trailers"]);
    assert!(!rewritten(STRANGER, &[GRPC, ("te", "deflate")]).contains_key("te"));
    assert!(!rewritten(STRANGER, &[("te", "trailers")]).contains_key("te"), "by gRPC alone");
}

#[test]
fn a_strangers_claims_go_and_the_truth_is_written() {
    let headers = rewritten(
        STRANGER,
        &[
            ("x-forwarded-for", "6.6.6.6"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "evil.example"),
            ("forwarded", "for=6.6.6.6"),
            ("x-real-ip", "6.6.6.6"),
            ("cf-connecting-ip", "6.6.6.6"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x_real-ip", "6.6.6.6"),
            ("x-auth-subject", "admin"),
            ("X_Auth_Roles", "admin"),
        ],
    );
    assert_eq!(all(&headers, "x-forwarded-for"), ["203.0.113.9"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["http"]);
    for gone in
        ["x-forwarded-host", "forwarded", "x-real-ip", "x_forwarded_for", "x_real-ip", "x-auth-subject", "x_auth_roles"]
    {
        assert!(!headers.contains_key(gone), "{gone}");
    }
}

#[test]
fn a_trusted_proxys_fields_are_appended_to() {
    let headers = rewritten(
        PROXY,
        &[
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4"),
            ("x-forwarded-for", "10.0.0.8"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "a.example"),
            ("forwarded", "for=1.2.3.4"),
            ("x_forwarded_for", "6.6.6.6"),
            ("x-auth-subject", "admin"),
        ],
    );
    assert_eq!(all(&headers, "x-forwarded-for"), ["6.6.6.6, 1.2.3.4, 10.0.0.8, 10.0.0.7"]);
    assert_eq!(all(&headers, "x-forwarded-proto"), ["https"]);
    assert_eq!(all(&headers, "x-forwarded-host"), ["a.example"]);
    assert_eq!(all(&headers, "forwarded"), ["for=1.2.3.4, for=10.0.0.7;proto=http"]);
    assert!(!headers.contains_key("x_forwarded_for") && !headers.contains_key("x-auth-subject"));

    let by_v6 = rewritten("[::1]:1", &[("forwarded", "for=1.2.3.4"), ("x-forwarded-proto", "gopher")]);
    assert_eq!(all(&by_v6, "forwarded"), ["for=1.2.3.4, for=\"[::1]\";proto=http"]);
    assert_eq!(all(&by_v6, "x-forwarded-proto"), ["http"], "a word that is none is written anew");
}

/// Servers cut spaces off, and so would read another name.
#[test]
fn names_that_would_be_read_as_others_are_not_stated() {
    let stated = |subject: &str, roles: &[&str]| {
        let mut request = Request::get("/").body(()).unwrap();
        request.extensions_mut().insert(Identity::new("idp", subject).with_roles(roles));
        rewrite_request(&mut request, false);
        request.headers().clone()
    };
    let headers = stated("alice", &["reader", " admin", "admin ", "\tadmin", "a,admin", "site admin"]);
    assert_eq!(all(&headers, "x-auth-roles"), ["reader,site admin"]);
    assert_eq!(all(&headers, "x-auth-subject"), ["alice"]);
    for subject in [" alice", "alice ", "alice\n", ""] {
        let headers = stated(subject, &[]);
        assert!(!headers.contains_key("x-auth-subject"), "{subject:?}");
        assert_eq!(all(&headers, "x-auth-issuer"), ["idp"]);
    }
}

#[test]
fn responses_lose_their_hop() {
    let mut headers = HeaderMap::new();
    for (name, value) in [("connection", "x-mine"), ("x-mine", "1"), ("keep-alive", "1"), ("etag", "\"1\"")] {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    rewrite_response(&mut headers);
    assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["etag"]);
}

/// RFC 9112 section 6.3: the transfer coding overrides the length.
#[test]
fn a_length_beside_a_transfer_coding_goes() {
    let mut headers = HeaderMap::new();
    headers.insert("content-length", HeaderValue::from_static("3"));
    rewrite_response(&mut headers);
    assert_eq!(all(&headers, "content-length"), ["3"]);
    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    rewrite_response(&mut headers);
    assert!(headers.is_empty(), "{headers:?}");
}

/// RFC 9110 section 7.6.1: `Connection` must not name what is for all who receive the message.
#[test]
fn connection_cannot_strip_what_a_response_may_be_kept_by() {
    let mut headers = HeaderMap::new();
    headers.insert("connection", HeaderValue::from_static("Cache-Control, Vary, Content-Type, Mine"));
    for name in ["cache-control", "vary", "content-type", "mine"] {
        headers.insert(name, HeaderValue::from_static("x"));
    }
    rewrite_response(&mut headers);
    let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    left.sort_unstable();
    assert_eq!(left, ["cache-control", "content-type", "vary"]);
}
