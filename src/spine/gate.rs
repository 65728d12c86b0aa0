//! The future of layers that let a request pass or answer it themselves, and do nothing more.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use crate::spine::body::ResponseBody;
use crate::spine::rejection::{Refuser, Rejection};
use crate::spine::request::RequestFacts;

pin_project! {
    /// The response of the inner service, or a refusal.
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        Passed { #[pin] inner: F },
        Refused { answer: Option<Box<(Refuser, Rejection, RequestFacts)>> },
    }
}

impl<F> ResponseFuture<F> {
    pub(crate) const fn passed(inner: F) -> Self {
        Self { kind: Kind::Passed { inner } }
    }

    pub(crate) fn refused(refuser: Refuser, rejection: Rejection, facts: RequestFacts) -> Self {
        Self { kind: Kind::Refused { answer: Some(Box::new((refuser, rejection, facts))) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Passed { inner } => {
                let response = ready!(inner.poll(cx))?;
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            KindProjection::Refused { answer } => match answer.take() {
                Some(answer) => {
                    let (refuser, rejection, facts) = *answer;
                    Poll::Ready(Ok(refuser.refuse(rejection, &facts)))
                }
                None => Poll::Pending,
            },
        }
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
