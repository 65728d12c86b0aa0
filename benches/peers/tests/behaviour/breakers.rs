//! Circuit breakers.

use std::convert::Infallible;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_rampart::circuit_breaker::{CircuitBreaker, State, Window};
use tower_resilience_circuitbreaker::{CircuitBreakerLayer, CircuitState};

const WINDOW: usize = 100;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Answers with the status that its request asks for.
async fn answer(request: Request<StatusCode>) -> Result<Response<()>, Infallible> {
    let mut response = Response::new(());
    *response.status_mut() = *request.body();
    Ok(response)
}

/// The same, with an error where the status is one.
async fn fail(request: Request<StatusCode>) -> Result<Response<()>, StatusCode> {
    let status = *request.body();
    if status.is_server_error() { Err(status) } else { Ok(Response::new(())) }
}

async fn ask<S: Service<Request<StatusCode>> + Clone>(service: &S, status: StatusCode, times: usize) {
    for _ in 0..times {
        let _ = service.clone().oneshot(Request::new(status)).await;
    }
}

#[test]
fn the_count_window_of_tower_resilience_does_not_slide() {
    block_on(async {
        let builder = CircuitBreakerLayer::builder().failure_rate_threshold(0.5).sliding_window_size(WINDOW);
        let (layer, handle) = builder.build_with_handle().unwrap();
        let service = layer.layer(service_fn(fail));
        ask(&service, StatusCode::OK, 10_000).await;
        // The last hundred calls, and a thousand more, have all failed.
        ask(&service, StatusCode::BAD_GATEWAY, 1_100).await;
        assert_eq!(handle.state(), CircuitState::Closed);

        let window = Window::calls(u32::try_from(WINDOW).unwrap());
        let layer = CircuitBreaker::new("peer").failure_rate(0.5).window(window).build().unwrap();
        let service = layer.layer(service_fn(answer_with_body));
        ask(&service, StatusCode::OK, 10_000).await;
        ask(&service, StatusCode::BAD_GATEWAY, WINDOW / 2).await;
        assert_eq!(layer.handle().snapshot().state, State::Open);
    });
}

async fn answer_with_body(request: Request<StatusCode>) -> Result<Response<peers::Body>, Infallible> {
    Ok(answer(request).await?.map(|()| peers::Body::default()))
}

#[test]
fn five_hundreds_are_successes_to_tower_resilience_by_default() {
    block_on(async {
        let builder = CircuitBreakerLayer::builder().failure_rate_threshold(0.5).sliding_window_size(WINDOW);
        let (layer, handle) = builder.build_with_handle().unwrap();
        ask(&layer.layer(service_fn(answer)), StatusCode::INTERNAL_SERVER_ERROR, 500).await;
        assert_eq!(handle.state(), CircuitState::Closed);

        let layer = CircuitBreaker::new("peer").build().unwrap();
        ask(&layer.layer(service_fn(answer_with_body)), StatusCode::INTERNAL_SERVER_ERROR, 500).await;
        assert_eq!(layer.handle().snapshot().state, State::Open);
    });
}

/// Ours is asked the same in tests/circuit_breaker/cancel.rs, with a clock that is moved by hand.
#[test]
fn calls_that_an_outer_timeout_cuts_off_are_not_seen_by_tower_resilience() {
    block_on(async {
        let (layer, handle) = CircuitBreakerLayer::builder().consecutive_failures(3).build_with_handle().unwrap();
        let service = layer
            .layer(service_fn(|_: Request<StatusCode>| std::future::pending::<Result<Response<()>, Infallible>>()));
        for _ in 0..20 {
            let call = service.clone().oneshot(Request::new(StatusCode::OK));
            assert!(tokio::time::timeout(Duration::from_millis(5), call).await.is_err());
        }
        assert_eq!(handle.state(), CircuitState::Closed);
    });
}

#[test]
fn services_of_one_layer_of_tower_resilience_have_circuits_of_their_own() {
    block_on(async {
        let layer = CircuitBreakerLayer::builder().consecutive_failures(3).build().unwrap();
        let (first, second) = (layer.layer(service_fn(fail)), layer.layer(service_fn(fail)));
        ask(&first, StatusCode::BAD_GATEWAY, 3).await;
        assert_eq!((first.state_sync(), second.state_sync()), (CircuitState::Open, CircuitState::Closed));

        let layer = CircuitBreaker::new("peer").consecutive_failures(3).build().unwrap();
        let (first, second) = (layer.layer(service_fn(answer_with_body)), layer.layer(service_fn(answer_with_body)));
        ask(&first, StatusCode::BAD_GATEWAY, 3).await;
        let refused = second.oneshot(Request::new(StatusCode::OK)).await.unwrap();
        assert_eq!(refused.status(), 503);
    });
}
