//! The service.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::future::TryFuture;
use super::layer::Core;
use crate::spine::body::ResponseBody;
use crate::spine::deadline::TimedOut;
use crate::spine::form::{AsError, AsResponse};
use crate::spine::request::{RequestFacts, RequestView};

/// The service of [`TryTimeoutLayer`](super::TryTimeoutLayer).
pub struct TryTimeoutService<S, A = AsResponse> {
    inner: S,
    core: Arc<Core>,
    form: PhantomData<A>,
}

impl<S, A> TryTimeoutService<S, A> {
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for TryTimeoutService<S, AsResponse>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = TryFuture<S::Future, AsResponse>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        if self.core.is_empty() {
            return TryFuture::new(self.inner.call(request), None);
        }
        let facts = RequestFacts::of(RequestView::of(&request));
        TryFuture::new(self.inner.call(request), Some((Arc::clone(&self.core), Some(facts))))
    }
}

/// For requests of any kind: what is no HTTP can be late too.
impl<S, R> Service<R> for TryTimeoutService<S, AsError>
where
    S: Service<R>,
    S::Error: From<TimedOut>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = TryFuture<S::Future, AsError>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let limit = if self.core.is_empty() { None } else { Some((Arc::clone(&self.core), None)) };
        TryFuture::new(self.inner.call(request), limit)
    }
}

impl<S: Clone, A> Clone for TryTimeoutService<S, A> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), Arc::clone(&self.core))
    }
}

impl<S: fmt::Debug, A> fmt::Debug for TryTimeoutService<S, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryTimeoutService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
