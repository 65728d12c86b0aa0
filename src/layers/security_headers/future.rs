//! The future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::overrides::HeaderOverrides;
use super::plan::{Plans, RequestTraits};
use crate::spine::body::ResponseBody;
use crate::spine::nonce::CspNonce;

pin_project! {
    /// The future of [`SecurityHeadersService`](super::SecurityHeadersService).
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        plans: Arc<Plans>,
        traits: RequestTraits,
        nonce: Option<CspNonce>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(inner: F, plans: Arc<Plans>, traits: RequestTraits, nonce: Option<CspNonce>) -> Self {
        Self { inner, plans, traits, nonce }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let (mut parts, body) = ready!(this.inner.poll(cx))?.into_parts();
        // An informational answer is not the response yet, and 101 begins another protocol.
        if !parts.status.is_informational() {
            let overrides = parts.extensions.get::<HeaderOverrides>();
            let nonce = this.nonce.as_ref().and_then(CspNonce::drawn);
            this.plans.apply(parts.status, &mut parts.headers, overrides, nonce, *this.traits);
        }
        Poll::Ready(Ok(Response::from_parts(parts, ResponseBody::inner(body))))
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
