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
use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, CircuitBreakerLayer, ErrorsBy, State};
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

/// A circuit that has opened, and has been open for its time.
fn due(breaker: CircuitBreaker) -> Guarded {
    let guarded = Guarded::new(breaker);
    for _ in 0..4 {
        guarded.handle().admit().unwrap().failure();
    }
    assert_eq!(guarded.handle().snapshot().state, State::Open);
    guarded.hand.advance(ms(1000));
    guarded
}

/// Callers that stall their uploads keep no circuit from being tried by others, nor open it again.
#[test]
fn a_probe_that_its_caller_holds_up_gives_its_slot_to_the_next() {
    let guarded = due(small());
    let mut stalled = [guarded.upload(true, false), guarded.upload(true, false)];
    assert!(stalled.iter_mut().all(|upload| upload.poll().is_none()));
    guarded.hand.advance(ms(4999));
    assert!(guarded.handle().admit().is_err(), "they have their time");
    guarded.hand.advance(ms(1));
    let first = guarded.handle().admit().expect("the slot of one that is held up");
    let second = guarded.handle().admit().expect("and of the other");
    assert!(guarded.handle().admit().is_err(), "there are two");
    first.success();
    second.success();
    assert_eq!(guarded.handle().snapshot().state, State::Closed);
    // What they come to in the end says nothing.
    for upload in &mut stalled {
        upload.sender.open();
        upload.answer.open();
        assert_eq!(upload.poll(), Some(Some(200)));
    }
    let totals = guarded.handle().snapshot().totals;
    assert_eq!((totals.successes, totals.neutral, totals.stale), (2, 2, 2));
}

/// Whichever comes first, its result or the loss of its slot: both cannot be.
#[test]
fn a_probe_that_is_not_held_up_any_more_keeps_its_slot() {
    let guarded = due(small());
    let mut uploads = [guarded.upload(true, false), guarded.upload(true, false)];
    for upload in &mut uploads {
        assert_eq!(upload.poll(), None);
        guarded.hand.advance(ms(2000));
        upload.sender.open();
        assert_eq!(upload.poll(), None);
    }
    assert!(guarded.handle().admit().is_err());
    for upload in &mut uploads {
        upload.answer.open();
        assert_eq!(upload.poll(), Some(Some(200)));
    }
    assert_eq!(guarded.handle().snapshot().state, State::Closed);
}

/// A hung service is no hung caller: its lease runs on, and then it has failed.
#[test]
fn a_probe_that_nobody_holds_up_but_the_service_fails_by_its_lease() {
    let guarded = due(small());
    let mut uploads = [guarded.upload(true, false), guarded.upload(false, false)];
    for upload in &mut uploads {
        upload.sender.open();
        assert_eq!(upload.poll(), None);
    }
    guarded.hand.advance(ms(4999));
    assert_eq!(guarded.handle().snapshot().state, State::HalfOpen);
    guarded.hand.advance(ms(1));
    assert!(guarded.handle().admit().is_err());
    assert_eq!(guarded.handle().snapshot().state, State::Open);
}

/// A layer that is polled ready must not say no before it has looked.
#[test]
fn a_service_that_is_polled_ready_takes_such_a_slot_too() {
    let guarded = due(small().probes(1));
    let mut stalled = guarded.upload(true, false);
    assert_eq!(stalled.poll(), None);
    guarded.hand.advance(ms(5000));
    let mut service = guarded
        .layer
        .layer(service_fn(|_: Request<()>| async { Ok::<_, TimedOut>(Response::new(Full::<Bytes>::default())) }));
    assert!(poll_fn(|cx| service.poll_ready(cx)).now_or_never().unwrap().is_ok());
    let response = service.call(Request::new(())).now_or_never().unwrap().unwrap();
    assert_eq!(response.status(), 200);
    drop(response);
    assert_eq!(guarded.handle().snapshot().state, State::Closed);
    drop(stalled);
    assert_eq!(guarded.handle().snapshot().totals.neutral, 1);
}

/// What comes of a probe whose slot another has says nothing of that one.
#[test]
fn who_has_lost_its_slot_decides_nothing() {
    for fails in [false, true] {
        let guarded = due(small().probes(1));
        let mut stalled = guarded.upload(true, fails);
        assert_eq!(stalled.poll(), None);
        guarded.hand.advance(ms(5000));
        let probe = guarded.handle().admit().expect("the slot of the one that is held up");
        stalled.sender.open();
        assert_eq!(stalled.poll(), None);
        guarded.hand.advance(ms(3000));
        stalled.answer.open();
        assert_eq!(stalled.poll(), Some(if fails { None } else { Some(200) }));
        assert_eq!(guarded.handle().snapshot().state, State::HalfOpen, "fails: {fails}");
        assert!(guarded.handle().admit().is_err(), "the slot is not free");
        if fails {
            probe.success()
        } else {
            probe.failure()
        }
        assert_eq!(guarded.handle().snapshot().state, if fails { State::Closed } else { State::Open });
    }
}

/// An answer that has begun is what was wanted to be known, whatever its caller still has to send.
#[tokio::test]
async fn a_probe_whose_answer_has_begun_keeps_its_slot() {
    let guarded = due(small().probes(1));
    let upload = Gate::default();
    let holdup = Holdup::with_clock(guarded.clock.clone());
    let mut request = Request::new(BodyExt::boxed(holdup.watch(upload.clone())));
    request.extensions_mut().insert(holdup.clone());
    let mut service = guarded.layer.layer(service_fn(|request: Request<_>| {
        let mut body: http_body_util::combinators::BoxBody<Bytes, Infallible> = request.into_body();
        async move {
            let _ = body.frame().now_or_never();
            Ok::<_, TimedOut>(Response::new(Gate::default()))
        }
    }));
    let response = service.call(request).await.unwrap();
    assert!(holdup.is_held());
    guarded.hand.advance(ms(4999));
    assert!(guarded.handle().admit().is_err());
    guarded.hand.advance(ms(1));
    assert!(guarded.handle().admit().is_ok(), "what goes on is well");
    assert_eq!(guarded.handle().snapshot().state, State::Closed);
    drop(response);
}

/// Uploads that are slow and come to their end are probes like others: nobody has their slots before their leases end.
#[test]
fn slow_uploads_close_a_circuit() {
    let guarded = due(small());
    let mut uploads = [guarded.upload(true, false), guarded.upload(true, false)];
    for _ in 0..4 {
        assert!(uploads.iter_mut().all(|upload| upload.poll().is_none()));
        guarded.hand.advance(ms(1000));
        assert!(guarded.handle().admit().is_err());
    }
    for upload in &mut uploads {
        upload.sender.open();
        upload.answer.open();
        assert_eq!(upload.poll(), Some(Some(200)));
    }
    assert_eq!(guarded.handle().snapshot().state, State::Closed);
}

/// Callers that stall leave no more than so many calls behind; then theirs fail like others.
#[test]
fn not_all_of_those_that_stall_are_excused() {
    let guarded = due(small().probes(1));
    let mut stalled = Vec::new();
    while guarded.handle().snapshot().state == State::HalfOpen {
        let mut upload = guarded.upload(true, false);
        assert_eq!(upload.poll(), None);
        stalled.push(upload);
        guarded.hand.advance(ms(5000));
        let _ = guarded.upload(true, false).poll();
    }
    assert_eq!(guarded.handle().snapshot().state, State::Open);
    assert_eq!(stalled.len(), 17);
}
