//! Calls that something else holds up.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, service_fn};
use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, CircuitBreakerLayer, ErrorsBy};
use tower_rampart::classify::Verdict;
use tower_rampart::{Clock, ClockHand, Holdup, TimedOut};

use crate::support::{ms, small};

/// Goes on once it is told to.
#[derive(Clone, Default)]
struct Gate(Arc<AtomicBool>);

impl Gate {
    fn open(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    async fn passed(&self) {
        poll_fn(|_| if self.0.load(Ordering::SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// A body that ends when its sender wants.
impl Body for Gate {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.load(Ordering::SeqCst) { Poll::Ready(None) } else { Poll::Pending }
    }
}

struct Guarded {
    layer: CircuitBreakerLayer<ErrorsBy<TimedOut>>,
    clock: Clock,
    hand: ClockHand,
}

type Call = Pin<Box<dyn Future<Output = Option<u16>>>>;

/// A call, whose request's body ends at one gate, and whose answer, or error, comes at another.
struct Upload {
    sender: Gate,
    answer: Gate,
    call: Call,
}

impl Guarded {
    fn new(breaker: CircuitBreaker) -> Self {
        let (clock, hand) = Clock::manual();
        let breaker = breaker.classify_errors(ErrorsBy::new(|_: &TimedOut| Verdict::TimedOut));
        Self { layer: breaker.with_clock(clock.clone()).build().unwrap(), clock, hand }
    }

    fn handle(&self) -> CircuitBreakerHandle {
        self.layer.handle()
    }

    /// A call of a service that reads the whole body first. Its sender is watched, or not.
    fn upload(&self, is_watched: bool, fails: bool) -> Upload {
        let (sender, answer) = (Gate::default(), Gate::default());
        let gate = answer.clone();
        let mut service = self.layer.layer(service_fn(move |request: Request<_>| {
            let gate = gate.clone();
            async move {
                let body: http_body_util::combinators::BoxBody<Bytes, Infallible> = request.into_body();
                if fails {
                    // As a timeout does it: the call is dropped, wherever it stands.
                    let mut reading = Box::pin(body.collect().fuse());
                    let mut late = Box::pin(gate.passed());
                    poll_fn(|cx| {
                        let _ = reading.as_mut().poll(cx);
                        late.as_mut().poll(cx)
                    })
                    .await;
                    return Err(TimedOut);
                }
                let _ = body.collect().await;
                gate.passed().await;
                Ok(Response::new(Full::<Bytes>::default()))
            }
        }));
        let holdup = Holdup::with_clock(self.clock.clone());
        let mut request = Request::new(match is_watched {
            true => BodyExt::boxed(holdup.watch(sender.clone())),
            false => BodyExt::boxed(sender.clone()),
        });
        if is_watched {
            request.extensions_mut().insert(holdup);
        }
        let call = service.call(request);
        let call = Box::pin(async move {
            let response = call.await.ok()?;
            let status = response.status().as_u16();
            let _ = response.into_body().collect().await;
            Some(status)
        });
        Upload { sender, answer, call }
    }
}

impl Upload {
    fn poll(&mut self) -> Option<Option<u16>> {
        self.call.as_mut().now_or_never()
    }
}

fn slow() -> CircuitBreaker {
    small().failure_rate(None).slow_call(ms(100)).slow_rate(0.5)
}

/// A client that is slow to send makes nobody slow but itself.
#[test]
fn the_time_of_a_slow_sender_is_not_the_services() {
    for (is_watched, slow_calls) in [(false, 1), (true, 0)] {
        let guarded = Guarded::new(slow());
        let mut upload = guarded.upload(is_watched, false);
        assert_eq!(upload.poll(), None);
        guarded.hand.advance(ms(5000));
        upload.sender.open();
        assert_eq!(upload.poll(), None);
        guarded.hand.advance(ms(99));
        upload.answer.open();
        assert_eq!(upload.poll(), Some(Some(200)));
        let snapshot = guarded.handle().snapshot();
        assert_eq!((snapshot.calls, snapshot.slow), (1, slow_calls), "watched: {is_watched}");
    }
}

#[test]
fn but_what_comes_after_it_is() {
    let guarded = Guarded::new(slow());
    let mut upload = guarded.upload(true, false);
    assert_eq!(upload.poll(), None);
    upload.sender.open();
    assert_eq!(upload.poll(), None);
    guarded.hand.advance(ms(100));
    upload.answer.open();
    assert_eq!(upload.poll(), Some(Some(200)));
    assert_eq!(guarded.handle().snapshot().slow, 1);
}

/// Left by an outer timeout, say.
#[test]
fn a_call_that_is_left_while_its_sender_stalls_counts_as_nothing() {
    for (is_watched, is_sent, failures) in [(false, false, 1), (true, false, 0), (true, true, 1)] {
        let guarded = Guarded::new(slow());
        let mut upload = guarded.upload(is_watched, false);
        assert_eq!(upload.poll(), None);
        if is_sent {
            upload.sender.open();
            assert_eq!(upload.poll(), None);
        }
        guarded.hand.advance(ms(5000));
        drop(upload);
        let totals = guarded.handle().snapshot().totals;
        assert_eq!((totals.failures, totals.neutral), (failures, 1 - failures), "{is_watched} {is_sent}");
    }
}

/// Cut off by a timeout further in: half of the time is enough to be at fault.
#[test]
fn a_timeout_is_the_services_where_it_had_the_time() {
    for (held_ms, free_ms, failures) in [(1000, 0, 0), (900, 100, 0), (501, 499, 0), (500, 500, 1), (0, 1000, 1)] {
        let guarded = Guarded::new(slow());
        let mut upload = guarded.upload(true, true);
        assert_eq!(upload.poll(), None);
        guarded.hand.advance(ms(held_ms));
        if free_ms > 0 {
            upload.sender.open();
            assert_eq!(upload.poll(), None);
            guarded.hand.advance(ms(free_ms));
        }
        upload.answer.open();
        assert_eq!(upload.poll(), Some(None));
        let totals = guarded.handle().snapshot().totals;
        assert_eq!((totals.failures, totals.neutral), (failures, 1 - failures), "{held_ms} {free_ms}");
    }
}

/// Without a time that is slow, nobody else would ask for the time.
#[test]
fn whatever_else_the_breaker_looks_at() {
    let guarded = Guarded::new(small());
    let mut upload = guarded.upload(true, true);
    assert_eq!(upload.poll(), None);
    guarded.hand.advance(ms(1000));
    upload.answer.open();
    assert_eq!(upload.poll(), Some(None));
    assert_eq!(guarded.handle().snapshot().totals.neutral, 1);
}

/// The same, where the timeout is a response: its mark tells it from other 504s.
#[tokio::test]
async fn a_response_in_the_stead_of_a_late_one() {
    for (is_marked, is_held, status, outcome) in
        [(true, true, 504, (0, 1)), (true, false, 504, (1, 0)), (false, true, 504, (1, 0)), (true, true, 429, (0, 0))]
    {
        let guarded = Guarded::new(slow());
        let hand = guarded.hand.clone();
        let mut service = guarded.layer.layer(service_fn(move |request: Request<_>| {
            let mut body: http_body_util::combinators::BoxBody<Bytes, Infallible> = request.into_body();
            let _ = body.frame().now_or_never();
            hand.advance(ms(50));
            let mut response = Response::builder().status(status).body(Full::<Bytes>::default()).unwrap();
            if is_marked {
                response.extensions_mut().insert(TimedOut);
            }
            async move { Ok::<_, TimedOut>(response) }
        }));
        let holdup = Holdup::with_clock(guarded.clock.clone());
        let sender = Gate::default();
        if !is_held {
            sender.open();
        }
        let mut request = Request::new(BodyExt::boxed(holdup.watch(sender)));
        request.extensions_mut().insert(holdup);
        drop(service.call(request).await.unwrap().into_body());
        let totals = guarded.handle().snapshot().totals;
        assert_eq!((totals.failures, totals.neutral), outcome, "{is_marked} {is_held} {status}");
    }
}
