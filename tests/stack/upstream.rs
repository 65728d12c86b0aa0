//! The stack of a client, by effect.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, ServiceExt as _, service_fn};
use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::circuit_breaker::CircuitBreaker;
use tower_rampart::deadline::{Deadlines, PropagateDeadlineLayer, TimeoutField, TryTimeoutLayer};
use tower_rampart::load_shed::AdaptiveThrottle;
use tower_rampart::retry::{Retries, RetryLayer};
use tower_rampart::stack::UpstreamStack;
use tower_rampart::{Clock, Holdup};

fn retries() -> RetryLayer {
    let instant = Duration::from_millis(1);
    RetryLayer::new(Retries::new().max_attempts(3).backoff(instant, instant).build().unwrap())
}

/// Opens at two failures in a row.
fn breaker() -> tower_rampart::circuit_breaker::CircuitBreakerLayer {
    CircuitBreaker::new("upstream").failure_rate(None).slow_call(None).consecutive_failures(2).build().unwrap()
}

fn get() -> Request<Full<Bytes>> {
    Request::get("/").body(Full::default()).unwrap()
}

/// The calls that an upstream saw.
type Calls = Arc<AtomicUsize>;

/// Fails, and counts.
async fn fail(calls: Calls) -> Result<Response<Full<Bytes>>, Infallible> {
    calls.fetch_add(1, Ordering::Relaxed);
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    Ok(response)
}

async fn status<S, B>(service: S) -> StatusCode
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible>,
{
    service.oneshot(get()).await.unwrap().status()
}

#[tokio::test(start_paused = true)]
async fn retries_stand_outside_the_breaker_and_are_ended_by_it() {
    let calls = Calls::default();
    let client = service_fn({
        let calls = calls.clone();
        move |_| fail(calls.clone())
    });
    let layer = UpstreamStack::new().circuit_breaker(breaker()).retry(retries()).build();
    assert_eq!(status(layer.layer(client)).await, StatusCode::SERVICE_UNAVAILABLE);
    // The circuit saw each try, opened at the second, and refused the third.
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_counts_tries_that_took_too_long() {
    let never = service_fn(|_: Request<_>| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let breaker = breaker();
    let handle = breaker.handle();
    let layer = UpstreamStack::new()
        .try_timeout(TryTimeoutLayer::new(Duration::from_secs(1)).unwrap())
        .circuit_breaker(breaker)
        .build();
    let service = layer.layer(never);
    for _ in 0..2 {
        assert_eq!(status(service.clone()).await, StatusCode::GATEWAY_TIMEOUT);
    }
    assert_eq!(handle.snapshot().state.name(), "open");
}

#[tokio::test(start_paused = true)]
async fn a_try_includes_its_wait_for_a_place() {
    let never = service_fn(|_: Request<_>| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let bulkhead = Bulkhead::new(1).queue(4, Duration::from_secs(60)).build().unwrap();
    let handle = bulkhead.handle();
    let layer = UpstreamStack::new()
        .bulkhead(bulkhead)
        .try_timeout(TryTimeoutLayer::new(Duration::from_secs(1)).unwrap())
        .build();
    let service = layer.layer(never);
    let (first, second) = tokio::join!(status(service.clone()), status(service.clone()));
    // The second one waited for a place, and was cut off as the first one was.
    assert_eq!((first, second), (StatusCode::GATEWAY_TIMEOUT, StatusCode::GATEWAY_TIMEOUT));
    assert_eq!((handle.snapshot().in_flight, handle.snapshot().queued), (0, 0));
}

/// What waited for a place says nothing of the service.
#[tokio::test(start_paused = true)]
async fn the_breaker_does_not_count_the_wait_for_a_place() {
    for (has_holdup, opened) in [(false, 1), (true, 0)] {
        let (clock, hand) = Clock::manual();
        let slow = service_fn(move |_: Request<_>| {
            let hand = hand.clone();
            async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                hand.advance(Duration::from_secs(1));
                Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
            }
        });
        let bulkhead = Bulkhead::new(1).queue(16, Duration::from_secs(60)).build().unwrap();
        let breaker = CircuitBreaker::new("upstream").min_calls(5).slow_call(Duration::from_secs(2));
        let breaker = breaker.with_clock(clock.clone()).build().unwrap();
        let handle = breaker.handle();
        let service = UpstreamStack::new().bulkhead(bulkhead).circuit_breaker(breaker).build().layer(slow);
        let calls = (0..10).map(|_| {
            let mut request = Request::new(Full::<Bytes>::default());
            if has_holdup {
                request.extensions_mut().insert(Holdup::with_clock(clock.clone()));
            }
            let service = service.clone();
            async move { service.oneshot(request).await.unwrap().into_body().collect().await.unwrap() }
        });
        futures_util::future::join_all(calls).await;
        assert_eq!(handle.snapshot().totals.opened, opened, "{has_holdup}");
    }
}

#[tokio::test(start_paused = true)]
async fn nor_what_is_cut_off_in_the_queue() {
    let never = service_fn(|_: Request<_>| std::future::pending::<Result<Response<Full<Bytes>>, Infallible>>());
    let breaker = CircuitBreaker::new("upstream").build().unwrap();
    let handle = breaker.handle();
    let service = UpstreamStack::new()
        .bulkhead(Bulkhead::new(1).queue(16, Duration::from_secs(60)).build().unwrap())
        .try_timeout(TryTimeoutLayer::new(Duration::from_secs(3)).unwrap())
        .circuit_breaker(breaker)
        .build()
        .layer(never);
    let calls = (0..10).map(|_| {
        let mut request = Request::new(Full::<Bytes>::default());
        request.extensions_mut().insert(Holdup::new());
        let service = service.clone();
        async move { service.oneshot(request).await.unwrap().status() }
    });
    assert_eq!(futures_util::future::join_all(calls).await, [StatusCode::GATEWAY_TIMEOUT; 10]);
    let totals = handle.snapshot().totals;
    assert_eq!((totals.failures, totals.neutral), (1, 9), "one was made");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_told_after_all_waits() {
    let told: Arc<std::sync::Mutex<Vec<HeaderMap>>> = Arc::default();
    let client = service_fn({
        let told = Arc::clone(&told);
        move |request: Request<_>| {
            told.lock().unwrap().push(request.headers().clone());
            async {
                let response = Response::builder().status(503).header("retry-after", "2");
                Ok::<_, Infallible>(response.body(Full::<Bytes>::default()).unwrap())
            }
        }
    });
    let field = TimeoutField::milliseconds(http::HeaderName::from_static("x-timeout-ms"));
    let layer = UpstreamStack::new()
        .propagate_deadline(PropagateDeadlineLayer::field(field))
        .retry(retries())
        .deadline(Deadlines::new().max_time(Duration::from_secs(60)).build().unwrap())
        .build();
    assert_eq!(status(layer.layer(client)).await, StatusCode::SERVICE_UNAVAILABLE);
    let left: Vec<u64> =
        told.lock().unwrap().iter().map(|headers| headers["x-timeout-ms"].to_str().unwrap().parse().unwrap()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn it_says_what_it_is() {
    let layer = UpstreamStack::new()
        .propagate_deadline(PropagateDeadlineLayer::grpc())
        .bulkhead(Bulkhead::new(64).name("payments").queue(8, Duration::from_millis(100)).build().unwrap())
        .try_timeout(TryTimeoutLayer::new(Duration::from_secs(2)).unwrap())
        .circuit_breaker(CircuitBreaker::new("payments").build().unwrap())
        .adaptive_throttle(AdaptiveThrottle::new().build().unwrap())
        .retry(retries())
        .deadline(Deadlines::new().max_time(None).build().unwrap())
        .build();
    assert_eq!(
        layer.describe(),
        "\
deadline            no maximum, less by grpc-timeout, up to the head
retry               3 tries, 20 % of recent requests and 10 more; bodies up to 64 KiB kept
adaptive throttle   2 calls for each that is accepted, refuses 95 % at most
circuit breaker     payments: opens at 50 % of 100 calls failed or 80 % of 100 calls slow, for 1s to 1m
try timeout         2s for each try
bulkhead            payments: 64 in flight; 8 wait up to 100ms
propagate deadline  what is left, in grpc-timeout of gRPC"
    );
}
