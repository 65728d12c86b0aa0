//! The service.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::super::future::ResponseFuture;
use super::body::Asked;
use super::layer::Core;
use crate::spine::body::ResponseBody;
use crate::spine::bounds::BytesBody;
use crate::spine::event::Origin;
use crate::spine::form::{AsResponse, Form};
use crate::spine::outcome::ObservedBody;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestView;

/// The service of [`AdaptiveThrottleLayer`](super::AdaptiveThrottleLayer).
pub struct AdaptiveThrottleService<S, F = AsResponse> {
    inner: S,
    core: Arc<Core>,
    form: PhantomData<F>,
}

impl<S, F> AdaptiveThrottleService<S, F> {
    pub(super) const fn new(inner: S, core: Arc<Core>) -> Self {
        Self { inner, core, form: PhantomData }
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

impl<S, F, ReqB, ResB> Service<Request<ReqB>> for AdaptiveThrottleService<S, F>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    F: Form,
    ResB: BytesBody,
{
    type Response = Response<ResponseBody<ObservedBody<ResB, Asked>>>;
    type Error = F::Error<S::Error>;
    type Future = ResponseFuture<S::Future, Asked, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(F::pass)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let core = &self.core;
        match core.admit() {
            Some(admitted) => {
                let asked = Asked::new(Arc::clone(core), admitted);
                ResponseFuture::running(self.inner.call(request), Some(asked))
            }
            None => {
                core.throttled.fetch_add(1, Ordering::Relaxed);
                let problem = Problem::new(ProblemKind::Unavailable)
                    .with_detail("The service refuses too much of what it is asked for.");
                let rejection = Rejection::new(Origin::AdaptiveThrottle, problem).with_retry_after(core.retry_after);
                ResponseFuture::refused(F::refuse(&core.refuser, rejection, RequestView::of(&request)))
            }
        }
    }
}

impl<S: Clone, F> Clone for AdaptiveThrottleService<S, F> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.core))
    }
}

impl<S: fmt::Debug, F> fmt::Debug for AdaptiveThrottleService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveThrottleService")
            .field("inner", &self.inner)
            .field("core", &self.core)
            .finish_non_exhaustive()
    }
}
