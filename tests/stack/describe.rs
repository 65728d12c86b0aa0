//! What a stack says of itself.

use std::time::Duration;

use tower_http::catch_panic::CatchPanicLayer;
use tower_http::trace::TraceLayer;
use tower_rampart::auth::{Algorithm, ApiKeys, Auth, AuthLayer, Issuer, JwtVerifier, KeySet, VerifyingKey};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::cache::Cache;
use tower_rampart::deadline::Deadlines;
use tower_rampart::key::ClientIp;
use tower_rampart::load_shed::LoadShed;
use tower_rampart::rate_limit::{Mode, Policy, Quota, RateLimit};
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::{Authenticates, Stack};
use tower_rampart::validate::{Limits, Route, Validate};

use crate::support::{auth, authz, limit};

fn tokens() -> AuthLayer {
    let secret = b"a secret that nobody is to see, long enough";
    let keys = KeySet::new([VerifyingKey::hmac(secret, Algorithm::Hs256).unwrap()]);
    let issuer = Issuer::new("https://idp.example/").audience("api").algorithms([Algorithm::Hs256]).keys(keys);
    let verifier = JwtVerifier::new([issuer]).unwrap();
    Auth::new().jwt(verifier).api_keys(ApiKeys::default()).cookie("session").optional(true).build().unwrap()
}

#[test]
fn a_line_for_each_place_in_their_order() {
    let hour = Duration::from_secs(3600);
    let limits = RateLimit::new()
        .add_policy(Policy::new("hourly", Quota::new(1000).per(hour)).key(ClientIp::new()))
        .add_policy(Policy::concurrent("running", 8).key(ClientIp::new()).mode(Mode::Shadow));
    let layer = Stack::new()
        .validate(
            Validate::new()
                .limits(Limits::new().body_bytes(64 << 10))
                .add_route(Route::new(http::Method::POST, "/polls").json())
                .build()
                .unwrap(),
        )
        .cache(Cache::builder().bytes(64 << 20).private_per_subject(true).build().unwrap().layer())
        .authz(authz())
        .auth(tokens())
        .rate_limit_by_identity(limit("callers", 100))
        .rate_limit_by_address(limits.build().unwrap())
        .load_shed(LoadShed::gradient2().never_shed(["/healthz"]).build().unwrap())
        .deadline(Deadlines::new().build().unwrap())
        .security_headers(SecurityHeadersLayer::api())
        .trace((TraceLayer::new_for_http(), tower::layer::util::Identity::new()))
        .catch_panic(CatchPanicLayer::new())
        .build()
        .unwrap();
    assert_eq!(
        layer.describe(),
        "\
trace                   tower_http::trace::layer::TraceLayer, tower_layer::identity::Identity
catch panic             tower_http::catch_panic::CatchPanicLayer
security headers        8 fields, HSTS when secure; 78 removed
load shed               gradient2; limit 20 at the moment, 4 to 1000; never /healthz
deadline                30s at most, less by grpc-timeout, up to the head
rate limit by address   hourly: 1000 per 1h; running: 8 in flight, shadow
auth                    tokens of https://idp.example/, API keys of 0; strangers pass
rate limit by identity  callers: 100 per 1h
authz                   1 rule, what none allows is refused
validate                bodies up to 64 KiB, 1 route described, other bodies unread
cache                   64 MiB, entries up to 1 MiB; clients may ask for what is newer; what is private is kept for its caller"
    );
}

#[test]
fn it_says_what_is_so_at_the_moment() {
    let limiter = limit("a", 1);
    let handle = limiter.handle();
    let layer = Stack::new().rate_limit_by_address(limiter).build().unwrap();
    assert_eq!(layer.describe(), "rate limit by address  a: 1 per 1h");
    handle.set_quota("a", Quota::new(7).per(Duration::from_secs(1))).unwrap();
    assert_eq!(layer.describe(), "rate limit by address  a: 7 per 1s");
}

#[test]
fn what_does_nothing_is_left_out() {
    let layer = Stack::new().auth(AuthLayer::empty()).security_headers(SecurityHeadersLayer::empty()).build().unwrap();
    assert_eq!(layer.describe(), "");
}

#[test]
fn who_asks_for_callers_needs_somebody_who_finds_out() {
    let empty = || Stack::new().auth(AuthLayer::empty());
    let told = |error: tower_rampart::ConfigError| error.to_string();
    let error = told(empty().authz(authz()).build().unwrap_err());
    assert!(error.starts_with("authz: asks who the caller is"), "{error}");
    assert!(error.contains("give `auth` a layer that knows a credential"), "{error}");
    let error = told(empty().rate_limit_by_identity(limit("b", 1)).build().unwrap_err());
    assert!(error.starts_with("rate limit by identity: asks who"), "{error}");
    let twice = Stack::new().auth(auth()).rate_limit_by_address(limit("a", 1)).rate_limit_by_identity(limit("a", 2));
    let error = told(twice.build().unwrap_err());
    assert!(error.starts_with("rate limit by identity: `a` is the name of a policy by address"), "{error}");
    // A rule for strangers, whom nobody lets come that far.
    let public = || AuthzLayer::new(PolicyTable::builder().add_rule(Rule::public("home", "/")).build().unwrap());
    let error = told(Stack::new().auth(auth()).authz(public()).build().unwrap_err());
    assert!(error.starts_with("authz, public rule: `home` lets strangers pass"), "{error}");
    let lenient = Auth::new().api_keys(ApiKeys::default()).optional(true).build().unwrap();
    let _ = Stack::new().auth(lenient).authz(public()).build().unwrap();
    // What asks nobody needs nobody, and what is found out elsewhere is found out.
    let _ = empty().authz(AuthzLayer::empty()).build().unwrap();
    let _ = Stack::new().auth(auth()).authz(authz()).build().unwrap();
    let layer = Stack::new().authz(AuthzLayer::new(PolicyTable::builder().build().unwrap())).authenticated_outside();
    assert!(layer.build().unwrap().describe().starts_with("auth   outside of the stack\n"));

    #[derive(Clone)]
    struct Session;
    impl Authenticates for Session {}
    let _ = Stack::new().authz(authz()).authenticated_by(Session).build().unwrap();
}
