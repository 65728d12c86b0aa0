//! The future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::core::Core;
use super::service::Answer;
use super::status::{Forward, Forwarded};
use super::tags;
use crate::spine::body::ResponseBody;
use crate::spine::shared::SharedBody;

pin_project! {
    /// The future of [`CacheService`](super::CacheService).
    pub struct ResponseFuture<S, R, B>
    where
        S: Service<R>,
    {
        #[pin]
        kind: Kind<S, R, B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<S, R, B>
    where
        S: Service<R>,
    {
        Answered { answer: Option<Answer<B>> },
        /// Past the cache: the inner service is asked whether it is ready now that it is needed.
        Passing { service: S, request: Option<R>, told: Told },
        Passed { #[pin] inner: S::Future, told: Told },
        Slow { future: SlowFuture<B, S::Error> },
    }
}

/// What is told of a request that went past the cache, if anything.
type Told = Option<(Arc<Core>, Forward)>;

type SlowFuture<B, E> = Pin<Box<dyn Future<Output = Result<Answer<B>, E>> + Send>>;

impl<S, R, B> ResponseFuture<S, R, B>
where
    S: Service<R>,
{
    pub(super) const fn answered(answer: Answer<B>) -> Self {
        Self { kind: Kind::Answered { answer: Some(answer) } }
    }

    pub(super) const fn passing(service: S, request: R, told: Told) -> Self {
        Self { kind: Kind::Passing { service, request: Some(request), told } }
    }

    pub(super) fn slow(future: impl Future<Output = Result<Answer<B>, S::Error>> + Send + 'static) -> Self {
        Self { kind: Kind::Slow { future: Box::pin(future) } }
    }
}

impl<S, R, B> Future for ResponseFuture<S, R, B>
where
    S: Service<R, Response = Response<B>>,
{
    type Output = Result<Answer<B>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut kind = self.project().kind;
        loop {
            let next = match kind.as_mut().project() {
                KindProjection::Answered { answer } => {
                    // Polled after its end, which a future need not survive; this one stays silent.
                    return answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Ok(answer)));
                }
                KindProjection::Slow { future } => return future.as_mut().poll(cx),
                KindProjection::Passed { inner, told } => {
                    let mut response = ready!(inner.poll(cx))?;
                    if let Some((core, why)) = told.take() {
                        tags::strip(response.headers_mut());
                        core.writer.write_forwarded(response.headers_mut(), Forwarded::new(why));
                    }
                    return Poll::Ready(Ok(response.map(|body| ResponseBody::inner(SharedBody::inner(body)))));
                }
                KindProjection::Passing { service, request, told } => {
                    ready!(service.poll_ready(cx))?;
                    let Some(request) = request.take() else { return Poll::Pending };
                    Kind::Passed { inner: service.call(request), told: told.take() }
                }
            };
            kind.set(next);
        }
    }
}

impl<S, R, B> fmt::Debug for ResponseFuture<S, R, B>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
