//! The future.

use std::fmt;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::layer::Core;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Sleep;
use crate::spine::deadline::TimedOut;
use crate::spine::event::Origin;
use crate::spine::form::{AsError, AsResponse};
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestFacts;

pin_project! {
    /// The future of [`TryTimeoutService`](super::TryTimeoutService).
    pub struct TryFuture<F, A> {
        #[pin]
        inner: Option<F>,
        limit: Option<Limit>,
        form: PhantomData<A>,
    }
}

struct Limit {
    core: Arc<Core>,
    facts: Option<RequestFacts>,
    wait: Wait,
}

enum Wait {
    /// Nothing has been waited for yet. A try begins when it is called, and tells so by being polled at once.
    Unbegun,
    Running(Sleep),
    /// There is nobody who could wake us.
    Never,
}

impl Limit {
    fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.wait, Wait::Unbegun) {
            self.wait = self.core.sleep().map_or(Wait::Never, Wait::Running);
        }
        match &mut self.wait {
            Wait::Running(sleep) => Pin::new(sleep).poll(cx),
            Wait::Unbegun | Wait::Never => Poll::Pending,
        }
    }
}

impl<F, A> TryFuture<F, A> {
    pub(super) fn new(inner: F, limit: Option<(Arc<Core>, Option<RequestFacts>)>) -> Self {
        let limit = limit.map(|(core, facts)| Limit { core, facts, wait: Wait::Unbegun });
        Self { inner: Some(inner), limit, form: PhantomData }
    }
}

impl<F: Future, A> TryFuture<F, A> {
    /// What the try came to; an error, when it came to nothing in time.
    fn poll_try(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<F::Output, Limit>> {
        let mut this = self.project();
        let Some(inner) = this.inner.as_mut().as_pin_mut() else { return Poll::Pending };
        if let Poll::Ready(output) = inner.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        let Some(limit) = this.limit else { return Poll::Pending };
        ready!(limit.poll_passed(cx));
        this.inner.set(None);
        this.limit.take().map_or(Poll::Pending, |limit| Poll::Ready(Err(limit)))
    }
}

impl<F, B, E> Future for TryFuture<F, AsResponse>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.poll_try(cx)) {
            Ok(result) => result.map(|response| response.map(ResponseBody::inner)),
            Err(Limit { core, facts, .. }) => {
                // Always there in this form.
                let Some(facts) = facts else { return Poll::Pending };
                let problem = Problem::new(ProblemKind::DeadlineExceeded);
                let mut response = core.refuser.refuse(Rejection::new(Origin::Deadline, problem), &facts);
                // Whoever finds a rejection takes the service for one that was not asked.
                response.extensions_mut().remove::<Rejection>();
                response.extensions_mut().insert(TimedOut);
                Ok(response)
            }
        })
    }
}

impl<F, T, E> Future for TryFuture<F, AsError>
where
    F: Future<Output = Result<T, E>>,
    E: From<TimedOut>,
{
    type Output = Result<T, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(ready!(self.poll_try(cx)).unwrap_or_else(|_| Err(TimedOut.into())))
    }
}

impl<F, A> fmt::Debug for TryFuture<F, A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryFuture").finish_non_exhaustive()
    }
}
