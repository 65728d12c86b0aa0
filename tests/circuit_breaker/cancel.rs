//! Calls that are left, at every point, and panics.

use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::Empty;
use tower::{Layer, Service};
use tower_rampart::circuit_breaker::{OnAbandoned, State};

use crate::support::{context, manual, ms, small};

/// Waits so many polls for its head, and so many for each of two frames.
#[derive(Clone, Copy)]
struct Slow {
    polls: usize,
    panics_at: Option<usize>,
}

struct Waits {
    left: usize,
    polled: usize,
    script: Slow,
}

impl Service<Request<Empty<Bytes>>> for Slow {
    type Response = Response<Frames>;
    type Error = Infallible;
    type Future = Waits;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Empty<Bytes>>) -> Waits {
        assert!(self.panics_at != Some(0), "in call");
        Waits { left: self.polls, polled: 0, script: *self }
    }
}

impl Future for Waits {
    type Output = Result<Response<Frames>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        self.polled += 1;
        assert!(self.script.panics_at != Some(self.polled), "in poll");
        if self.left > 0 {
            self.left -= 1;
            return Poll::Pending;
        }
        let polled = self.polled;
        Poll::Ready(Ok(Response::new(Frames { left: 2, waits: self.script.polls, polled, script: self.script })))
    }
}

struct Frames {
    left: usize,
    waits: usize,
    polled: usize,
    script: Slow,
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.polled += 1;
        assert!(self.script.panics_at != Some(self.polled), "in a body");
        if self.waits > 0 {
            self.waits -= 1;
            return Poll::Pending;
        }
        if self.left == 0 {
            return Poll::Ready(None);
        }
        self.left -= 1;
        self.waits = self.script.polls;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

/// Plays an exchange for so many polls, and leaves. Says whether it was over.
fn play<S, B>(service: &mut S, polls: usize) -> bool
where
    S: Service<Request<Empty<Bytes>>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body<Data = Bytes, Error = Infallible>,
{
    let mut left = polls;
    assert!(service.poll_ready(&mut context()).is_ready());
    let mut future = pin!(service.call(Request::new(Empty::new())));
    let response = loop {
        if left == 0 {
            return false;
        }
        left -= 1;
        if let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut context()) {
            break response;
        }
    };
    let mut body = pin!(response.into_body());
    while left > 0 {
        left -= 1;
        if let Poll::Ready(None) = body.as_mut().poll_frame(&mut context()) {
            return true;
        }
    }
    false
}

const POLLS: usize = 3;
/// Three for the head and one that brings it, four for each frame and for the end.
const ALL: usize = 4 + 4 + 4 + 4;

#[test]
fn a_call_left_at_any_point_gives_everything_back() {
    for polls in 0..=ALL {
        let (breaker, hand) = manual(small().probes(1));
        let layer = breaker.build().unwrap();
        let handle = layer.handle();
        let mut service = layer.layer(Slow { polls: POLLS, panics_at: None });
        // While it is closed nothing is held against anybody.
        for _ in 0..8 {
            assert_eq!(play(&mut service, polls), polls == ALL);
        }
        assert_eq!(handle.snapshot().failures, 0);
        while let Ok(permit) = handle.admit() {
            permit.failure();
        }
        hand.advance(ms(1000));
        // While it is half-open the one slot is free again, or the call has decided.
        play(&mut service, polls);
        let after = handle.snapshot().state;
        let has_answered = polls >= 4;
        assert_eq!(after, if has_answered { State::Closed } else { State::HalfOpen }, "after {polls} polls");
        assert!(handle.admit().is_ok(), "after {polls} polls");
    }
}

#[test]
fn a_panic_at_any_point_counts_and_frees_its_slot() {
    for at in 0..ALL {
        let (breaker, hand) = manual(small().probes(1).min_calls(1));
        let layer = breaker.build().unwrap();
        let handle = layer.handle();
        let mut service = layer.layer(Slow { polls: POLLS, panics_at: Some(at) });
        let mut panics = || catch_unwind(AssertUnwindSafe(|| play(&mut service, ALL))).is_err();
        assert!(panics(), "at {at}");
        assert_eq!((handle.snapshot().state, handle.snapshot().totals.failures), (State::Open, 1), "at {at}");
        hand.advance(ms(1000));
        assert!(panics(), "at {at}");
        assert_eq!((handle.snapshot().state, handle.snapshot().openings_in_a_row), (State::Open, 2), "at {at}");
    }
}

/// A task's future is dropped after its panic was caught, when nothing unwinds any more.
#[test]
fn a_panic_counts_however_late_the_future_is_dropped() {
    let layer = small().build().unwrap();
    let mut service = layer.layer(Slow { polls: POLLS, panics_at: Some(2) });
    assert!(service.poll_ready(&mut context()).is_ready());
    let mut future = Box::pin(service.call(Request::new(Empty::new())));
    assert!(future.as_mut().poll(&mut context()).is_pending());
    assert!(catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context()))).is_err());
    assert_eq!(layer.handle().snapshot().totals.failures, 0);
    drop(future);
    assert_eq!(layer.handle().snapshot().totals.failures, 1);
}

#[test]
fn a_call_that_was_slow_when_it_was_left_counts() {
    for (policy, slow_call, passes, failures) in [
        (None, Some(ms(2000)), 1999, 0),
        (None, Some(ms(2000)), 2000, 1),
        (None, None, 2000, 1),
        (Some(OnAbandoned::FailAfter(ms(100))), None, 100, 1),
        (Some(OnAbandoned::FailAfter(ms(100))), None, 99, 0),
        (Some(OnAbandoned::Ignore), Some(ms(2000)), 9000, 0),
    ] {
        let mut breaker = small().slow_call(slow_call);
        if let Some(policy) = policy {
            breaker = breaker.on_abandoned(policy);
        }
        let (breaker, hand) = manual(breaker);
        let layer = breaker.build().unwrap();
        let mut service = layer.layer(Slow { polls: POLLS, panics_at: None });
        assert!(service.poll_ready(&mut context()).is_ready());
        let mut future = Box::pin(service.call(Request::new(Empty::new())));
        assert!(future.as_mut().poll(&mut context()).is_pending());
        hand.advance(ms(passes));
        drop(future);
        assert_eq!(layer.handle().snapshot().totals.failures, failures, "{policy:?} {passes}");
    }
}

/// A permit without a service is a call from when it is given.
#[test]
fn a_permit_that_was_held_long_counts_when_it_is_left() {
    for (policy, slow_call, passes, failures) in [
        (None, None, 1999, 0),
        (None, None, 2000, 1),
        (None, Some(ms(1000)), 1000, 1),
        (Some(OnAbandoned::FailAfter(ms(100))), None, 100, 1),
        (Some(OnAbandoned::Ignore), None, 9000, 0),
    ] {
        let mut breaker = small().slow_call(slow_call);
        if let Some(policy) = policy {
            breaker = breaker.on_abandoned(policy);
        }
        let (breaker, hand) = manual(breaker);
        let handle = breaker.build().unwrap().handle();
        let permit = handle.admit().unwrap();
        hand.advance(ms(passes));
        drop(permit);
        assert_eq!(handle.snapshot().totals.failures, failures, "{policy:?} {passes}");
    }
}

#[test]
fn twenty_calls_cut_off_by_an_outer_timeout_open_it() {
    let (breaker, hand) = manual(small().failure_rate(None).consecutive_failures(3));
    let layer = breaker.build().unwrap();
    let mut service = layer.layer(Slow { polls: 100, panics_at: None });
    for _ in 0..3 {
        let mut future = pin!(service.call(Request::new(Empty::new())));
        assert!(future.as_mut().poll(&mut context()).is_pending());
        hand.advance(ms(2000));
    }
    assert_eq!(layer.handle().snapshot().state, State::Open);
}
