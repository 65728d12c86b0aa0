//~ ReplayBody<

use std::future::{Ready, ready};
use std::task::{Context, Poll};

use axum::body::Body;
use http::{Request, Response};
use tower::{Layer, Service};
use tower_rampart::auth::HttpClient;
use tower_rampart::retry::{Retries, RetryLayer};

#[derive(Clone)]
struct Client;

impl Service<Request<Body>> for Client {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Ready<Result<Response<Body>, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(Response::new(Body::empty())))
    }
}

fn main() {
    let layer = RetryLayer::new(Retries::new().build().unwrap());
    let _client = HttpClient::new(layer.layer(Client));
}
