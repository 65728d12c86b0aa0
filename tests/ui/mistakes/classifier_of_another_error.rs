//~ `ErrorsBy<std::io::Error>` cannot judge errors of type `Box<
//~ use `AllErrors`

use axum::body::Body;
use http::{Request, Response};
use tower::{Layer, service_fn};
use tower_rampart::auth::HttpClient;
use tower_rampart::circuit_breaker::{CircuitBreaker, ErrorsBy};
use tower_rampart::classify::Verdict;

async fn call(_: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
    Ok(Response::new(Body::empty()))
}

fn main() {
    let judge = ErrorsBy::new(|_: &std::io::Error| Verdict::Failure);
    let layer = CircuitBreaker::new("idp").classify_errors(judge).build().unwrap();
    let _client = HttpClient::new(layer.layer(service_fn(call)));
}
