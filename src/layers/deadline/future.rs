//! The futures.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;

use super::body::DeadlineBody;
use super::layer::Core;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Sleep;
use crate::spine::deadline::Deadline;
use crate::spine::event::Origin;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestFacts;

/// What a call that has a deadline needs to end by it.
pub(super) struct Limit {
    pub(super) core: Arc<Core>,
    pub(super) deadline: Deadline,
    facts: RequestFacts,
    /// Begun when there is something to wait for.
    pub(super) sleep: Option<Sleep>,
    /// Whether there is nobody who could wake us.
    has_no_timer: bool,
}

impl Limit {
    pub(super) const fn new(core: Arc<Core>, deadline: Deadline, facts: RequestFacts) -> Self {
        Self { core, deadline, facts, sleep: None, has_no_timer: false }
    }

    /// Ready when the deadline has passed.
    pub(super) fn poll_passed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.is_none() && !self.has_no_timer {
            self.sleep = self.core.sleep(self.deadline.left(self.core.clock.now()));
            self.has_no_timer = self.sleep.is_none();
        }
        self.sleep.as_mut().map_or(Poll::Pending, |sleep| Pin::new(sleep).poll(cx))
    }

    pub(super) const fn facts(&self) -> &RequestFacts {
        &self.facts
    }
}

/// An answer of our own that nobody has asked for yet.
pub(super) struct Answer {
    core: Arc<Core>,
    rejection: Rejection,
    facts: RequestFacts,
}

impl Answer {
    fn respond<B>(self) -> Response<ResponseBody<B>> {
        self.core.refuser.refuse(self.rejection, &self.facts)
    }
}

pin_project! {
    /// A call, and what may end it before its time.
    #[project = TimedProjection]
    pub(super) enum Timed<F> {
        Free { #[pin] inner: F },
        Limited { #[pin] inner: F, limit: Option<Limit> },
        Refused { answer: Option<Box<Answer>> },
    }
}

/// What a call came to.
enum Outcome<T> {
    Inner(T, Option<Limit>),
    Own(Answer),
}

impl<F> Timed<F> {
    pub(super) const fn free(inner: F) -> Self {
        Self::Free { inner }
    }

    pub(super) const fn limited(inner: F, limit: Limit) -> Self {
        Self::Limited { inner, limit: Some(limit) }
    }

    pub(super) fn refused(core: Arc<Core>, rejection: Rejection, facts: RequestFacts) -> Self {
        Self::Refused { answer: Some(Box::new(Answer { core, rejection, facts })) }
    }
}

impl<F: Future> Timed<F> {
    fn poll_outcome(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<F::Output>> {
        let limit = match self.as_mut().project() {
            TimedProjection::Free { inner } => return inner.poll(cx).map(|output| Outcome::Inner(output, None)),
            TimedProjection::Limited { inner, limit } => {
                // What is there in time counts, even if it is seen late.
                if let Poll::Ready(output) = inner.poll(cx) {
                    return Poll::Ready(Outcome::Inner(output, limit.take()));
                }
                match limit {
                    Some(limit) => ready!(limit.poll_passed(cx)),
                    None => return Poll::Pending,
                }
                limit.take()
            }
            TimedProjection::Refused { answer } => {
                // Polled after its end, which a future need not survive; this one stays silent.
                return answer.take().map_or(Poll::Pending, |answer| Poll::Ready(Outcome::Own(*answer)));
            }
        };
        // The call ends here: whatever it held is free before anybody hears of it.
        self.set(Self::Refused { answer: None });
        let Some(Limit { core, facts, .. }) = limit else { return Poll::Pending };
        let rejection = Rejection::new(Origin::Deadline, Problem::new(ProblemKind::DeadlineExceeded));
        Poll::Ready(Outcome::Own(Answer { core, rejection, facts }))
    }
}

pin_project! {
    /// The future of [`DeadlineService`](super::DeadlineService).
    pub struct ResponseFuture<F> {
        #[pin]
        timed: Timed<F>,
    }
}

impl<F> ResponseFuture<F> {
    pub(super) const fn new(timed: Timed<F>) -> Self {
        Self { timed }
    }
}

impl<F, B, E> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().timed.poll_outcome(cx)) {
            Outcome::Inner(result, _) => result.map(|response| response.map(ResponseBody::inner)),
            Outcome::Own(answer) => Ok(answer.respond()),
        })
    }
}

impl<F> fmt::Debug for ResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The future of [`DeadlineBodyService`](super::DeadlineBodyService).
    pub struct BodyResponseFuture<F> {
        #[pin]
        timed: Timed<F>,
    }
}

impl<F> BodyResponseFuture<F> {
    pub(super) const fn new(timed: Timed<F>) -> Self {
        Self { timed }
    }
}

impl<F, B, E> Future for BodyResponseFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<DeadlineBody<B>>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match ready!(self.project().timed.poll_outcome(cx)) {
            Outcome::Inner(result, limit) => {
                result.map(|response| response.map(|body| ResponseBody::inner(DeadlineBody::new(body, limit))))
            }
            Outcome::Own(answer) => Ok(answer.respond()),
        })
    }
}

impl<F> fmt::Debug for BodyResponseFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyResponseFuture").finish_non_exhaustive()
    }
}
