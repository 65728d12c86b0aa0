//! The services.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::body::DeadlineBody;
use super::future::{BodyResponseFuture, Limit, ResponseFuture, Timed};
use super::layer::Core;
use super::terms::earlier;
use crate::spine::body::ResponseBody;
use crate::spine::deadline::Deadline;
use crate::spine::event::Origin;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::{RequestFacts, RequestView};

/// The service of [`DeadlineLayer`](super::DeadlineLayer).
#[derive(Debug, Clone)]
pub struct DeadlineService<S> {
    inner: S,
    core: Option<Arc<Core>>,
}

/// The service of [`DeadlineBodyLayer`](super::DeadlineBodyLayer).
#[derive(Debug, Clone)]
pub struct DeadlineBodyService<S> {
    inner: S,
    core: Arc<Core>,
}

impl<S> DeadlineService<S> {
    pub(super) const fn new(inner: S, core: Option<Arc<Core>>) -> Self {
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

impl<S> DeadlineBodyService<S> {
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for DeadlineService<S>
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
        ResponseFuture::new(match &self.core {
            Some(core) => begin(&mut self.inner, core, request),
            None => Timed::free(self.inner.call(request)),
        })
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for DeadlineBodyService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<DeadlineBody<ResB>>>;
    type Error = S::Error;
    type Future = BodyResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        BodyResponseFuture::new(begin(&mut self.inner, &self.core, request))
    }
}

fn begin<S, B>(inner: &mut S, core: &Arc<Core>, mut request: Request<B>) -> Timed<S::Future>
where
    S: Service<Request<B>>,
{
    let view = RequestView::of(&request);
    let refuse =
        |problem| Timed::refused(Arc::clone(core), Rejection::new(Origin::Deadline, problem), RequestFacts::of(view));
    let standing = Deadline::of(view);
    let Ok(timeout) = core.terms.timeout(view.headers()) else {
        return refuse(Problem::new(ProblemKind::BadRequest).with_detail("The field for the timeout is malformed."));
    };
    if standing.is_none() && timeout.is_none() {
        return Timed::free(inner.call(request));
    }
    let now = core.clock.now();
    let Some(deadline) = earlier(standing, timeout, now) else { return Timed::free(inner.call(request)) };
    if deadline.has_passed(now) {
        return refuse(Problem::new(ProblemKind::DeadlineExceeded));
    }
    let limit = Limit::new(Arc::clone(core), deadline, RequestFacts::of(view));
    if standing != Some(deadline) {
        request.extensions_mut().insert(deadline);
    }
    Timed::limited(inner.call(request), limit)
}
