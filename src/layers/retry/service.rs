//! The service: tower's retry, around bodies that can be sent again.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower::retry::Retry;
use tower_service::Service;

use super::body::ReplayBody;
use super::errors::{Typed, ViewError};
use super::future::RetryFuture;
use super::peek::{Peek, PeekedBody};
use super::policy::{RetryBudget, RetryPolicy};
use crate::spine::bounds::{BytesBody, CloneService};

/// The service of [`RetryLayer`](super::RetryLayer).
#[derive(Debug, Clone)]
pub struct RetryService<S, V = Typed> {
    retry: Retry<RetryPolicy<V>, Peek<S>>,
    policy: RetryPolicy<V>,
}

impl<S, V> RetryService<S, V> {
    pub(super) fn new(inner: S, policy: RetryPolicy<V>) -> Self {
        let peek = Peek { inner, core: Arc::clone(policy.core()) };
        Self { retry: Retry::new(policy.clone(), peek), policy }
    }

    /// The inner service.
    pub fn get_ref(&self) -> &S {
        &self.retry.get_ref().inner
    }

    /// The inner service, to be changed.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.retry.get_mut().inner
    }

    /// The inner service, alone.
    pub fn into_inner(self) -> S {
        self.retry.into_inner().inner
    }

    /// How much may still be tried again.
    #[must_use]
    pub fn budget(&self) -> RetryBudget {
        self.policy.budget()
    }
}

impl<S, B, R, V> Service<Request<B>> for RetryService<S, V>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>> + CloneService,
    B: BytesBody,
    R: BytesBody,
    V: ViewError<S::Error>,
{
    type Response = Response<PeekedBody<R>>;
    type Error = S::Error;
    type Future = RetryFuture<S, B, R, V>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Service::<Request<ReplayBody<B>>>::poll_ready(&mut self.retry, cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let request = self.policy.keep(request);
        // What cannot be made twice is counted, and its result not shown to the policy.
        let core = self.policy.core();
        let unseen = core.bounds.attempts > 1 && !request.body().can_replay();
        let unseen = unseen.then(|| Arc::clone(core));
        RetryFuture::new(self.retry.call(request), unseen)
    }
}
