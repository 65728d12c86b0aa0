//! Who is not counted, and who is not let in.

use http::{Method, Request};
use tower_rampart::Identity;
use tower_rampart::key::{Cidr, ClientIp, GlobalKey, IdentityKey};
use tower_rampart::rate_limit::{Policy, RateLimit};

use crate::support::{Fixture, field, from, get, per};

fn one() -> RateLimit {
    RateLimit::new().add_policy(Policy::new("p", per(1, 60)).key(GlobalKey))
}

fn blocks(block: &str) -> [Cidr; 1] {
    [block.parse().unwrap()]
}

#[test]
fn allowed_clients_are_not_counted_and_denied_ones_refused() {
    let fixture = Fixture::of(one().exempt_clients(blocks("10.0.0.0/8")).deny_clients(blocks("10.6.6.0/24")));
    assert_eq!(fixture.admitted(10, || from("10.0.0.1")), 10);
    assert_eq!(field(&fixture.send(from("10.0.0.1")), "ratelimit"), "");
    assert_eq!(fixture.status(from("10.6.6.6")), 403);
    assert_eq!(fixture.admitted(10, || from("192.0.2.1")), 1);
    // Whoever has no address may be anybody.
    assert_eq!(fixture.status(get("/")), 500);
}

#[test]
fn keys_can_be_on_lists_too() {
    let policy = Policy::new("p", per(1, 60))
        .key(IdentityKey)
        .add_exempt_key(["idp", "batch"])
        .add_denied_key(["idp", "mallory"]);
    let fixture = Fixture::policy(policy);
    let user = |name: &'static str| move || Request::get("/").extension(Identity::new("idp", name)).body(()).unwrap();
    assert_eq!(fixture.admitted(10, user("batch")), 10);
    assert_eq!(fixture.admitted(10, user("alice")), 1);
    assert_eq!(fixture.status(user("mallory")()), 403);
    let by_address = Policy::new("p", per(1, 60)).key(ClientIp::new()).add_exempt_key([[10_u8, 0, 0, 1]]);
    assert_eq!(Fixture::policy(by_address).admitted(10, || from("10.0.0.1")), 10);
}

#[test]
fn exempt_paths_are_those_that_nobody_can_read_otherwise() {
    let fixture = Fixture::of(one().exempt_paths(["/healthz", "/static/**"]));
    assert_eq!(fixture.admitted(10, || get("/healthz")), 10);
    assert_eq!(fixture.admitted(10, || get("/static/a/b.css")), 10);
    assert_eq!(fixture.admitted(10, || get("/static/../login")), 1);
    assert_eq!(fixture.admitted(10, || get("/static/%2e%2e/login")), 0);
}

fn preflight() -> Request<()> {
    Request::options("/polls")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .body(())
        .unwrap()
}

#[test]
fn preflights_are_not_counted_unless_it_is_said() {
    let fixture = Fixture::of(one());
    assert_eq!(fixture.admitted(10, preflight), 10);
    let star = || Request::builder().method(Method::OPTIONS).uri("*").body(()).unwrap();
    assert_eq!(fixture.admitted(10, star), 10);
    // Without its fields it is a request like any other.
    assert_eq!(fixture.admitted(10, || Request::options("/polls").body(()).unwrap()), 1);
    assert_eq!(Fixture::of(one().count_preflights(true)).admitted(10, preflight), 1);
}
