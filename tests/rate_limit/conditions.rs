//! What a request costs, before and after its response.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, service_fn};
use tower_rampart::key::GlobalKey;
use tower_rampart::rate_limit::{OnAbandoned, Policy};

use crate::support::{Fixture, call, field, get, json, per, secs};

fn costly() -> Policy {
    Policy::new("points", per(10, 10))
        .key(GlobalKey)
        .cost(|request| request.uri().path().trim_start_matches('/').parse().unwrap())
}

#[test]
fn a_cost_takes_as_many_tokens() {
    let fixture = Fixture::policy(costly());
    assert_eq!(field(&fixture.send(get("/7")), "ratelimit"), "\"points\";r=3;t=1");
    let refused = fixture.send(get("/4"));
    assert_eq!(refused.status(), 429);
    assert_eq!(
        (field(&refused, "ratelimit").as_str(), field(&refused, "retry-after").as_str()),
        ("\"points\";r=3;t=1", "1")
    );
    assert_eq!(fixture.status(get("/3")), 200);
}

#[test]
fn a_cost_of_nothing_is_a_look() {
    let fixture = Fixture::policy(costly());
    for _ in 0..100 {
        assert_eq!(field(&fixture.send(get("/0")), "ratelimit"), "\"points\";r=10");
    }
    assert_eq!(fixture.keys(), 0);
    fixture.send(get("/10"));
    assert_eq!(fixture.status(get("/0")), 429);
    fixture.hand.advance(secs(1));
    assert_eq!(field(&fixture.send(get("/0")), "ratelimit"), "\"points\";r=1;t=1");
}

#[test]
fn more_than_the_burst_is_refused_for_good() {
    let fixture = Fixture::policy(costly());
    let answer = fixture.send(get("/11"));
    assert_eq!((answer.status().as_u16(), field(&answer, "retry-after").as_str()), (429, ""));
    let problem = json(answer);
    assert_eq!(problem["detail"], "The request costs more than the quota ever holds; waiting does not help.");
    // It charged nothing.
    assert_eq!(fixture.status(get("/10")), 200);
}

fn failures() -> Policy {
    Policy::new("failed-logins", per(3, 3600)).key(GlobalKey).count_statuses([http::StatusCode::UNAUTHORIZED])
}

#[test]
fn only_what_failed_stays_charged() {
    let fixture = Fixture::policy(failures());
    for _ in 0..50 {
        let answer = fixture.send(get("/"));
        assert_eq!(field(&answer, "ratelimit"), "\"failed-logins\";r=3");
    }
    assert_eq!(fixture.keys(), 0);
    for left in [2, 1, 0] {
        let answer = fixture.send_to(get("/"), |_| StatusCode::UNAUTHORIZED);
        assert_eq!(answer.status(), 401);
        assert!(field(&answer, "ratelimit").starts_with(&format!("\"failed-logins\";r={left};t=")));
    }
    assert_eq!(fixture.status(get("/")), 429);
}

#[test]
fn guesses_side_by_side_do_not_slip_by() {
    let fixture = Fixture::policy(failures());
    let mut service = fixture.layer.layer(service_fn(|_| async {
        tokio::task::yield_now().await;
        Ok::<_, Infallible>(Response::builder().status(401).body(Full::<Bytes>::default()).unwrap())
    }));
    let mut guesses: Vec<_> = (0..50).map(|_| Box::pin(call(&mut service, get("/")))).collect();
    let early: Vec<_> = guesses.iter_mut().map(|guess| guess.now_or_never()).collect();
    assert_eq!(early.iter().filter(|answer| answer.is_none()).count(), 3);
}

#[test]
fn a_client_that_leaves_stays_charged_unless_it_is_said() {
    for (choice, left) in [(OnAbandoned::Charged, 0), (OnAbandoned::Refunded, 3)] {
        let fixture = Fixture::policy(failures().on_abandoned(choice));
        let mut service =
            fixture.layer.layer(service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()));
        for _ in 0..3 {
            let mut future = Box::pin(call(&mut service, get("/")));
            assert!((&mut future).now_or_never().is_none());
        }
        assert_eq!(fixture.admitted(9, || get("/")).min(3), left, "{choice:?}");
    }
}

#[test]
fn an_error_counts_as_abandoned() {
    for (choice, left) in [(OnAbandoned::Charged, 0), (OnAbandoned::Refunded, 1)] {
        let fixture = Fixture::policy(failures().on_abandoned(choice));
        let mut service = fixture.layer.layer(service_fn(|_| async { Err::<Response<Full<Bytes>>, _>("down") }));
        for _ in 0..3 {
            assert_eq!(call(&mut service, get("/")).now_or_never().unwrap().unwrap_err(), "down");
        }
        assert_eq!(fixture.admitted(1, || get("/")), left, "{choice:?}");
    }
}

#[test]
fn a_refund_is_not_given_for_what_time_brought_back() {
    // Slow requests that turn out not to count must not pay for quick ones that do.
    let fixture =
        Fixture::policy(Policy::new("p", per(5, 5)).key(GlobalKey).count_statuses([http::StatusCode::UNAUTHORIZED]));
    let status = Rc::new(Cell::new(None));
    let teller = Rc::clone(&status);
    let mut service = fixture.layer.layer(service_fn(move |_| {
        let status = Rc::clone(&teller);
        std::future::poll_fn(move |_| match status.get() {
            None => std::task::Poll::Pending,
            Some(status) => std::task::Poll::Ready(Ok::<_, Infallible>(
                Response::builder().status::<u16>(status).body(Full::<Bytes>::default()).unwrap(),
            )),
        })
    }));
    let slow: Vec<_> = (0..5).map(|_| Box::pin(call(&mut service, get("/")))).collect();
    fixture.hand.advance(secs(5));
    status.set(Some(401));
    for _ in 0..5 {
        assert_eq!(call(&mut service, get("/")).now_or_never().unwrap().unwrap().status(), 401);
    }
    status.set(Some(200));
    for slow in slow {
        assert_eq!(slow.now_or_never().unwrap().unwrap().status(), 200);
    }
    assert_eq!(fixture.status(get("/")), 429);
}

#[test]
fn the_true_cost_replaces_the_guess() {
    let policy = Policy::new("tokens", per(100, 100)).key(GlobalKey).cost(|_| 10).charge_after(|response| {
        response.headers().get("tokens").map_or(0, |used| used.to_str().unwrap().parse().unwrap())
    });
    let fixture = Fixture::policy(policy);
    let used = |tokens: u32| {
        let answer = fixture
            .respond(get("/"), move |_| Response::builder().header("tokens", tokens).body(Full::default()).unwrap());
        field(&answer, "ratelimit")
    };
    assert!(used(30).starts_with("\"tokens\";r=70;"));
    assert!(used(5).starts_with("\"tokens\";r=65;"));
    // Dearer than all that is left: the debt is paid off before the next one.
    assert!(used(165).starts_with("\"tokens\";r=0;t=101"));
    fixture.hand.advance(secs(109));
    assert_eq!(fixture.status(get("/")), 429);
    fixture.hand.advance(secs(1));
    assert_eq!(fixture.status(get("/")), 200);
}

#[test]
fn a_window_refunds_within_itself_alone() {
    let policy =
        Policy::new("w", per(2, 10).fixed_window()).key(GlobalKey).count_statuses([http::StatusCode::UNAUTHORIZED]);
    let fixture = Fixture::policy(policy);
    let mut service =
        fixture.layer.layer(service_fn(|_| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>()));
    assert_eq!(fixture.admitted(20, || get("/")), 20);
    let failed = || fixture.send_to(get("/"), |_| StatusCode::UNAUTHORIZED).status().as_u16();
    let hanging = call(&mut service, get("/"));
    fixture.hand.advance(secs(11));
    assert_eq!([failed(), failed(), failed()], [401, 401, 429]);
    drop(hanging);
    assert_eq!(failed(), 429);
}
