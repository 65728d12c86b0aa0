//! What responses, bodies and errors count as.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Empty, StreamBody};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_rampart::circuit_breaker::{CircuitBreaker, Counts, ErrorsBy, RefusalsAside};
use tower_rampart::classify::{HeadVerdict, Verdict};
use tower_rampart::client::ClientError;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Origin, Rejection};

use crate::support::{Upstream, manual, ms, small};

type Body = Empty<Bytes>;

fn request(path: &str) -> Request<Body> {
    Request::get(format!("http://test{path}")).body(Body::new()).unwrap()
}

fn counts(layer: &tower_rampart::circuit_breaker::CircuitBreakerHandle) -> Counts {
    layer.snapshot().totals
}

#[tokio::test]
async fn statuses_by_themselves() {
    for (status, failures, overloads) in [
        (200, 0, 0),
        (404, 0, 0),
        (408, 1, 0),
        (425, 1, 0),
        (429, 0, 1),
        (500, 1, 0),
        (501, 0, 0),
        (503, 1, 0),
        (505, 0, 0),
    ] {
        let layer = small().build().unwrap();
        let response = layer.layer(Upstream::default()).oneshot(request(&format!("/{status}"))).await.unwrap();
        // A bad head settles it, a good one waits for the body.
        assert_eq!(counts(&layer.handle()).successes, 0);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "answer");
        let counts = counts(&layer.handle());
        assert_eq!((counts.failures, counts.overloads), (failures, overloads), "{status}");
        assert_eq!(counts.successes, u64::from(failures + overloads == 0), "{status}");
    }
}

/// An answer with a body of frames.
async fn answered(
    response: http::response::Builder,
    frames: Vec<Result<Frame<Bytes>, &'static str>>,
    read: bool,
) -> Counts {
    let layer = small().build().unwrap();
    let mut answer = Some(response.body(StreamBody::new(stream::iter(frames))).unwrap());
    let inner = service_fn(move |_: Request<Body>| {
        let answer = answer.take().unwrap();
        async move { Ok::<_, Infallible>(answer) }
    });
    // gRPC's requests are all POST.
    let request = Request::post("http://test/").body(Body::new()).unwrap();
    let response = layer.layer(inner).oneshot(request).await.unwrap();
    if read {
        let _ = response.into_body().collect().await;
    } else {
        drop(response);
    }
    counts(&layer.handle())
}

fn data() -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::data(Bytes::from_static(b"abc")))
}

fn trailers(status: &'static str) -> Result<Frame<Bytes>, &'static str> {
    Ok(Frame::trailers(HeaderMap::from_iter([("grpc-status".parse().unwrap(), HeaderValue::from_static(status))])))
}

#[tokio::test]
async fn bodies_and_trailers() {
    let http = Response::builder;
    let grpc = || Response::builder().header("content-type", "application/grpc");
    let mut failure = Counts::default();
    failure.failures = 1;
    let mut success = Counts::default();
    success.successes = 1;
    assert_eq!(answered(http(), vec![data(), Err("torn")], true).await, failure);
    assert_eq!(answered(http(), vec![data(), data()], true).await, success);
    // Whoever leaves has seen a good head.
    assert_eq!(answered(http(), vec![data(), data()], false).await, success);
    assert_eq!(answered(grpc(), vec![data(), trailers("0")], true).await, success);
    for status in ["2", "4", "13", "14", "15"] {
        assert_eq!(answered(grpc(), vec![data(), trailers(status)], true).await, failure, "{status}");
        assert_eq!(answered(grpc().header("grpc-status", status), vec![], true).await, failure, "{status}");
    }
    assert_eq!(answered(grpc(), vec![data(), trailers("8")], true).await.overloads, 1);
    assert_eq!(answered(grpc(), vec![data()], true).await, failure, "a status is missing");
    assert_eq!(answered(grpc(), vec![data()], false).await.neutral, 1);
}

/// gRPC-web has its trailers in its body, where nobody looks for them.
#[tokio::test]
async fn grpc_web_has_no_trailers() {
    for media in ["application/grpc-web", "application/grpc-web+proto", "application/GRPC-Web-text; charset=utf-8"] {
        let web = || Response::builder().header("content-type", media);
        assert_eq!(answered(web(), vec![data(), data()], true).await.successes, 1, "{media}");
        assert_eq!(answered(web(), vec![data()], false).await.successes, 1, "{media}");
        assert_eq!(answered(web(), vec![data(), Err("torn")], true).await.failures, 1, "{media}");
        assert_eq!(answered(web().header("grpc-status", "14"), vec![], true).await.failures, 1, "{media}");
    }
    let like = Response::builder().header("content-type", "application/grpc-webby");
    assert_eq!(answered(like, vec![data()], true).await.failures, 1, "gRPC by another name");
}

#[tokio::test]
async fn errors_and_errors_of_readiness() {
    let layer = small().build().unwrap();
    let failing = service_fn(|_: Request<Body>| async { Err::<Response<Body>, _>("refused") });
    assert_eq!(layer.layer(failing).oneshot(request("/")).await.unwrap_err(), "refused");
    assert_eq!(counts(&layer.handle()).failures, 1);

    struct NeverReady;
    impl Service<Request<Body>> for NeverReady {
        type Response = Response<Body>;
        type Error = &'static str;
        type Future = std::future::Pending<Result<Response<Body>, &'static str>>;
        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), &'static str>> {
            std::task::Poll::Ready(Err("no connection"))
        }
        fn call(&mut self, _: Request<Body>) -> Self::Future {
            std::future::pending()
        }
    }
    for _ in 0..3 {
        assert_eq!(layer.layer(NeverReady).oneshot(request("/")).await.unwrap_err(), "no connection");
    }
    assert_eq!(counts(&layer.handle()).opened, 1);
    // Now it does not even ask.
    assert_eq!(layer.layer(NeverReady).oneshot(request("/")).await.unwrap().status(), 503);
}

#[tokio::test]
async fn errors_that_are_no_fault_of_the_other_side() {
    let errors = ErrorsBy::new(|error: &&'static str| match *error {
        "mine" => Verdict::Neutral,
        _ => Verdict::Failure,
    });
    let layer = small().classify_errors(errors).build().unwrap();
    for error in ["mine", "theirs"] {
        let failing = service_fn(move |_: Request<Body>| async move { Err::<Response<Body>, _>(error) });
        assert!(layer.layer(failing).oneshot(request("/")).await.is_err());
    }
    assert_eq!((counts(&layer.handle()).neutral, counts(&layer.handle()).failures), (1, 1));
}

#[tokio::test]
async fn refusals_by_layers_further_in_say_nothing() {
    let rejection = || Rejection::new(Origin::Custom("bulkhead"), Problem::new(ProblemKind::Unavailable));
    let layer = small().build().unwrap();
    let inner = service_fn(move |_: Request<Body>| async move {
        Ok::<_, Infallible>(Response::builder().status(503).extension(rejection()).body(Body::new()).unwrap())
    });
    layer.layer(inner).oneshot(request("/")).await.unwrap();
    assert_eq!((counts(&layer.handle()).neutral, counts(&layer.handle()).failures), (1, 0));

    let layer = small().classify_errors(RefusalsAside).build().unwrap();
    for refuses in [true, false] {
        let inner = service_fn(move |_: Request<Body>| async move {
            Err::<Response<Body>, _>(if refuses {
                ClientError::Refused(rejection())
            } else {
                ClientError::Inner(std::io::Error::other("torn"))
            })
        });
        assert!(layer.layer(inner).oneshot(request("/")).await.is_err());
    }
    assert_eq!((counts(&layer.handle()).neutral, counts(&layer.handle()).failures), (1, 1));
}

#[tokio::test]
async fn heads_are_judged_as_the_user_says() {
    let judge = |response: tower_rampart::ResponseView<'_>| {
        HeadVerdict::Settled(if response.status() == 404 { Verdict::Failure } else { Verdict::Success })
    };
    let layer = small().classify_responses(judge).build().unwrap();
    for status in [404, 500] {
        let response = layer.layer(Upstream::default()).oneshot(request(&format!("/{status}"))).await.unwrap();
        response.into_body().collect().await.unwrap();
    }
    assert_eq!((counts(&layer.handle()).failures, counts(&layer.handle()).successes), (1, 1));
}

#[tokio::test]
async fn retry_after_on_any_failure_makes_it_longer() {
    let layer = small().max_open(ms(60_000)).build().unwrap();
    for _ in 0..4 {
        let inner = service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::builder().status(503).header("retry-after", "30").body(Body::new()).unwrap())
        });
        layer.layer(inner).oneshot(request("/")).await.unwrap();
    }
    let wait = layer.handle().snapshot().open_for.unwrap();
    assert!((Duration::from_secs(29)..=Duration::from_secs(30)).contains(&wait), "{wait:?}");
}

/// A server that is down for a while says 503 and when to come again. It serves nobody meanwhile: that is a failure in a
/// row, as 429 is not, which may be one client's own doing.
#[tokio::test]
async fn retry_after_makes_no_overload_of_an_outage() {
    let layer = CircuitBreaker::new("b").consecutive_failures(3).max_open(ms(60_000)).build().unwrap();
    for _ in 0..3 {
        assert!(layer.handle().snapshot().open_for.is_none());
        let inner = service_fn(|_: Request<Body>| async {
            Ok::<_, Infallible>(Response::builder().status(503).header("retry-after", "30").body(Body::new()).unwrap())
        });
        layer.layer(inner).oneshot(request("/")).await.unwrap();
    }
    assert_eq!((counts(&layer.handle()).failures, counts(&layer.handle()).overloads), (3, 0));
    let wait = layer.handle().snapshot().open_for.unwrap();
    assert!((Duration::from_secs(29)..=Duration::from_secs(30)).contains(&wait), "{wait:?}");
}

/// Of several lines the longest wait counts, whichever form it has.
#[tokio::test]
async fn of_several_waits_the_longest_counts() {
    let (breaker, _hand) = manual(small().max_open(ms(60_000)));
    let layer = breaker.build().unwrap();
    for _ in 0..4 {
        let inner = service_fn(|_: Request<Body>| async {
            let answer = Response::builder().status(429).header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
            let answer = answer.header("retry-after", "3").header("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
            Ok::<_, Infallible>(answer.body(Body::new()).unwrap())
        });
        layer.layer(inner).oneshot(request("/")).await.unwrap();
    }
    let wait = layer.handle().snapshot().open_for.unwrap();
    assert!((Duration::from_secs(20)..=Duration::from_secs(30)).contains(&wait), "{wait:?}");
}

/// RFC 9110 section 10.2.3: a delay in seconds or an HTTP-date, which is compared with the answer's own `Date`; where it
/// has none, with our clock.
#[tokio::test]
async fn retry_after_may_be_a_date() {
    for status in [429, 503] {
        for has_date in [true, false] {
            let (breaker, _hand) = manual(small().max_open(ms(60_000)));
            let layer = breaker.build().unwrap();
            for _ in 0..4 {
                let inner = service_fn(move |_: Request<Body>| async move {
                    let soon = SystemTime::now() + Duration::from_secs(30);
                    let mut answer = Response::builder().status(status);
                    if has_date {
                        answer = answer.header("date", "Sun, 06 Nov 1994 08:49:37 GMT");
                        answer = answer.header("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT");
                    } else {
                        answer = answer.header("retry-after", httpdate::fmt_http_date(soon));
                    }
                    Ok::<_, Infallible>(answer.body(Body::new()).unwrap())
                });
                layer.layer(inner).oneshot(request("/")).await.unwrap();
            }
            let wait = layer.handle().snapshot().open_for.unwrap();
            assert!((Duration::from_secs(20)..=Duration::from_secs(30)).contains(&wait), "{status} {wait:?}");
        }
    }
}

/// A call that was made and took too long is no refusal, whoever cut it off.
#[tokio::test]
async fn a_deadline_further_in_counts_once_the_call_was_slow() {
    for (took, failures) in [(10, 0), (2500, 1)] {
        let (breaker, hand) = manual(small().slow_call(ms(2000)));
        let layer = breaker.build().unwrap();
        let inner = service_fn(|_: Request<Body>| {
            hand.advance(ms(took));
            async {
                let late = Rejection::new(Origin::Deadline, Problem::new(ProblemKind::DeadlineExceeded));
                Ok::<_, Infallible>(Response::builder().status(504).extension(late).body(Body::new()).unwrap())
            }
        });
        layer.layer(inner).oneshot(request("/")).await.unwrap();
        assert_eq!(counts(&layer.handle()).failures, failures, "{took}");
    }
}

/// tonic's server says CANCELLED of its own timeout.
#[tokio::test]
async fn cancelled_after_a_long_time_is_a_timeout() {
    for (took, failures) in [(10, 0), (2500, 1)] {
        let (breaker, hand) = manual(small().slow_call(ms(2000)));
        let layer = breaker.build().unwrap();
        let inner = service_fn(|_: Request<Body>| {
            hand.advance(ms(took));
            async {
                let answer = Response::builder().header("content-type", "application/grpc").header("grpc-status", "1");
                Ok::<_, Infallible>(answer.body(Body::new()).unwrap())
            }
        });
        layer.layer(inner).oneshot(request("/")).await.unwrap();
        assert_eq!(counts(&layer.handle()).failures, failures);
    }
}

#[tokio::test]
async fn a_probe_that_streams_on_is_well() {
    let (breaker, hand) = manual(small().probes(1));
    let layer = breaker.build().unwrap();
    let handle = layer.handle();
    (0..4).for_each(|_| handle.admit().unwrap().failure());
    hand.advance(ms(1000));
    let endless = service_fn(|_: Request<Body>| async {
        let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>();
        Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
    });
    let _held = layer.layer(endless).oneshot(request("/")).await.unwrap();
    assert!(handle.admit().is_err(), "its answer has only begun");
    hand.advance(ms(5000));
    assert!(handle.admit().is_ok(), "it goes on, and is well");
}

#[tokio::test]
async fn a_probe_that_was_slow_to_begin_has_failed_however_long_it_streams() {
    let (breaker, hand) = manual(small().slow_call(ms(2000)).probes(1));
    let layer = breaker.build().unwrap();
    let handle = layer.handle();
    (0..4).for_each(|_| handle.admit().unwrap().failure());
    hand.advance(ms(1000));
    let endless = service_fn(|_: Request<Body>| {
        hand.advance(ms(2000));
        async {
            let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>();
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames)))
        }
    });
    let _held = layer.layer(endless).oneshot(request("/")).await.unwrap();
    hand.advance(ms(5000));
    assert!(handle.admit().is_err());
    assert_eq!(handle.snapshot().openings_in_a_row, 2);
}

#[tokio::test]
async fn names_of_breakers_are_not_told_to_clients() {
    let layer = CircuitBreaker::new("secret-backend").build().unwrap();
    layer.handle().force_open(Duration::MAX);
    let refused = layer.layer(Upstream::default()).oneshot(request("/")).await.unwrap();
    let body = refused.into_body().collect().await.unwrap().to_bytes();
    assert!(!String::from_utf8_lossy(&body).contains("secret"));
}
