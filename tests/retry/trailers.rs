//! gRPC's status in trailers right behind the head, which nobody has seen by then.

use std::collections::VecDeque;
use std::future::ready;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::retry::{Attempt, PeekedBody, ReplayBody, Retries, RetryLayer};
use tower_rampart::{Clock, ClockHand, ResponseView};

use crate::support::{Torn, get, millis, noop, post};

#[derive(Debug, Clone)]
enum Step {
    Data(&'static str),
    Trailers(&'static [(&'static str, &'static str)]),
    /// Nothing, until the gate is open.
    Gate(Arc<AtomicBool>),
    Fault,
}

/// A body that says what it was told to say, and counts who asks.
#[derive(Debug, Default)]
struct Told {
    steps: VecDeque<Step>,
    polls: Arc<AtomicUsize>,
}

impl Body for Told {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        self.polls.fetch_add(1, Ordering::Relaxed);
        while let Some(Step::Gate(gate)) = self.steps.front() {
            if !gate.load(Ordering::Relaxed) {
                return Poll::Pending;
            }
            self.steps.pop_front();
        }
        Poll::Ready(self.steps.pop_front().map(|step| match step {
            Step::Data(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Step::Trailers(fields) => Ok(Frame::trailers(map(fields))),
            Step::Gate(_) | Step::Fault => Err(Torn),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = |step: &Step| if let Step::Data(text) = step { text.len() as u64 } else { 0 };
        SizeHint::with_exact(self.steps.iter().map(length).sum())
    }
}

fn map(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect()
}

const GONE: Step = Step::Trailers(&[("grpc-status", "14")]);
const WELL: Step = Step::Trailers(&[("grpc-status", "0")]);

fn answer(content_type: &str, steps: impl IntoIterator<Item = Step>) -> Response<Told> {
    let body = Told { steps: steps.into_iter().collect(), ..Told::default() };
    Response::builder().header("content-type", content_type).body(body).unwrap()
}

fn grpc(steps: impl IntoIterator<Item = Step>) -> Response<Told> {
    answer("application/grpc", steps)
}

type Answer = Result<Response<PeekedBody<Told>>, Torn>;

/// A call to a service that has these answers, on a clock that is moved by hand.
struct Asking {
    call: Pin<Box<dyn Future<Output = Answer>>>,
    calls: Arc<AtomicUsize>,
    clock: Clock,
    hand: ClockHand,
}

fn idempotent() -> Retries {
    Retries::new().backoff(Duration::from_nanos(1), Duration::from_nanos(1)).grpc_is_idempotent()
}

fn ask(retries: Retries, request: Request<Full<Bytes>>, answers: impl IntoIterator<Item = Response<Told>>) -> Asking {
    let (clock, hand) = Clock::manual();
    let policy = retries.with_clock(clock.clone()).build().unwrap();
    let (answers, calls) = (Mutex::new(answers.into_iter().collect::<VecDeque<_>>()), Arc::new(AtomicUsize::new(0)));
    let (answers, counted) = (Arc::new(answers), Arc::clone(&calls));
    let mut client = RetryLayer::new(policy).layer(service_fn(move |_: Request<ReplayBody<Full<Bytes>>>| {
        counted.fetch_add(1, Ordering::Relaxed);
        ready(Ok::<_, Torn>(answers.lock().unwrap().pop_front().expect("a further answer")))
    }));
    assert!(Service::<Request<Full<Bytes>>>::poll_ready(&mut client, &mut noop()).is_ready());
    Asking { call: Box::pin(client.call(request)), calls, clock, hand }
}

fn call() -> Request<Full<Bytes>> {
    post(&[("content-type", "application/grpc")])
}

impl Asking {
    fn poll(&mut self) -> Poll<Answer> {
        self.call.as_mut().poll(&mut noop())
    }

    /// The answer, how many calls it took, and how long.
    fn finish(mut self) -> (Response<PeekedBody<Told>>, usize, Duration) {
        let begun = self.clock.now();
        for _ in 0..10_000 {
            if let Poll::Ready(answer) = self.poll() {
                return (answer.unwrap(), self.calls.load(Ordering::Relaxed), self.clock.now() - begun);
            }
            self.hand.advance(millis(1));
        }
        panic!("no answer in ten seconds");
    }
}

/// What is left of a body: its frames, written down, and whether it broke.
fn rest(response: Response<PeekedBody<Told>>) -> String {
    let mut body = response.into_body();
    let mut seen = String::new();
    while let Poll::Ready(Some(frame)) = Pin::new(&mut body).poll_frame(&mut noop()) {
        seen += &match frame.map(Frame::into_data) {
            Ok(Ok(data)) => String::from_utf8(data.into()).unwrap(),
            Ok(Err(frame)) => format!("/{}", frame.into_trailers().unwrap()["grpc-status"].to_str().unwrap()),
            Err(Torn) => "torn".to_owned(),
        };
    }
    seen
}

#[test]
fn trailers_right_behind_the_head_are_worth_another_try() {
    let answers = [grpc([GONE]), grpc([GONE]), grpc([Step::Data("well"), WELL])];
    let (response, calls, _) = ask(idempotent(), call(), answers).finish();
    assert_eq!((calls, Attempt::of_response(ResponseView::of(&response)).get()), (3, 3));
    assert_eq!(rest(response), "well/0");
}

#[test]
fn everything_else_is_passed_on_as_it_came() {
    for (steps, whole) in [
        (vec![Step::Trailers(&[("grpc-status", "13")])], "/13"),
        (vec![WELL], "/0"),
        // A message has begun, and somebody may have seen it.
        (vec![Step::Data("part"), GONE], "part/14"),
        (vec![Step::Data("a"), Step::Data("b"), WELL], "ab/0"),
        (vec![Step::Fault], "torn"),
        (vec![Step::Trailers(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "-1")])], "/14"),
        (vec![], ""),
    ] {
        let (response, calls, took) = ask(idempotent(), call(), [grpc(steps.clone())]).finish();
        assert_eq!((calls, took), (1, Duration::ZERO), "{steps:?}");
        let length: usize = steps.iter().map(|step| if let Step::Data(text) = step { text.len() } else { 0 }).sum();
        assert_eq!(response.body().size_hint().exact(), Some(length as u64), "{steps:?}");
        assert_eq!(response.body().is_end_stream(), steps.is_empty(), "{steps:?}");
        assert_eq!(rest(response), whole, "{steps:?}");
    }
    // It ends without a word, and could not be seen to.
    let gate = Arc::new(AtomicBool::new(true));
    let (response, calls, _) = ask(idempotent(), call(), [grpc([Step::Gate(gate)])]).finish();
    assert!(calls == 1 && response.body().is_end_stream());
    assert_eq!(rest(response), "");
}

/// A stream may have nothing to say for hours, and its client may wait for the head.
#[test]
fn a_head_is_held_back_for_a_moment() {
    for (retries, held) in [(idempotent(), 100), (idempotent().trailers_within(millis(7)), 7)] {
        let gate = Arc::new(AtomicBool::new(false));
        let steps = [Step::Gate(Arc::clone(&gate)), Step::Data("late"), WELL];
        let (response, calls, took) = ask(retries.clone(), call(), [grpc(steps)]).finish();
        assert_eq!((calls, took), (1, millis(held)));
        assert_eq!(rest(Response::new(response.into_body())), "");

        let mut asking = ask(retries, call(), [grpc([Step::Gate(Arc::clone(&gate)), GONE]), grpc([WELL])]);
        assert!(asking.poll().is_pending());
        asking.hand.advance(millis(held - 1));
        assert!(asking.poll().is_pending());
        gate.store(true, Ordering::Relaxed);
        assert_eq!(asking.finish().1, 2);
    }
    let gate = Arc::new(AtomicBool::new(false));
    let steps = || [Step::Gate(Arc::clone(&gate)), GONE];
    let mut at_once = ask(idempotent().trailers_within(Duration::ZERO), call(), [grpc(steps())]);
    let Poll::Ready(Ok(response)) = at_once.poll() else { panic!("it waits for nothing") };
    gate.store(true, Ordering::Relaxed);
    assert_eq!(rest(response), "/14");
    // What is there with the head counts all the same.
    assert_eq!(ask(idempotent().trailers_within(Duration::ZERO), call(), [grpc([GONE]), grpc([WELL])]).finish().1, 2);
}

#[test]
fn nobody_looks_into_what_cannot_be_tried_again() {
    let stale = || [Step::Gate(Arc::default()), GONE];
    let long = || post(&[("content-type", "application/grpc"), ("idempotency-key", "1")]);
    for (retries, request, response) in [
        // Not idempotent; no gRPC; no gRPC in the answer; the last try; too long to be sent again; no status is worth it.
        (Retries::new(), call(), grpc(stale())),
        (idempotent(), get(), grpc(stale())),
        (idempotent(), call(), answer("text/plain", stale())),
        (idempotent().max_attempts(1), call(), grpc(stale())),
        (Retries::new().body_bytes(1), long(), grpc(stale())),
        (idempotent().grpc_codes([]), call(), grpc(stale())),
    ] {
        let polls = Arc::clone(&response.body().polls);
        let mut asking = ask(retries, request, [response]);
        assert!(asking.poll().is_ready());
        assert_eq!(polls.load(Ordering::Relaxed), 0);
    }
    // The last of two.
    let last = grpc(stale());
    let polls = Arc::clone(&last.body().polls);
    let (_, calls, _) = ask(idempotent().max_attempts(2), call(), [grpc([GONE]), last]).finish();
    assert_eq!((calls, polls.load(Ordering::Relaxed)), (2, 0));
}

/// gRPC's retry design (A6): the server's word stands for our own backoff, in trailers too.
#[test]
fn pushback_in_trailers_is_obeyed() {
    let asked = Step::Trailers(&[("grpc-status", "14"), ("grpc-retry-pushback-ms", "1500")]);
    let (_, calls, took) = ask(idempotent(), call(), [grpc([asked]), grpc([WELL])]).finish();
    assert_eq!((calls, took), (2, millis(1500)));
}

/// What was looked at is let go before the next try, and with a call that is given up.
#[test]
fn an_answer_that_is_held_back_is_dropped_with_its_call() {
    let response = grpc([Step::Gate(Arc::default())]);
    let polls = Arc::clone(&response.body().polls);
    let mut asking = ask(idempotent(), call(), [response]);
    assert!(asking.poll().is_pending());
    assert_eq!((polls.load(Ordering::Relaxed), Arc::strong_count(&polls)), (1, 2));
    drop(asking);
    assert_eq!(Arc::strong_count(&polls), 1);
}
