//! The service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Method, Request, Response};
use tower_service::Service;

use super::super::route::Found;
use super::body::JudgedBody;
use super::future::{Asked, ResponsesFuture};
use super::layer::Shared;
use crate::spine::body::ResponseBody;
use crate::spine::bounds::BytesBody;
use crate::spine::request::{RequestFacts, RequestView};
use crate::wiring;

/// The service of [`ValidateResponsesLayer`](super::ValidateResponsesLayer).
#[derive(Clone)]
pub struct ValidateResponsesService<S> {
    inner: S,
    shared: Option<Arc<Shared>>,
}

impl<S> ValidateResponsesService<S> {
    pub(super) const fn new(inner: S, shared: Option<Arc<Shared>>) -> Self {
        Self { inner, shared }
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

impl<S: fmt::Debug> fmt::Debug for ValidateResponsesService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValidateResponsesService").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for ValidateResponsesService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: BytesBody,
{
    type Response = Response<ResponseBody<JudgedBody<ResB>>>;
    type Error = S::Error;
    type Future = ResponsesFuture<S::Future, ResB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let asked = self.shared.as_ref().and_then(|shared| {
            let view = RequestView::of(&request);
            let path = wiring::original_path(view.extensions()).unwrap_or_else(|| view.uri().path());
            match shared.routes.find(view.method(), path) {
                Found::Route(route) => Some(Asked {
                    shared: Arc::clone(shared),
                    route: route.index,
                    facts: RequestFacts::of(view),
                    has_body: *view.method() != Method::HEAD,
                }),
                Found::OtherMethods(_) | Found::Unknown => None,
            }
        });
        ResponsesFuture::new(self.inner.call(request), asked)
    }
}
