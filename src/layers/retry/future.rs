//! The futures.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::retry::future::ResponseFuture;
use tower_service::Service;

use super::body::ReplayBody;
use super::errors::ViewError;
use super::peek::{Peek, PeekedBody};
use super::policy::{Core, RetryPolicy};
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
    pub struct RetryFuture<S, B, R, V>
    where
        S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
        R: Body<Data = Bytes>,
        V: ViewError<S::Error>,
    {
        #[pin]
        tries: Tries<S, B, V>,
        // Of a call whose result the policy does not see.
        unseen: Option<Arc<Core>>,
    }
}

type Tries<S, B, V> = ResponseFuture<RetryPolicy<V>, Peek<S>, Request<ReplayBody<B>>>;

impl<S, B, R, V> RetryFuture<S, B, R, V>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes>,
    V: ViewError<S::Error>,
{
    pub(super) const fn new(tries: Tries<S, B, V>, unseen: Option<Arc<Core>>) -> Self {
        Self { tries, unseen }
    }
}

impl<S, B, R, V> Future for RetryFuture<S, B, R, V>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes>,
    V: ViewError<S::Error>,
{
    type Output = Result<Response<PeekedBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.tries.poll(cx));
        if let Some(core) = this.unseen.take() {
            core.uncount_refused::<V, _, _>(&result);
        }
        Poll::Ready(result)
    }
}

impl<S, B, R, V> fmt::Debug for RetryFuture<S, B, R, V>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes>,
    V: ViewError<S::Error>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryFuture").finish_non_exhaustive()
    }
}
