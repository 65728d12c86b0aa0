//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::admission::Admission;
use super::future::{ResponseFuture, address};
use super::layer::Core;
use super::limiter::Outcome;
use super::nesting;
use crate::spine::body::ResponseBody;
use crate::spine::event::{self, Origin};
use crate::spine::request::{RequestFacts, RequestView};

/// The service of [`RateLimitLayer`](super::RateLimitLayer).
#[derive(Debug, Clone)]
pub struct RateLimitService<S> {
    inner: S,
    core: Arc<Core>,
}

impl<S> RateLimitService<S> {
    pub(super) const fn new(inner: S, core: Arc<Core>) -> Self {
        Self { inner, core }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, alone.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for RateLimitService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let core = &self.core;
        let admission = match decide(core, RequestView::of(&request)) {
            Outcome::Uncounted => None,
            Outcome::Admitted(grant) => Admission::new(core, grant),
            Outcome::Refused(refusal) => {
                return ResponseFuture::refused(core, refusal, RequestFacts::of(RequestView::of(&request)));
            }
        };
        pass_on(&mut self.inner, request, admission, address(core))
    }
}

/// Decides about a request, and reports what there is to report.
pub(super) fn decide(core: &Arc<Core>, request: RequestView<'_>) -> Outcome {
    warn_of_nesting(core);
    core.limiter.decide(request, core.now(), |event, policy| core.report(event, policy))
}

/// Says so when the limiter counts a request for the second time.
pub(super) fn warn_of_nesting(core: &Arc<Core>) {
    if nesting::is_inside(address(core)) {
        event::fault_once(&core.said.counted_twice, Origin::RateLimit, "counted_twice", COUNTED_TWICE);
    }
}

const COUNTED_TWICE: &str = "one limiter counts the same request twice, because its layer stands on it twice; take one \
     of them away, or build a second limiter";

/// Calls the inner service with a request that was admitted.
pub(super) fn pass_on<S, R>(
    inner: &mut S,
    request: R,
    admission: Option<Admission>,
    limiter: usize,
) -> ResponseFuture<S::Future>
where
    S: Service<R>,
{
    let future = {
        let _entered = nesting::enter(limiter);
        inner.call(request)
    };
    match admission {
        Some(admission) => ResponseFuture::admitted(future, admission),
        None => ResponseFuture::passed(future, limiter),
    }
}
