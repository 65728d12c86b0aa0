//! The futures.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::retry::Policy;
use tower::retry::future::ResponseFuture;
use tower_service::Service;

use super::body::ReplayBody;
use super::service::RetryPolicy;
use crate::spine::clock::Sleep;

/// The wait before another try.
pub struct RetryWait {
    sleep: Option<Sleep>,
}

impl RetryWait {
    /// Waits no time at all where there is nothing to wait for.
    pub(super) const fn new(sleep: Option<Sleep>) -> Self {
        Self { sleep }
    }
}

impl Future for RetryWait {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.sleep.as_mut().map_or(Poll::Ready(()), |sleep| Pin::new(sleep).poll(cx))
    }
}

impl fmt::Debug for RetryWait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryWait").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`RetryService`](super::RetryService).
    pub struct RetryFuture<S, B, V>
    where
        S: Service<Request<ReplayBody<B>>>,
        RetryPolicy<V>: Policy<Request<ReplayBody<B>>, S::Response, S::Error>,
    {
        #[pin]
        tries: ResponseFuture<RetryPolicy<V>, S, Request<ReplayBody<B>>>,
    }
}

impl<S, B, V> RetryFuture<S, B, V>
where
    S: Service<Request<ReplayBody<B>>>,
    RetryPolicy<V>: Policy<Request<ReplayBody<B>>, S::Response, S::Error>,
{
    pub(super) const fn new(tries: ResponseFuture<RetryPolicy<V>, S, Request<ReplayBody<B>>>) -> Self {
        Self { tries }
    }
}

impl<S, B, V, R> Future for RetryFuture<S, B, V>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    RetryPolicy<V>: Policy<Request<ReplayBody<B>>, S::Response, S::Error>,
{
    type Output = Result<Response<R>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().tries.poll(cx)
    }
}

impl<S, B, V> fmt::Debug for RetryFuture<S, B, V>
where
    S: Service<Request<ReplayBody<B>>>,
    RetryPolicy<V>: Policy<Request<ReplayBody<B>>, S::Response, S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").finish_non_exhaustive()
    }
}
