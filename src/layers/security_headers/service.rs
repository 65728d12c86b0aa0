//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, Request, Response, header};
use tower_service::Service;

use super::future::ResponseFuture;
use super::plan::{Plans, RequestTraits};
use crate::spine::body::ResponseBody;
use crate::spine::nonce::CspNonce;
use crate::spine::request::RequestView;

/// The service of [`SecurityHeadersLayer`](super::SecurityHeadersLayer).
#[derive(Debug, Clone)]
pub struct SecurityHeadersService<S> {
    inner: S,
    plans: Arc<Plans>,
}

impl<S> SecurityHeadersService<S> {
    pub(super) const fn new(inner: S, plans: Arc<Plans>) -> Self {
        Self { inner, plans }
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for SecurityHeadersService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let traits = traits_of(&self.plans, RequestView::of(&request));
        let nonce = self.plans.uses_nonce().then(|| nonce_of(&mut request));
        ResponseFuture::new(self.inner.call(request), Arc::clone(&self.plans), traits, nonce)
    }
}

fn traits_of(plans: &Plans, request: RequestView<'_>) -> RequestTraits {
    RequestTraits {
        secure: plans.asks_whether_secure().is_none_or(|client_ip| client_ip.is_secure(request)),
        credentials: plans.asks_for_credentials() && has_credentials(request.headers()),
    }
}

fn has_credentials(headers: &HeaderMap) -> bool {
    headers.contains_key(header::AUTHORIZATION)
        || headers.contains_key(header::COOKIE)
        || headers.contains_key("x-api-key")
}

/// The nonce of an outer layer of this kind, or a new one: a page has one.
fn nonce_of<B>(request: &mut Request<B>) -> CspNonce {
    request.extensions_mut().get_or_insert_with(CspNonce::new).clone()
}
