use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use tower_rampart::key::{ClientIp, ForwardedHeader, PeerAddr, SecureTransport, TrustedProxies};
use tower_rampart::security_headers::{Hsts, HstsWhen, SecurityHeaders, SecurityHeadersLayer};

use crate::support::{get, plain, response, run, secure};

const HSTS: &str = "strict-transport-security";

fn sends_hsts(layer: &SecurityHeadersLayer, request: Request<()>) -> bool {
    run(layer, request, |_| response(&[])).contains_key(HSTS)
}

/// RFC 6797 section 7.2: "An HSTS Host MUST NOT include the STS header field in HTTP responses conveyed over
/// non-secure transport."
#[test]
fn only_secure_requests_get_it() {
    let layer = SecurityHeadersLayer::api();
    assert!(!sends_hsts(&layer, get("http://localhost/")));
    assert!(!sends_hsts(&layer, get("/")));
    assert!(sends_hsts(&layer, get("https://localhost/")));
    let mut marked = get("/");
    marked.extensions_mut().insert(SecureTransport);
    assert!(sends_hsts(&layer, marked));
}

#[test]
fn a_handlers_own_is_removed_from_insecure_responses() {
    let headers = run(&SecurityHeadersLayer::api(), get("/"), |_| response(&[(HSTS, "max-age=1")]));
    assert!(!headers.contains_key(HSTS));
    let headers = run(&SecurityHeadersLayer::api(), get("https://localhost/"), |_| response(&[(HSTS, "max-age=1")]));
    assert_eq!(headers[HSTS], "max-age=63072000; includeSubDomains");
}

fn behind_proxy(header: ForwardedHeader) -> SecurityHeadersLayer {
    let client_ip = ClientIp::new().trusted_proxies(TrustedProxies::parse(["10.0.0.0/8"]).unwrap()).header(header);
    SecurityHeaders::api().client_ip(client_ip).build().unwrap()
}

fn from(peer: &str, fields: &[(&str, &str)]) -> Request<()> {
    let peer: SocketAddr = peer.parse().unwrap();
    let mut builder = Request::get("/").extension(PeerAddr::new(peer));
    for (name, value) in fields {
        builder = builder.header(*name, *value);
    }
    builder.body(()).unwrap()
}

#[test]
fn a_trusted_proxys_word_counts_and_a_strangers_does_not() {
    let layer = behind_proxy(ForwardedHeader::XForwardedFor);
    let https = [("x-forwarded-proto", "https"), ("x-forwarded-for", "203.0.113.9")];
    assert!(sends_hsts(&layer, from("10.0.0.1:1", &https)));
    assert!(!sends_hsts(&layer, from("192.0.2.1:1", &https)));
    assert!(!sends_hsts(&layer, from("10.0.0.1:1", &[("x-forwarded-proto", "http")])));
    assert!(!sends_hsts(&layer, from("10.0.0.1:1", &[("x-forwarded-proto", "httpsx")])));
    // The other family's word is asked for only where the one that is read says nothing.
    let other = ("forwarded", "for=203.0.113.9;proto=https");
    assert!(sends_hsts(&layer, from("10.0.0.1:1", &[other])));
    assert!(!sends_hsts(&layer, from("192.0.2.1:1", &[other])));
    assert!(!sends_hsts(&layer, from("10.0.0.1:1", &[other, ("x-forwarded-proto", "http")])));
}

#[test]
fn what_a_client_wrote_before_the_proxy_does_not_count() {
    let layer = behind_proxy(ForwardedHeader::XForwardedFor);
    let appended = [("x-forwarded-proto", "https, http"), ("x-forwarded-for", "6.6.6.6, 203.0.113.9")];
    assert!(!sends_hsts(&layer, from("10.0.0.1:1", &appended)));
    let two_proxies = [("x-forwarded-proto", "https, http"), ("x-forwarded-for", "203.0.113.9, 10.0.0.2")];
    assert!(sends_hsts(&layer, from("10.0.0.1:1", &two_proxies)));
}

/// RFC 7239 section 5.4.
#[test]
fn forwarded_proto_stands_beside_the_client() {
    let layer = behind_proxy(ForwardedHeader::Forwarded);
    let proto = |value: &'static str| from("10.0.0.1:1", &[("forwarded", value)]);
    assert!(sends_hsts(&layer, proto("for=203.0.113.9;proto=https, for=10.0.0.2;proto=http")));
    assert!(!sends_hsts(&layer, proto("for=203.0.113.9;proto=http, for=10.0.0.2;proto=https")));
    assert!(!sends_hsts(&layer, proto("for=6.6.6.6;proto=https, for=203.0.113.9;proto=http")));
    assert!(sends_hsts(&layer, proto("For=\"[2001:db8::1]:44\";Proto=\"HTTPS\"")));
}

#[test]
fn always_and_never_mean_it() {
    let always = SecurityHeaders::api().hsts_when(HstsWhen::Always).build().unwrap();
    assert!(plain(&always).contains_key(HSTS) && secure(&always).contains_key(HSTS));
    let never = SecurityHeaders::api().hsts_when(HstsWhen::Never).build().unwrap();
    let headers = run(&never, get("https://localhost/"), |_| response(&[(HSTS, "max-age=1")]));
    assert!(!headers.contains_key(HSTS));
    let never_of_its_own = SecurityHeaders::empty().hsts_when(HstsWhen::Never).build().unwrap();
    let headers = run(&never_of_its_own, get("https://localhost/"), |_| response(&[(HSTS, "max-age=1")]));
    assert!(!headers.contains_key(HSTS));
    let headers = run(&SecurityHeadersLayer::empty(), get("/"), |_| response(&[(HSTS, "max-age=1")]));
    assert_eq!(headers[HSTS], "max-age=1", "a policy without HSTS leaves the handler's");
}

#[test]
fn preloading_needs_a_year_and_the_subdomains() {
    let build = |hsts| SecurityHeaders::empty().hsts(hsts).build();
    let short = Hsts::max_age(Duration::from_secs(31_535_999)).include_subdomains().preload();
    assert_eq!(build(short).unwrap_err().value(), "max-age=31535999; includeSubDomains; preload");
    assert!(build(Hsts::years(1).preload()).unwrap_err().mend().contains("include_subdomains"));
    let layer = build(Hsts::years(1).include_subdomains().preload()).unwrap();
    assert_eq!(secure(&layer)[HSTS], "max-age=31536000; includeSubDomains; preload");
    let forget = build(Hsts::max_age(Duration::ZERO)).unwrap();
    assert_eq!(secure(&forget)[HSTS], "max-age=0");
}
