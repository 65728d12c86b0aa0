//! Limits on requests in flight.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, service_fn};
use tower_rampart::key::{ClientIp, GlobalKey};
use tower_rampart::rate_limit::{Policy, RateLimit};

use crate::support::{Fixture, call, field, from, get, json, per};

fn uploads(limit: u32) -> Policy {
    Policy::concurrent("uploads", limit).key(ClientIp::new())
}

fn body(text: &'static str) -> Response<Full<Bytes>> {
    Response::new(Full::from(text))
}

#[test]
fn a_place_is_held_until_the_body_has_ended() {
    let fixture = Fixture::policy(uploads(2));
    let mut held: Vec<_> = (0..2).map(|_| fixture.respond(from("10.0.0.1"), |_| body("hello"))).collect();
    assert_eq!(field(&held[0], "ratelimit"), "\"uploads\";r=1");
    assert_eq!(field(&held[1], "ratelimit-policy"), "\"uploads\";q=2;qu=\"concurrent-requests\"");
    let refused = fixture.send(from("10.0.0.1"));
    assert_eq!((refused.status().as_u16(), field(&refused, "retry-after").as_str()), (429, ""));
    assert_eq!(json(refused)["detail"], "Too many requests of this client are in progress.");
    assert_eq!(fixture.status(from("10.0.0.2")), 200);

    // One is read to its last frame, without being polled for the end; the other is dropped.
    let mut first = held.remove(0).into_body();
    assert!(first.frame().now_or_never().unwrap().is_some());
    assert!(first.is_end_stream());
    assert_eq!(fixture.keys(), 1);
    assert_eq!(fixture.respond(from("10.0.0.1"), |_| body("x")).status(), 200);
    drop(held);
    assert_eq!(fixture.keys(), 0);
    drop(first);
    assert_eq!(fixture.admitted(10, || from("10.0.0.1")), 10);
}

#[test]
fn a_response_without_a_body_holds_its_place_until_it_is_dropped() {
    let fixture = Fixture::policy(uploads(1));
    let answer = fixture.send(from("10.0.0.1"));
    assert_eq!(fixture.status(from("10.0.0.1")), 429);
    drop(answer);
    assert_eq!(fixture.admitted(5, || from("10.0.0.1")), 5);
}

#[test]
fn a_client_that_leaves_frees_its_place() {
    let fixture = Fixture::policy(uploads(1));
    let mut service = fixture
        .layer
        .layer(service_fn(|_: Request<()>| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()));
    for _ in 0..10 {
        let mut future = Box::pin(call(&mut service, from("10.0.0.1")));
        assert!((&mut future).now_or_never().is_none());
        assert_eq!(fixture.keys(), 1);
        assert_eq!(fixture.status(from("10.0.0.1")), 429);
    }
    assert_eq!(fixture.keys(), 0);
}

#[test]
fn a_refusal_by_another_policy_takes_no_place() {
    let fixture = Fixture::of(
        RateLimit::new()
            .add_policy(Policy::concurrent("in-flight", 3).key(GlobalKey))
            .add_policy(Policy::new("rate", per(2, 60)).key(GlobalKey)),
    );
    let _held: Vec<_> = (0..10).map(|_| fixture.respond(get("/"), |_| body("x"))).collect();
    assert_eq!(json(fixture.send(get("/")))["violated-policies"], serde_json::json!(["rate"]));
    fixture.hand.advance(crate::support::secs(60));
    assert_eq!(fixture.respond(get("/"), |_| body("x")).status(), 200);
}

#[test]
fn the_limit_can_be_changed_while_requests_run() {
    let fixture = Fixture::policy(uploads(2));
    let held: Vec<_> = (0..2).map(|_| fixture.respond(from("10.0.0.1"), |_| body("x"))).collect();
    fixture.handle.set_concurrent("uploads", 1).unwrap();
    assert_eq!(fixture.status(from("10.0.0.1")), 429);
    fixture.handle.set_concurrent("uploads", 3).unwrap();
    let third = fixture.respond(from("10.0.0.1"), |_| body("x"));
    assert_eq!(third.status(), 200);
    assert_eq!(fixture.status(from("10.0.0.1")), 429);
    drop((held, third));
    assert_eq!(fixture.keys(), 0);
    assert!(fixture.handle.set_quota("uploads", per(1, 1)).is_err());
}
