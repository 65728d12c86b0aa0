//! What permits, probes and trailers come to at the edges.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_rampart::ClockHand;
use tower_rampart::circuit_breaker::{
    CircuitBreaker, CircuitBreakerHandle, CircuitBreakerLayer, OnAbandoned, Permit, State, Window,
};

use crate::support::{manual, ms, small};

fn built(breaker: CircuitBreaker) -> (CircuitBreakerLayer, CircuitBreakerHandle, ClockHand) {
    let (breaker, hand) = manual(breaker);
    let layer = breaker.build().unwrap();
    let handle = layer.handle();
    (layer, handle, hand)
}

fn permit(handle: &CircuitBreakerHandle) -> Permit {
    handle.admit().unwrap()
}

/// Opens a circuit of [`small`] and lets its interval pass.
fn to_half_open(handle: &CircuitBreakerHandle, hand: &ClockHand) {
    for _ in 0..4 {
        permit(handle).failure();
    }
    hand.advance(ms(1000));
    assert_eq!(handle.snapshot().state, State::HalfOpen);
}

#[test]
fn slow_calls_of_all_buckets_are_added_up() {
    let breaker = small().window(Window::time(ms(10_000))).failure_rate(None).slow_call(ms(100)).slow_rate(0.5);
    let (_, handle, hand) = built(breaker);
    for is_slow in [false, true, false] {
        let call = permit(&handle);
        hand.advance(ms(if is_slow { 100 } else { 99 }));
        call.success();
        hand.advance(ms(2000));
    }
    assert_eq!((handle.snapshot().calls, handle.snapshot().slow, handle.snapshot().state), (3, 1, State::Closed));
    let call = permit(&handle);
    hand.advance(ms(100));
    call.success();
    assert_eq!((handle.snapshot().totals.opened, handle.snapshot().state), (1, State::Open));
}

#[test]
fn a_slow_probe_fails() {
    for (slow_ms, state) in [(100, State::Open), (99, State::Closed)] {
        let (_, handle, hand) = built(small().slow_call(ms(100)));
        to_half_open(&handle, &hand);
        let probes = [permit(&handle), permit(&handle)];
        hand.advance(ms(slow_ms));
        for probe in probes {
            probe.success();
        }
        assert_eq!(handle.snapshot().state, state, "{slow_ms}");
    }
}

#[test]
fn what_is_ignored_says_nothing_however_slow() {
    let (_, handle, hand) = built(small().slow_call(ms(100)));
    for is_ignored in [true, false] {
        let call = permit(&handle);
        hand.advance(ms(5000));
        if is_ignored {
            call.ignore();
        } else {
            drop(call);
        }
        let totals = handle.snapshot().totals;
        assert_eq!((totals.neutral, totals.failures), (1, u64::from(!is_ignored)));
    }
    assert_eq!(handle.snapshot().calls, 1);
}

#[test]
fn a_call_that_is_left_is_slow_when_it_was() {
    let breaker = small().slow_call(ms(100)).on_abandoned(OnAbandoned::FailAfter(ms(50)));
    let (_, handle, hand) = built(breaker);
    for (after, failures, slow) in [(49, 0, 0), (50, 1, 0), (99, 2, 0), (100, 3, 1)] {
        let call = permit(&handle);
        hand.advance(ms(after));
        drop(call);
        let snapshot = handle.snapshot();
        assert_eq!((snapshot.failures, snapshot.slow), (failures, slow), "{after}");
    }
}

#[test]
fn while_all_probes_run_the_first_lease_says_how_long() {
    let (layer, handle, hand) = built(small());
    to_half_open(&handle, &hand);
    let first = permit(&handle);
    assert_eq!(handle.snapshot().open_for, None, "one may still come");
    hand.advance(ms(2000));
    let second = permit(&handle);
    assert_eq!(handle.snapshot().open_for, Some(ms(3000)));
    assert_eq!(handle.admit().unwrap_err().retry_after(), Some(ms(3000)));
    // One that is given back is free for the next, with a lease of its own.
    first.ignore();
    hand.advance(ms(1000));
    let third = permit(&handle);
    assert_eq!(handle.snapshot().open_for, Some(ms(4000)), "the second's ends first");
    drop((second, third, layer));
}

#[test]
fn a_ramp_is_over_at_its_end_though_nobody_calls() {
    let (_, handle, hand) = built(small().ramp_up(ms(10_000)));
    to_half_open(&handle, &hand);
    for _ in 0..2 {
        permit(&handle).success();
    }
    assert_eq!(handle.snapshot().state, State::RampUp);
    hand.advance(ms(9_999));
    assert_eq!(handle.snapshot().state, State::RampUp);
    hand.advance(ms(1));
    assert_eq!(handle.snapshot().state, State::Closed);
}

type Answer = Response<http_body_util::combinators::BoxBody<Bytes, Infallible>>;

/// A gRPC answer whose head takes so long, with these trailers.
async fn trailed(layer: &CircuitBreakerLayer, hand: &ClockHand, head_ms: u64, trailers: &[(&'static str, &str)]) {
    let fields: HeaderMap = trailers
        .iter()
        .map(|(name, value)| (http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
        .collect();
    let hand = hand.clone();
    let inner = service_fn(move |_: Request<Empty<Bytes>>| {
        hand.advance(ms(head_ms));
        let body = StreamBody::new(stream::iter([Ok::<_, Infallible>(Frame::trailers(fields.clone()))]));
        let answer: Answer =
            Response::builder().header("content-type", "application/grpc").body(BodyExt::boxed(body)).unwrap();
        async move { Ok::<_, Infallible>(answer) }
    });
    let request = Request::post("http://test/").body(Empty::new()).unwrap();
    let response = layer.layer(inner).ready().await.unwrap().call(request).await.unwrap();
    let _ = response.into_body().collect().await;
}

/// tonic's server says CANCELLED when its own timeout passes.
#[tokio::test]
async fn cancelled_in_trailers_is_a_timeout_where_the_call_was_slow() {
    for (head_ms, status, failures) in [(100, "1", 1), (99, "1", 0), (100, "0", 0), (100, "13", 1)] {
        let (layer, handle, hand) = built(small().slow_call(ms(100)));
        trailed(&layer, &hand, head_ms, &[("grpc-status", status)]).await;
        let totals = handle.snapshot().totals;
        assert_eq!((totals.failures, totals.successes), (failures, 1 - failures), "{head_ms} {status}");
    }
}

#[tokio::test]
async fn a_pushback_in_trailers_makes_it_longer() {
    for (pushback, open_ms) in [("5000", 5000), ("10", 1000)] {
        let (layer, handle, hand) = built(small().min_calls(1));
        trailed(&layer, &hand, 0, &[("grpc-status", "8"), ("grpc-retry-pushback-ms", pushback)]).await;
        assert_eq!(handle.snapshot().open_for, Some(ms(open_ms)));
    }
}
