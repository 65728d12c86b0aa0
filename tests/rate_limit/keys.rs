//! Whose requests count together.

use http::{Method, Request};
use tower_rampart::Identity;
use tower_rampart::key::{
    self, ClientIp, CookieKey, GlobalKey, GrpcMethodKey, HeaderKey, IdentityKey, KeyExtractor, KeyWriter, MethodKey,
    MissingKey, RouteKey, RouteTemplate, TenantKey, TrustedProxies,
};
use tower_rampart::rate_limit::{OnMissingKey, Policy};

use crate::support::{Fixture, from, get, json, per};

/// Whether the second request counts as the first one's.
fn same(key: impl KeyExtractor, first: Request<()>, second: Request<()>) -> bool {
    let fixture = Fixture::policy(Policy::new("p", per(1, 60)).key(key));
    assert_eq!(fixture.status(first), 200);
    match fixture.status(second) {
        429 => true,
        200 => false,
        other => panic!("{other}"),
    }
}

fn with(name: &str, value: &str) -> Request<()> {
    Request::get("/").header(name, value).body(()).unwrap()
}

fn of(identity: Identity) -> Request<()> {
    Request::get("/").extension(identity).body(()).unwrap()
}

#[test]
fn clients_are_told_apart_by_address() {
    assert!(same(ClientIp::new(), from("10.0.0.1"), from("10.0.0.1")));
    assert!(!same(ClientIp::new(), from("10.0.0.1"), from("10.0.0.2")));
    assert!(same(ClientIp::new(), from("10.0.0.1"), from("::ffff:10.0.0.1")));
    assert!(same(ClientIp::new(), from("2001:db8::1"), from("2001:db8::2:3:4:5")));
    assert!(!same(ClientIp::new(), from("2001:db8:0:1::1"), from("2001:db8:0:2::1")));
}

#[test]
fn a_spoofed_header_gains_nothing_and_locks_nobody_out() {
    let spoofed = |peer: &str, claim: &str| {
        let mut request = from(peer);
        request.headers_mut().insert("x-forwarded-for", claim.parse().unwrap());
        request
    };
    let fixture = Fixture::policy(Policy::new("p", per(10, 60)).key(ClientIp::new()));
    let admitted = (0..100).filter(|n| fixture.status(spoofed("10.0.0.1", &format!("192.0.2.{n}"))) == 200).count();
    assert_eq!(admitted, 10);
    // Behind a proxy of ours, what the client wrote itself stands left of its own address.
    let behind = ClientIp::new().trusted_proxies(TrustedProxies::parse(["10.0.0.7"]).unwrap());
    let fixture = Fixture::policy(Policy::new("p", per(10, 60)).key(behind));
    let forged = |n: u32| spoofed("10.0.0.7", &format!("192.0.2.{n}, 203.0.113.5"));
    assert_eq!((0..100).filter(|n| fixture.status(forged(*n)) == 200).count(), 10);
    // The victim whose address was claimed is as free as before.
    assert_eq!(fixture.admitted(20, || spoofed("10.0.0.7", "192.0.2.1")), 10);
}

#[test]
fn callers_are_the_pair_of_issuer_and_subject() {
    let alice = |issuer: &str| of(Identity::new(issuer, "alice"));
    assert!(same(IdentityKey, alice("a"), alice("a")));
    assert!(!same(IdentityKey, alice("a"), alice("b")));
    let tenant = |subject: &str, tenant: &str| of(Identity::new("a", subject).with_tenant(tenant));
    assert!(same(TenantKey, tenant("alice", "t"), tenant("bob", "t")));
    assert!(!same(TenantKey, tenant("alice", "t"), tenant("alice", "u")));
}

#[test]
fn fields_cookies_and_api_keys() {
    assert!(same(HeaderKey::api_key(), with("x-api-key", "a"), with("x-api-key", "a")));
    assert!(!same(HeaderKey::api_key(), with("x-api-key", "a"), with("x-api-key", "b")));
    let session = || CookieKey::new("session").unwrap();
    assert!(same(session(), with("cookie", "a=1; session=x"), with("cookie", "session=x; b=2")));
    assert!(!same(session(), with("cookie", "session=x"), with("cookie", "session=y")));
    // RFC 6265 section 5.2: spaces around a name are no part of it. The authentication layer takes a token from such a
    // cookie, so a limit must find it.
    assert!(same(session(), with("cookie", "session =x"), with("cookie", "a=1; \tsession\t=x")));
    assert!(!same(session(), with("cookie", "session =x"), with("cookie", "session =y")));
    assert!(!same(session(), with("cookie", "session=x"), with("cookie", "sessions=x; session=y")));
    assert!(CookieKey::new("a b").is_err() && CookieKey::new("").is_err());
}

#[test]
fn methods_routes_and_grpc_methods() {
    let method =
        |name: &str| Request::builder().method(Method::from_bytes(name.as_bytes()).unwrap()).uri("/").body(()).unwrap();
    assert!(!same(MethodKey, method("GET"), method("POST")));
    // Clients can invent any number of these.
    assert!(same(MethodKey, method("BREW"), method("WHEN")));
    let matched = |path: &str| Request::get(path).extension(RouteTemplate::new("/polls/{id}")).body(()).unwrap();
    assert!(same(RouteKey::new(), matched("/polls/1"), matched("/polls/2")));
    let patterns = || RouteKey::new().or_patterns(["/polls/*".parse().unwrap(), "/**".parse().unwrap()]);
    assert!(same(patterns(), get("/polls/1"), get("/polls/2")));
    assert!(!same(patterns(), get("/polls/1"), get("/users/1")));
    let grpc = |path: &str| Request::post(path).header("content-type", "application/grpc").body(()).unwrap();
    let fixture = Fixture::policy(Policy::new("p", per(1, 60)).key(GrpcMethodKey));
    assert_eq!(fixture.status(get("/p.S/A")), 400);
    fixture.send(grpc("/p.S/A"));
    assert_eq!(fixture.send(grpc("/p.S/A")).headers()["grpc-status"], "8");
    assert!(!fixture.send(grpc("/p.S/B")).headers().contains_key("grpc-status"));
}

#[test]
fn tuples_and_closures() {
    let pair = |x: &str, y: &str| Request::get("/").header("x", x).header("y", y).body(()).unwrap();
    let key = || (HeaderKey::new("x".parse().unwrap()), HeaderKey::new("y".parse().unwrap()));
    assert!(same(key(), pair("ab", "c"), pair("ab", "c")));
    assert!(!same(key(), pair("ab", "c"), pair("a", "bc")));
    let first_segment = key::from_fn(|request, key| {
        key.part(request.uri().path().split('/').nth(1).unwrap_or_default().as_bytes());
        Ok(())
    });
    assert!(same(first_segment, get("/a/1"), get("/a/2")));
    assert!(!same(first_segment, get("/a/1"), get("/b/1")));
    assert!(same(GlobalKey, get("/a"), from("10.0.0.1")));
}

#[test]
fn a_huge_key_costs_no_more_than_a_small_one() {
    let key = || HeaderKey::new("k".parse().unwrap());
    let huge = "a".repeat(64 << 10);
    assert!(same(key(), with("k", &huge), with("k", &huge)));
    assert!(!same(key(), with("k", &huge), with("k", &huge[1..])));
}

#[test]
fn a_missing_key_is_an_explicit_choice() {
    let fixture =
        |choice| Fixture::policy(Policy::new("p", per(2, 60)).key(HeaderKey::api_key()).on_missing_key(choice));
    let bare = || get("/");
    let refusing = fixture(OnMissingKey::Refuse);
    let refused = refusing.send(bare());
    assert_eq!(refused.status(), 400);
    assert_eq!(json(refused)["detail"], "The request has no header field of that name.");
    assert_eq!(fixture(OnMissingKey::Pass).admitted(10, bare), 10);
    let shared = fixture(OnMissingKey::Shared);
    assert_eq!(shared.admitted(10, bare), 2);
    assert_eq!(shared.admitted(10, || with("x-api-key", "a")), 2);
    let fallback = fixture(OnMissingKey::fallback(ClientIp::new()));
    assert_eq!(fallback.admitted(10, || from("10.0.0.1")), 2);
    assert_eq!(fallback.admitted(10, || from("10.0.0.2")), 2);
    // Without a peer there is nothing to fall back on, and that is the server's fault.
    assert_eq!(fallback.status(bare()), 500);
}

#[test]
fn a_fallback_shares_no_bucket_with_the_keys() {
    // The same bytes, once as the key and once in its stead.
    let four = |_: tower_rampart::RequestView<'_>, key: &mut KeyWriter<'_>| {
        key.part(&[10, 0, 0, 1]);
        Ok(())
    };
    let key = key::from_fn(move |request, key| {
        if request.uri().path() == "/known" { four(request, key) } else { Err(MissingKey::new("x", "y")) }
    });
    let fixture =
        Fixture::policy(Policy::new("p", per(1, 60)).key(key).on_missing_key(OnMissingKey::fallback(ClientIp::new())));
    assert_eq!(fixture.status(get("/known")), 200);
    assert_eq!(fixture.status(from("10.0.0.1")), 200);
}

#[test]
fn without_a_caller_it_is_the_client_who_lacks_something() {
    assert_eq!(Fixture::policy(Policy::new("p", per(1, 60)).key(IdentityKey)).status(get("/")), 403);
    assert_eq!(Fixture::policy(Policy::new("p", per(1, 60)).key(ClientIp::new())).status(get("/")), 500);
    assert_eq!(Fixture::policy(Policy::new("p", per(1, 60)).key(RouteKey::new())).status(get("/")), 500);
}
