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
        Passed { #[pin] inner: F, limiter: usize, stamped: bool },
        Admitted { #[pin] inner: F, admission: Admission, stamped: bool },
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
        Self { kind: Kind::Passed { inner, limiter, stamped: false } }
    }

    pub(super) const fn admitted(inner: F, admission: Admission) -> Self {
        Self { kind: Kind::Admitted { inner, admission, stamped: false } }
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
            KindProjection::Passed { inner, limiter, stamped } => {
                let response = ready!(poll_within(*limiter, inner, stamped, cx))?;
                if *stamped {
                    nesting::mark_stamped();
                }
                Poll::Ready(Ok(response.map(ResponseBody::inner)))
            }
            KindProjection::Admitted { inner, admission, stamped } => {
                let response = ready!(poll_within(address(admission.core()), inner, stamped, cx))?;
                Poll::Ready(Ok(admit(admission, response, *stamped)))
            }
            KindProjection::Refused { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(refuse(*answer))),
                // Polled after its end, which a future need not survive; this one stays silent.
                None => Poll::Pending,
            },
        }
    }
}

/// Polls with the limiter noted, and remembers whether one further in has written fields: the response may come out in
/// a later poll than the one in which it did.
fn poll_within<F: Future>(
    limiter: usize,
    inner: Pin<&mut F>,
    stamped: &mut bool,
    cx: &mut Context<'_>,
) -> Poll<F::Output> {
    let entered = nesting::enter(limiter);
    let polled = inner.poll(cx);
    *stamped |= entered.leave();
    polled
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
        core.limiter.write(stamp, Before::Foreign, response.headers_mut());
        nesting::mark_stamped();
    }
    response
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
