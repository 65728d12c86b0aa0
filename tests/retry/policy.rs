use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::StreamBody;
use proptest::prelude::*;
use tower::util::MapErr;
use tower::{Layer, Service, ServiceExt as _};
use tower_rampart::client::ClientError;
use tower_rampart::problem::{GrpcCode, Problem, ProblemKind};
use tower_rampart::retry::{Attempt, Retries, RetryLayer};
use tower_rampart::{Deadline, Holdup, Origin, Rejection, ResponseView, TimedOut};

use crate::support::{OK, Retried, Say, Script, get, millis, noop, post, retried, secs};

const fn say(status: u16) -> Say {
    Say::Status(status, &[])
}

#[test]
fn what_may_pass_by_itself_is_tried_again() {
    for failure in [say(502), say(503), say(504), Say::Fail] {
        let name = format!("{failure:?}");
        let mut retried = retried(Retries::new(), [failure, OK]);
        let (answer, waited) = retried.finish(get());
        assert!(waited <= millis(50), "{name}");
        let response = answer.unwrap();
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(Attempt::of_response(ResponseView::of(&response)).get(), 2);
        assert_eq!(retried.script.attempts(), [1, 2]);
    }
}

#[test]
fn what_does_not_is_passed_on() {
    for status in [200, 201, 304, 400, 401, 404, 408, 425, 429, 500, 501, 505] {
        let mut retried = retried(Retries::new(), [say(status), OK]);
        assert_eq!((retried.status(get()), retried.script.count()), (status, 1));
    }
}

#[test]
fn as_often_as_the_policy_says_and_then_the_last_answer() {
    let mut retried = retried(Retries::new().max_attempts(4), [say(503), Say::Fail, say(502), say(504), OK]);
    let response = retried.finish(get()).0.unwrap();
    assert_eq!((response.status().as_u16(), retried.script.count()), (504, 4));
    assert_eq!(Attempt::of_response(ResponseView::of(&response)).get(), 4);
    let mut errors = crate::support::retried(Retries::new().max_attempts(2), []);
    assert!(!errors.finish(get()).0.unwrap_err().is_refused());
    assert_eq!(errors.script.count(), 2);
    let mut once = crate::support::retried(Retries::new().max_attempts(1), [say(503), OK]);
    assert_eq!((once.status(get()), once.script.count()), (503, 1));
}

#[test]
fn only_what_may_be_made_twice() {
    let calls = |request: Request<_>| {
        let mut retried = retried(Retries::new(), [say(503), OK]);
        let _ = retried.finish(request);
        retried.script.count()
    };
    assert_eq!(calls(post(&[])), 1);
    assert_eq!(calls(post(&[("idempotency-key", "\"1\"")])), 2);
    for (method, tries) in
        [(Method::PUT, 2), (Method::DELETE, 2), (Method::HEAD, 2), (Method::OPTIONS, 2), (Method::PATCH, 1)]
    {
        let mut request = get();
        *request.method_mut() = method;
        assert_eq!(calls(request), tries);
    }
}

fn rejection() -> Rejection {
    Rejection::new(Origin::Custom("breaker"), Problem::new(ProblemKind::Unavailable)).with_retry_after(secs(1))
}

/// A refusal of ours says that nothing was called, so that another call would be refused for the same reason; and it costs
/// no budget.
#[test]
fn never_our_own_refusals() {
    let mut marked = Response::builder().status(503).body(()).unwrap();
    marked.extensions_mut().insert(rejection());
    for refusal in [Say::Refuse(rejection()), Say::Answer(marked)] {
        let mut retried = retried(Retries::new(), [refusal, OK]);
        let left = retried.policy.budget().left;
        let (answer, waited) = retried.finish(get());
        assert!(answer.is_err_and(|error| error.is_refused()) || waited == Duration::ZERO);
        assert_eq!(retried.script.count(), 1);
        assert_eq!(retried.policy.budget().left, left);
    }
}

#[test]
fn refusals_are_found_in_boxes() {
    let (clock, hand) = tower_rampart::Clock::manual();
    for (failure, calls) in [(Say::Refuse(rejection()), 1), (Say::Fail, 2)] {
        let script = Script::new([failure, OK]);
        let policy = Retries::new().backoff(millis(1), millis(1)).with_clock(clock.clone()).build().unwrap();
        let boxed = MapErr::new(script.clone(), ClientError::into_boxed);
        let service = RetryLayer::new(policy.boxed_errors()).layer(boxed);
        let mut call = Box::pin(service.oneshot(get()));
        hand.advance(millis(1));
        let polled = (0..3).find_map(|_| {
            let polled = call.as_mut().poll(&mut noop());
            hand.advance(millis(1));
            if let Poll::Ready(answer) = polled { Some(answer) } else { None }
        });
        assert_eq!(polled.unwrap().is_ok(), calls == 2);
        assert_eq!(script.count(), calls);
    }
}

/// RFC 9110 section 10.2.3; RFC 6585 section 4.
#[test]
fn retry_after_is_waited_for() {
    for status in [503, 429] {
        let mut retried = retried(Retries::new(), [Say::Status(status, &[("retry-after", "3")]), OK]);
        let (answer, waited) = retried.finish(get());
        assert_eq!((answer.unwrap().status().as_u16(), waited), (200, secs(3)), "{status}");
    }
    let mut retried =
        retried(Retries::new().ignore_too_many_requests(), [Say::Status(429, &[("retry-after", "1")]), OK]);
    assert_eq!((retried.status(get()), retried.script.count()), (429, 1));
}

fn within(left: Duration, retried: &Retried) -> Request<http_body_util::Full<bytes::Bytes>> {
    let mut request = get();
    request.extensions_mut().insert(Deadline::at(retried.clock.now() + left));
    request
}

#[test]
fn a_wait_past_the_deadline_passes_the_answer_on_at_once() {
    for (asked, left, calls) in [("3", 3, 1), ("3", 4, 2), ("99999999999999999999999", 4, 1)] {
        let field: &'static [(&str, &str)] = Box::leak(Box::new([("retry-after", asked)]));
        let mut retried = retried(Retries::new(), [Say::Status(503, field), OK]);
        let request = within(secs(left), &retried);
        let (answer, waited) = retried.finish(request);
        assert_eq!(retried.script.count(), calls, "{asked} {left}");
        assert_eq!(answer.unwrap().status() == StatusCode::OK, calls == 2);
        assert_eq!(waited, if calls == 2 { secs(3) } else { Duration::ZERO });
    }
    // Without one, the longest wait that the client is ready for.
    let mut retried = retried(Retries::new().max_wait(secs(2)), [Say::Status(503, &[("retry-after", "3")]), OK]);
    assert_eq!((retried.status(get()), retried.script.count()), (503, 1));
}

#[test]
fn nothing_is_tried_after_the_deadline() {
    let mut retried = retried(Retries::new(), [say(503), OK]);
    let request = within(Duration::ZERO, &retried);
    assert_eq!((retried.finish(request).0.unwrap().status().as_u16(), retried.script.count()), (503, 1));
}

const UNAVAILABLE: &[(&str, &str)] = &[("content-type", "application/grpc"), ("grpc-status", "14")];

#[test]
fn grpc_where_its_calls_may_be_made_twice() {
    let grpc = || post(&[("content-type", "application/grpc")]);
    let mut plain = retried(Retries::new(), [Say::Status(200, UNAVAILABLE), OK]);
    assert_eq!((plain.finish(grpc()).0.is_ok(), plain.script.count()), (true, 1));
    let mut retried = retried(
        Retries::new().grpc_is_idempotent(),
        [Say::Status(200, UNAVAILABLE), Say::Status(200, UNAVAILABLE), OK],
    );
    assert!(retried.finish(grpc()).0.unwrap().headers().get("grpc-status").is_none());
    assert_eq!(retried.script.attempts(), [1, 2, 3]);
    // gRPC's retry design (A6): how many went before.
    assert_eq!(retried.script.last().headers["grpc-previous-rpc-attempts"], "2");
    assert!(retried.script.calls.lock().unwrap()[0].headers.get("grpc-previous-rpc-attempts").is_none());
}

/// gRPC's retry design (A6): the server's word stands for our own backoff.
#[test]
fn pushback_is_obeyed() {
    for (pushback, waited) in [("1500", Some(millis(1500))), ("0", Some(Duration::ZERO)), ("-1", None), ("x", None)] {
        let fields: &'static [(&str, &str)] = Box::leak(Box::new([
            ("content-type", "application/grpc"),
            ("grpc-status", "14"),
            ("grpc-retry-pushback-ms", pushback),
        ]));
        let mut retried = retried(Retries::new().grpc_is_idempotent(), [Say::Status(200, fields), OK]);
        let (_, took) = retried.finish(post(&[("content-type", "application/grpc")]));
        assert_eq!(retried.script.count(), 1 + usize::from(waited.is_some()), "{pushback}");
        assert_eq!(took, waited.unwrap_or_default(), "{pushback}");
    }
}

/// The layer that bounds a try answers in the client's protocol: for gRPC that is 200 and a status that servers mean
/// otherwise.
#[test]
fn a_try_without_an_answer_is_tried_again_in_any_protocol() {
    let fields = [("content-type", "application/grpc"), ("grpc-status", "4")];
    for (is_ours, calls) in [(true, 2), (false, 1)] {
        let response =
            fields.iter().fold(Response::builder(), |response, (name, value)| response.header(*name, *value));
        let mut late = response.body(()).unwrap();
        if is_ours {
            late.extensions_mut().insert(TimedOut);
        }
        let mut retried = retried(Retries::new().grpc_is_idempotent(), [Say::Answer(late), OK]);
        let _ = retried.finish(post(&[("content-type", "application/grpc")]));
        assert_eq!(retried.script.count(), calls);
    }
}

/// What held the first try up holds up the next one.
#[test]
fn a_try_that_its_own_sender_held_up_is_not_made_again() {
    for (is_held, calls) in [(false, 2), (true, 1)] {
        let mut late = Response::builder().status(504).body(()).unwrap();
        late.extensions_mut().insert(TimedOut);
        let mut retried = retried(Retries::new(), [Say::Answer(late), OK]);
        let mut request = get();
        let holdup = Holdup::new();
        request.extensions_mut().insert(holdup.clone());
        if is_held {
            let mut stalled =
                holdup.watch(StreamBody::new(futures_util::stream::pending::<Result<Frame<Bytes>, ()>>()));
            assert!(Pin::new(&mut stalled).poll_frame(&mut noop()).is_pending());
        }
        let _ = retried.finish(request);
        assert_eq!(retried.script.count(), calls);
    }
}

#[test]
fn the_next_try_is_the_same_request() {
    let mut retried = retried(Retries::new(), [Say::Fail, OK]);
    let mut request = get();
    request.headers_mut().insert("x-y", "z".parse().unwrap());
    request.extensions_mut().insert("beside");
    assert!(retried.finish(request).0.is_ok());
    let call = retried.script.last();
    assert_eq!((call.headers["x-y"].to_str().unwrap(), call.extensions.get::<&str>()), ("z", Some(&"beside")));
}

/// What the answer that failed holds (a connection, a permit) is free before the next try, and before the wait.
#[test]
fn the_answer_that_failed_is_dropped_first() {
    let mut retried = retried(Retries::new(), [Say::Status(503, &[("retry-after", "1")]), say(503), OK]);
    let mut call = retried.start(get());
    let with_answer = Arc::strong_count(&retried.script.live);
    assert!(call.as_mut().poll(&mut noop()).is_pending());
    assert_eq!(Arc::strong_count(&retried.script.live), with_answer - 1);
    drop(call);
    assert!(retried.finish(get()).0.is_ok());
    // The engine has a clone of the service by the time of the second try, and nothing else is there beside.
    let live = retried.script.live_at_calls.lock().unwrap().clone();
    assert_eq!(live.len(), 3);
    assert_eq!(live[2], live[1] + 1);
}

/// Dropped after any number of polls, a call leaves nothing, and asks nobody again.
#[test]
fn cancelled_at_any_point() {
    for polls in 0..12 {
        let says = [say(503), Say::Fail, say(502), OK];
        let mut retried = retried(Retries::new().max_attempts(4).backoff(millis(2), millis(2)), says);
        let idle = Arc::strong_count(&retried.script.live);
        let mut call = retried.start(post(&[("idempotency-key", "1")]));
        let mut is_done = false;
        for _ in 0..polls {
            is_done = is_done || call.as_mut().poll(&mut noop()).is_ready();
            if is_done {
                break;
            }
            retried.hand.advance(millis(1));
        }
        drop(call);
        let count = retried.script.count();
        retried.hand.advance(secs(60));
        assert_eq!(retried.script.count(), count);
        assert_eq!(Arc::strong_count(&retried.script.live), idle, "after {polls} polls");
    }
}

#[test]
fn without_a_runtime_nobody_waits() {
    let script = Script::new([Say::Status(503, &[("retry-after", "1")]), OK]);
    let mut service = RetryLayer::new(Retries::new().build().unwrap()).layer(script.clone());
    assert!(matches!(
        Service::<Request<http_body_util::Full<bytes::Bytes>>>::poll_ready(&mut service, &mut noop()),
        Poll::Ready(Ok(()))
    ));
    let Poll::Ready(Ok(response)) = Box::pin(service.call(get())).as_mut().poll(&mut noop()) else {
        panic!("an answer")
    };
    assert_eq!((response.status().as_u16(), script.count()), (503, 1));
}

#[test]
fn what_is_no_policy() {
    for (retries, message) in [
        (Retries::new().max_attempts(0), "max_attempts: `0`"),
        (Retries::new().max_attempts(17), "max_attempts: `17`"),
        (Retries::new().budget_percent(1001), "budget_percent: `1001`"),
        (Retries::new().backoff(Duration::ZERO, secs(1)), "backoff: `0ns`"),
        (Retries::new().backoff(secs(2), secs(1)), "backoff: `1s`"),
        (Retries::new().backoff(secs(1), secs(3601)), "backoff: `3601s`"),
        (Retries::new().grpc_codes([GrpcCode::OK]), "grpc_codes: `0`"),
    ] {
        let error = retries.build().unwrap_err().to_string();
        assert!(error.starts_with(message), "{error}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Word {
    Status(u16),
    Asking(u16, u64),
    Fail,
    Refuse,
}

fn words() -> impl Strategy<Value = Vec<Word>> {
    let status = || prop_oneof![Just(200_u16), Just(404), Just(429), Just(500), Just(502), Just(503), Just(504)];
    proptest::collection::vec(
        prop_oneof![
            4 => status().prop_map(Word::Status),
            2 => (status(), 0_u64..9).prop_map(|(status, wait)| Word::Asking(status, wait)),
            2 => Just(Word::Fail),
            1 => Just(Word::Refuse),
        ],
        1..8,
    )
}

/// Which tries there are, the naive way: each word in turn, and what it leads to.
fn naive(words: &[Word], attempts: usize, left: Option<u64>) -> (usize, u64) {
    let mut waited = 0;
    for (at, word) in words.iter().chain(std::iter::repeat(&Word::Fail)).enumerate() {
        let wait = match word {
            Word::Status(502..=504) | Word::Fail => 0,
            Word::Asking(429 | 502..=504, wait) => *wait,
            _ => return (at + 1, waited),
        };
        if at + 1 == attempts || left.is_some_and(|left| waited + wait >= left) {
            return (at + 1, waited);
        }
        waited += wait;
    }
    unreachable!()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// With backoffs that are nearly nothing, tries and waits are those that the words ask for.
    #[test]
    fn tries_are_as_a_naive_reader_would_make_them(words in words(), attempts in 1_usize..6, left in proptest::option::of(1_u64..20)) {
        let says: Vec<_> = words
            .iter()
            .map(|word| match *word {
                Word::Status(status) => say(status),
                Word::Asking(status, wait) => {
                    let field = [("retry-after", &*Box::leak(wait.to_string().into_boxed_str()))];
                    Say::Status(status, Box::leak(Box::new(field)))
                }
                Word::Fail => Say::Fail,
                Word::Refuse => Say::Refuse(rejection()),
            })
            .collect();
        let retries = Retries::new().max_attempts(attempts as u32).backoff(Duration::from_nanos(1), Duration::from_nanos(1));
        let mut retried = retried(retries, says);
        // A millisecond for what the backoff might be.
        let request = match left {
            Some(left) => within(secs(left) + millis(1), &retried),
            None => get(),
        };
        let (_, waited) = retried.finish(request);
        let (tries, naively) = naive(&words, attempts, left.map(|left| left + 1));
        prop_assert_eq!(retried.script.count(), tries);
        prop_assert!(waited >= secs(naively) && waited < secs(naively) + millis(20), "{:?} and {}", waited, naively);
    }
}
