//! Timeouts and retries: the same call bounded in the same way, and made again by the same rules.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use tokio::runtime::{Builder, Runtime};
use tower::Service;

use crate::{Body, Job, Jobs, Run, stay_in};

/// Whose timers are used.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

const SECOND: Duration = Duration::from_secs(1);

/// Answers after so many polls, with a status.
#[derive(Debug, Clone)]
pub struct Handler {
    pending: usize,
    status: u16,
}

impl Handler {
    /// Answers at once.
    pub const fn quick() -> Self {
        Self { pending: 0, status: 200 }
    }

    /// Answers at the second poll, as whatever waits for a socket does.
    pub const fn slow() -> Self {
        Self { pending: 1, status: 200 }
    }

    /// Fails, and asks for another call at once.
    pub const fn failing() -> Self {
        Self { pending: 0, status: 503 }
    }
}

/// See [`Handler`].
#[derive(Debug)]
pub struct Answering {
    pending: usize,
    answer: Ready<Result<Response<Body>, Infallible>>,
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.pending > 0 {
            self.pending -= 1;
            return Poll::Pending;
        }
        Pin::new(&mut self.answer).poll(cx)
    }
}

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<B>) -> Answering {
        let mut response = Response::new(Body::default());
        if self.status != 200 {
            *response.status_mut() = http::StatusCode::SERVICE_UNAVAILABLE;
            let pushback = HeaderName::from_static("grpc-retry-pushback-ms");
            response.headers_mut().insert(pushback, HeaderValue::from_static("0"));
        }
        Answering { pending: self.pending, answer: ready(Ok(response)) }
    }
}

/// A request as a server hands it on, or a client makes it: it has extensions already.
pub fn request() -> Request<Body> {
    let mut request = Request::get("http://upstream/v1/polls").body(Body::default()).unwrap_or_default();
    request.headers_mut().insert("accept", HeaderValue::from_static("application/json"));
    request.extensions_mut().insert(SECOND);
    request
}

struct Prepared<S, R> {
    service: S,
    request: Request<Body>,
    response: Option<R>,
}

/// Calls, and polls until there is an answer.
fn respond<S>(service: &mut S, request: Request<Body>) -> Option<S::Response>
where
    S: Service<Request<Body>>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let _ = service.poll_ready(&mut cx);
    let mut call = pin!(service.call(request));
    for _ in 0..8 {
        if let Poll::Ready(answer) = call.as_mut().poll(&mut cx) {
            return answer.ok();
        }
    }
    None
}

impl<S, B> Run for Prepared<S, Response<B>>
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    fn run(&mut self) {
        let request = std::mem::take(&mut self.request);
        self.response = respond(&mut self.service, request);
    }

    fn fields(&self) -> usize {
        self.response.as_ref().map_or(0, |response| response.headers().len())
    }
}

/// Jobs of a contender that has answered before.
pub fn jobs<S, B: 'static>(mut service: S) -> Jobs
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + 'static,
{
    stay_in(&RUNTIME);
    let _ = respond(&mut service, request());
    Box::new(move || -> Job { Box::new(Prepared { service: service.clone(), request: request(), response: None }) })
}

pub mod rampart {
    use tower::Layer;
    use tower_rampart::deadline::{DeadlineService, Deadlines, TryTimeoutLayer, TryTimeoutService};
    use tower_rampart::retry::{Retries, RetryLayer, RetryService};

    use super::*;

    pub fn deadline(handler: Handler) -> DeadlineService<Handler> {
        Deadlines::new().max_time(SECOND).build().expect("sound").layer(handler)
    }

    pub fn try_timeout(handler: Handler) -> TryTimeoutService<Handler> {
        TryTimeoutLayer::new(SECOND).expect("sound").layer(handler)
    }

    pub fn retry(handler: Handler) -> RetryService<Handler> {
        RetryLayer::new(Retries::new().max_attempts(2).budget_floor(u32::MAX).build().expect("sound")).layer(handler)
    }
}

pub mod tower_own {
    use std::sync::Arc;

    use tower::retry::budget::{Budget, TpsBudget};
    use tower::retry::{Policy, Retry};
    use tower::timeout::Timeout;

    use super::*;

    pub fn timeout(handler: Handler) -> Timeout<Handler> {
        Timeout::new(handler, SECOND)
    }

    /// A policy as tower's documentation has it: every 503 is tried again once, within the budget.
    #[derive(Debug, Clone)]
    pub struct Once {
        budget: Arc<TpsBudget>,
        has_failed: bool,
    }

    impl Policy<Request<Body>, Response<Body>, Infallible> for Once {
        type Future = Ready<()>;

        fn retry(
            &mut self,
            _: &mut Request<Body>,
            result: &mut Result<Response<Body>, Infallible>,
        ) -> Option<Ready<()>> {
            let Ok(response) = result else { return None };
            if response.status().is_success() {
                self.budget.deposit();
                return None;
            }
            if self.has_failed || !self.budget.withdraw() {
                return None;
            }
            self.has_failed = true;
            Some(ready(()))
        }

        fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
            Some(request.clone())
        }
    }

    pub fn retry(handler: Handler) -> Retry<Once, Handler> {
        let budget = TpsBudget::new(Duration::from_secs(10), 1_000_000, 0.2);
        Retry::new(Once { budget: Arc::new(budget), has_failed: false }, handler)
    }
}
