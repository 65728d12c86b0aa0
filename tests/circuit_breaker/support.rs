use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tower::Service;
use tower_rampart::circuit_breaker::{CircuitBreaker, Window};
use tower_rampart::{Clock, ClockHand};

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Count window 10, rate 0.5, min 4, open 1 s doubling to 8 s, 2 probes both needed.
pub(crate) fn small() -> CircuitBreaker {
    CircuitBreaker::new("test")
        .window(Window::calls(10))
        .failure_rate(0.5)
        .min_calls(4)
        .slow_call(None)
        .open_for(ms(1000))
        .max_open(ms(8000))
        .jitter(0.0)
        .probes(2)
        .probe_lease(ms(5000))
}

pub(crate) fn manual(breaker: CircuitBreaker) -> (CircuitBreaker, ClockHand) {
    let (clock, hand) = Clock::manual();
    (breaker.with_clock(clock), hand)
}

/// Answers at once, with whatever the request's path says: `/503`.
#[derive(Clone, Default)]
pub(crate) struct Upstream(pub(crate) Arc<AtomicUsize>);

impl Upstream {
    pub(crate) fn calls(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl<B> Service<Request<B>> for Upstream {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.0.fetch_add(1, Ordering::SeqCst);
        let status: u16 = request.uri().path().trim_start_matches('/').parse().unwrap_or(200);
        ready(Ok(Response::builder().status(status).body(Full::new(Bytes::from_static(b"answer"))).unwrap()))
    }
}

pub(crate) fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
