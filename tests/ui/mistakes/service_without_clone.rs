//~ `Counter` cannot be cloned, and this layer keeps one of it for each request that waits
//~ derive `Clone`

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::{Layer, Service};
use tower_rampart::auth::{ApiKeys, Auth};

struct Counter {
    requests: u64,
}

impl Service<Request<String>> for Counter {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        self.requests += 1;
        ready(Ok(Response::new(self.requests.to_string())))
    }
}

fn main() {
    let layer = Auth::new().api_keys(ApiKeys::default()).build().unwrap();
    let _service = layer.layer(Counter { requests: 0 });
}
