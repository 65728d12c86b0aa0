//~ retries cannot look into errors of type `Box<
//~ `RetryLayer::new(policy.boxed_errors())`

use axum::body::Body;
use http::{Request, Response};
use tower::{Layer, service_fn};
use tower_rampart::auth::HttpClient;
use tower_rampart::retry::{ReplayBody, Retries, RetryLayer};

async fn call(_: Request<ReplayBody<Body>>) -> Result<Response<Body>, tower::BoxError> {
    Ok(Response::new(Body::empty()))
}

fn main() {
    let layer = RetryLayer::new(Retries::new().build().unwrap());
    let _client = HttpClient::new(layer.layer(service_fn(call)));
}
