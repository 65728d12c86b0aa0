use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{HeaderName, Request};
use proptest::prelude::*;
use tower::{Layer, Service};
use tower_rampart::deadline::{DeadlineLayer, DeadlineService, Deadlines, TimeoutField};
use tower_rampart::problem::ProblemKind;
use tower_rampart::{Clock, ClockHand, Deadline, Origin, Rejection};

use crate::support::{Handler, at_once, grpc, millis, poll, request, secs};

fn layered(deadlines: Deadlines, handler: &Handler) -> (DeadlineService<Handler>, Clock, ClockHand) {
    let (clock, hand) = Clock::manual();
    let layer = deadlines.with_clock(clock.clone()).build().unwrap();
    (layer.layer(handler.clone()), clock, hand)
}

fn seen(handler: &Handler) -> Option<Deadline> {
    handler.last().1.get::<Deadline>().copied()
}

/// What becomes of a request on a handler that is quick.
fn status(deadlines: Deadlines, request: Request<()>) -> (u16, Option<String>, usize) {
    let handler = Handler::default();
    let (mut service, _, _) = layered(deadlines, &handler);
    let response = at_once(service.call(request));
    let grpc_status = response.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
    (response.status().as_u16(), grpc_status, handler.count())
}

#[test]
fn what_is_malformed_is_refused_before_anybody_is_asked() {
    for timeout in ["", "1", "S", "1s", "123456789S", "-1S", "1.5S", " 1S", "1S,2S"] {
        let fields = [("grpc-timeout", timeout)];
        assert_eq!(status(Deadlines::new(), request(&fields)), (400, None, 0), "{timeout}");
        assert_eq!(status(Deadlines::new(), grpc(&fields)), (200, Some("3".to_owned()), 0), "{timeout}");
        // Nobody reads it here.
        assert_eq!(status(Deadlines::new().ignore_grpc_timeout(), request(&fields)).0, 200, "{timeout}");
    }
    let twice = [("grpc-timeout", "1S"), ("grpc-timeout", "1S")];
    assert_eq!(status(Deadlines::new(), request(&twice)), (400, None, 0));
}

#[test]
fn what_has_passed_already_is_refused_before_anybody_is_asked() {
    assert_eq!(status(Deadlines::new(), request(&[("grpc-timeout", "0S")])), (504, None, 0));
    assert_eq!(status(Deadlines::new(), grpc(&[("grpc-timeout", "0n")])), (200, Some("4".to_owned()), 0));
    // By an outer layer's word.
    let handler = Handler::default();
    let (mut service, clock, hand) = layered(Deadlines::new(), &handler);
    let mut late = request(&[]);
    late.extensions_mut().insert(Deadline::at(clock.now()));
    hand.advance(millis(1));
    let response = at_once(service.call(late));
    assert_eq!((response.status().as_u16(), handler.count()), (504, 0));
    let rejection = response.extensions().get::<Rejection>().unwrap();
    assert_eq!((rejection.origin(), rejection.problem().kind()), (Origin::Deadline, ProblemKind::DeadlineExceeded));
}

#[test]
fn the_smaller_counts_and_stands_in_the_extensions() {
    let x = || Deadlines::new().add_field(TimeoutField::milliseconds(HeaderName::from_static("x-timeout-ms")));
    for (deadlines, fields, expected) in [
        (Deadlines::new(), &[][..], Some(secs(30))),
        (Deadlines::new().max_time(secs(5)), &[], Some(secs(5))),
        (Deadlines::new().max_time(secs(5)), &[("grpc-timeout", "3S")], Some(secs(3))),
        (Deadlines::new().max_time(secs(5)), &[("grpc-timeout", "7S")], Some(secs(5))),
        (Deadlines::new().max_time(None), &[], None),
        (Deadlines::new().max_time(None), &[("grpc-timeout", "7S")], Some(secs(7))),
        (Deadlines::new().max_time(None), &[("x-timeout-ms", "7")], None),
        (x().max_time(secs(5)), &[("grpc-timeout", "3S"), ("x-timeout-ms", "250")], Some(millis(250))),
        (x().max_time(secs(5)), &[("grpc-timeout", "99999999H"), ("x-timeout-ms", "99999999999")], Some(secs(5))),
    ] {
        let handler = Handler::default();
        let (mut service, clock, _) = layered(deadlines, &handler);
        at_once(service.call(request(fields)));
        assert_eq!(seen(&handler).map(|deadline| deadline.left(clock.now())), expected, "{fields:?}");
    }
}

#[test]
fn nested_layers_keep_the_earlier() {
    let (clock, _) = Clock::manual();
    let layer = |max| Deadlines::new().max_time(max).with_clock(clock.clone()).build().unwrap();
    for (outer, inner) in [(secs(2), secs(3)), (secs(3), secs(2))] {
        let handler = Handler::default();
        at_once(layer(outer).layer(layer(inner).layer(handler.clone())).call(request(&[])));
        assert_eq!(seen(&handler).unwrap().left(clock.now()), secs(2));
    }
}

#[test]
fn at_the_deadline_the_call_is_dropped_and_answered() {
    let handler = Handler::slow();
    let (mut service, _, hand) = layered(Deadlines::new().max_time(secs(5)), &handler);
    let idle = handler.live();
    let mut call = Box::pin(service.call(request(&[])));
    assert!(poll(&mut call).is_pending());
    hand.advance(millis(4999));
    assert!(poll(&mut call).is_pending());
    assert_eq!(handler.live(), idle + 1);
    hand.advance(millis(1));
    let Poll::Ready(Ok(response)) = poll(&mut call) else { panic!("an answer") };
    // The future is still held, and what it called is gone.
    assert_eq!(handler.live(), idle);
    assert_eq!(response.status(), 504);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    assert!(response.extensions().get::<Rejection>().is_some());
    assert!(poll(&mut call).is_pending());

    let mut call = Box::pin(service.call(grpc(&[("grpc-timeout", "1S")])));
    assert!(poll(&mut call).is_pending());
    hand.advance(secs(1));
    let Poll::Ready(Ok(response)) = poll(&mut call) else { panic!("an answer") };
    assert_eq!((response.status().as_u16(), &response.headers()["grpc-status"]), (200, &"4".parse().unwrap()));
}

/// What is there counts, even if the deadline has passed since: the work is done.
#[test]
fn an_answer_that_is_there_is_given() {
    let handler = Handler::default();
    handler.polls.store(1, Ordering::Relaxed);
    let (mut service, _, hand) = layered(Deadlines::new().max_time(secs(5)), &handler);
    let mut call = Box::pin(service.call(request(&[])));
    assert!(poll(&mut call).is_pending());
    hand.advance(secs(60));
    assert_eq!(call.now_or_never().unwrap().unwrap().status(), 200);
}

/// The time counts from the call: whoever is polled late for the first time has no more of it.
#[test]
fn time_before_the_first_poll_counts() {
    let handler = Handler::slow();
    let (mut service, _, hand) = layered(Deadlines::new().max_time(secs(5)), &handler);
    let call = service.call(request(&[]));
    hand.advance(secs(5));
    assert_eq!(at_once(call).status(), 504);
}

#[test]
fn an_empty_layer_leaves_requests_alone() {
    let handler = Handler::default();
    let response =
        at_once(DeadlineLayer::empty().layer(handler.clone()).call(request(&[("grpc-timeout", "nonsense")])));
    assert_eq!((response.status().as_u16(), seen(&handler)), (200, None));
}

#[test]
fn what_is_no_configuration() {
    let x = || TimeoutField::seconds(HeaderName::from_static("x-timeout"));
    for (deadlines, message) in [
        (Deadlines::new().max_time(Duration::ZERO), "max_time: `0s` refuses everything"),
        (Deadlines::new().add_field(x()).add_field(x()), "field: `x-timeout` is named twice"),
        (Deadlines::new().add_field(TimeoutField::grpc()), "field: `grpc-timeout` is named twice"),
    ] {
        assert!(deadlines.clone().build().unwrap_err().to_string().starts_with(message));
        assert!(deadlines.build_with_body().is_err());
    }
}

proptest! {
    /// Whatever the field says, the layer answers, and the deadline is never later than the maximum.
    #[test]
    fn any_field(timeout in "[0-9 HMSmunx.+-]{0,12}") {
        let handler = Handler::default();
        let (mut service, clock, _) = layered(Deadlines::new().max_time(secs(30)), &handler);
        let Ok(value) = http::HeaderValue::from_str(&timeout) else { return Ok(()) };
        let mut request = request(&[]);
        request.headers_mut().insert("grpc-timeout", value);
        let status = at_once(service.call(request)).status().as_u16();
        prop_assert!([200, 400, 504].contains(&status));
        prop_assert_eq!(status == 200, handler.count() == 1);
        if status == 200 {
            let left = seen(&handler).unwrap().left(clock.now());
            prop_assert!(left > Duration::ZERO && left <= secs(30));
        }
    }
}
