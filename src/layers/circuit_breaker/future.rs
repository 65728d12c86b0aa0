//! The futures.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::circuit::rejection;
use super::errors::ClassifyError;
use super::machine::Shut;
use super::permit::Permit;
use crate::spine::body::ResponseBody;
use crate::spine::client_error::ClientError;
use crate::spine::outcome::ObservedBody;

pin_project! {
    /// The future of [`CircuitBreakerService`](super::CircuitBreakerService).
    pub struct ResponseFuture<F, C> {
        #[pin]
        kind: Kind<F, C, Option<Box<Response<ResponseBody<()>>>>>,
    }
}

pin_project! {
    /// The future of [`CircuitBreakerClientService`](super::CircuitBreakerClientService).
    pub struct ClientFuture<F, C> {
        #[pin]
        kind: Kind<F, C, Option<Shut>>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F, C, R> {
        Passed { #[pin] inner: F, permit: Option<Permit>, errors: C },
        Refused { answer: R },
    }
}

/// What both forms answer with.
type Answer<B> = Response<ResponseBody<ObservedBody<B, Permit>>>;

impl<F, C> ResponseFuture<F, C> {
    pub(super) const fn passed(inner: F, permit: Permit, errors: C) -> Self {
        Self { kind: Kind::Passed { inner, permit: Some(permit), errors } }
    }

    pub(super) fn answered(answer: Response<ResponseBody<()>>) -> Self {
        Self { kind: Kind::Refused { answer: Some(Box::new(answer)) } }
    }
}

impl<F, C> ClientFuture<F, C> {
    pub(super) const fn passed(inner: F, permit: Permit, errors: C) -> Self {
        Self { kind: Kind::Passed { inner, permit: Some(permit), errors } }
    }

    pub(super) const fn refused(shut: Shut) -> Self {
        Self { kind: Kind::Refused { answer: Some(shut) } }
    }
}

impl<F, C, B, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<Response<B>, E>>,
    C: ClassifyError<E>,
    B: Body,
{
    type Output = Result<Answer<B>, E>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Passed { inner, permit, errors } => poll_passed(inner, permit, errors, cx),
            KindProjection::Refused { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer.map(ResponseBody::retyped))),
                // Polled after its end, which a future need not survive; this one stays silent.
                None => Poll::Pending,
            },
        }
    }
}

impl<F, C, B, E> Future for ClientFuture<F, C>
where
    F: Future<Output = Result<Response<B>, E>>,
    C: ClassifyError<E>,
    B: Body,
{
    type Output = Result<Answer<B>, ClientError<E>>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Passed { inner, permit, errors } => {
                poll_passed(inner, permit, errors, cx).map_err(ClientError::Inner)
            }
            KindProjection::Refused { answer } => match answer.take() {
                Some(shut) => Poll::Ready(Err(ClientError::Refused(rejection(shut)))),
                None => Poll::Pending,
            },
        }
    }
}

#[inline]
fn poll_passed<F, C, B, E>(
    inner: Pin<&mut F>,
    held: &mut Option<Permit>,
    errors: &C,
    cx: &mut Context<'_>,
) -> Poll<Result<Answer<B>, E>>
where
    F: Future<Output = Result<Response<B>, E>>,
    C: ClassifyError<E>,
    B: Body,
{
    let Some(permit) = held else { return Poll::Pending };
    permit.set_polling(true);
    let polled = inner.poll(cx);
    permit.set_polling(false);
    match polled {
        Poll::Pending => {
            permit.waits();
            Poll::Pending
        }
        Poll::Ready(Ok(response)) => {
            // What the head settles is over here; what it does not goes on in the body.
            let has_ended = response.body().is_end_stream();
            let observer = if permit.respond(&response, has_ended) { held.take() } else { None };
            *held = None;
            Poll::Ready(Ok(response.map(|body| ResponseBody::inner(ObservedBody::of(body, observer)))))
        }
        Poll::Ready(Err(error)) => {
            if let Some(permit) = held.take() {
                permit.verdict(errors.verdict(&error));
            }
            Poll::Ready(Err(error))
        }
    }
}

impl<F, C> fmt::Debug for ResponseFuture<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

impl<F, C> fmt::Debug for ClientFuture<F, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientFuture").finish_non_exhaustive()
    }
}
