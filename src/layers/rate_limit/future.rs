//! The future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::admission::Admission;
use super::fields::Before;
use super::layer::Core;
use super::nesting;
use super::refusal::Refusal;
use crate::spine::body::ResponseBody;
use crate::spine::request::RequestFacts;
use crate::spine::response::ResponseView;

pin_project! {
    /// The future of [`RateLimitService`](super::RateLimitService).
    #[project = ResponseFutureProjection]
    pub struct ResponseFuture<F> {
        #[pin]
        kind: Kind<F>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<F> {
        /// Nothing is to be done with the response, but a limiter further in may want to know who is outside.
        Passed { #[pin] inner: F, limiter: usize },
        Admitted { #[pin] inner: F, admission: Admission },
        Refused { answer: Option<Box<Answer>> },
    }
}

/// A refusal that nobody has asked for yet.
struct Answer {
    core: Arc<Core>,
    refusal: Box<Refusal>,
    facts: RequestFacts,
}

impl<F> ResponseFuture<F> {
    pub(super) const fn passed(inner: F, limiter: usize) -> Self {
        Self { kind: Kind::Passed { inner, limiter } }
    }

    pub(super) const fn admitted(inner: F, admission: Admission) -> Self {
        Self { kind: Kind::Admitted { inner, admission } }
    }

    pub(super) fn refused(core: &Arc<Core>, refusal: Box<Refusal>, facts: RequestFacts) -> Self {
        let answer = Answer { core: Arc::clone(core), refusal, facts };
        Self { kind: Kind::Refused { answer: Some(Box::new(answer)) } }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            KindProjection::Passed { inner, limiter } => {
                let entered = nesting::enter(*limiter);
                let response = ready!(inner.poll(cx))?;
                if entered.leave() {
                    nesting::mark_stamped();
                }
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            KindProjection::Admitted { inner, admission } => {
                let entered = nesting::enter(address(admission.core()));
                let response = ready!(inner.poll(cx))?;
                let stamped_inside = entered.leave();
                Poll::Ready(Ok(admit(admission, response, stamped_inside)))
            }
            KindProjection::Refused { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(refuse(*answer))),
                // Polled after its end, which a future need not survive; this one stays silent.
                None => Poll::Pending,
            },
        }
    }
}

/// What a limiter is known by on its thread.
pub(super) fn address(core: &Arc<Core>) -> usize {
    Arc::as_ptr(core).addr()
}

fn admit<B>(admission: &mut Admission, response: Response<B>, stamped_inside: bool) -> Response<ResponseBody<B>> {
    let guard = admission.respond(ResponseView::of(&response));
    let (mut parts, body) = response.into_parts();
    // An informational answer is not the response yet, and 101 begins another protocol.
    if !parts.status.is_informational() {
        admission.stamp(stamped_inside, &mut parts.headers);
    }
    let body = match guard {
        Some(guard) => ResponseBody::guarded(body, guard),
        None => ResponseBody::inner(body),
    };
    Response::from_parts(parts, body)
}

fn refuse<B>(answer: Answer) -> Response<ResponseBody<B>> {
    let Answer { core, refusal, facts } = answer;
    let mut response = core.refuser.refuse(refusal.rejection(facts.protocol()), &facts);
    if let Some(stamp) = &refusal.stamp {
        stamp.write(core.limiter.style, Before::Foreign, response.headers_mut());
        nesting::mark_stamped();
    }
    response
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
