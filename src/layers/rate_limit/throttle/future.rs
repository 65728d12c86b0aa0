//! The future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::super::admission::Admission;
use super::super::future::{ResponseFuture, address};
use super::super::layer::Core;
use super::super::limiter::Outcome;
use super::super::service::pass_on;
use super::service::admit;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Sleep;
use crate::spine::request::RequestFacts;
use crate::spine::slots::Slot;

pin_project! {
    /// The future of [`ThrottleService`](super::ThrottleService).
    pub struct ThrottleFuture<S, R>
    where
        S: Service<R>,
    {
        #[pin]
        state: State<S, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, R>
    where
        S: Service<R>,
    {
        Asking { asking: Asking, call: Option<(S, R)> },
        Waiting { wait: Option<Wait>, limiter: usize, service: S, call: Option<(R, Option<Admission>)> },
        Running { #[pin] running: ResponseFuture<S::Future> },
    }
}

impl<S, R> ThrottleFuture<S, R>
where
    S: Service<R>,
{
    pub(super) const fn running(running: ResponseFuture<S::Future>) -> Self {
        Self { state: State::Running { running } }
    }

    pub(super) fn waiting(wait: Wait, service: S, request: R, admission: Option<Admission>, core: &Arc<Core>) -> Self {
        let (limiter, call) = (address(core), Some((request, admission)));
        Self { state: State::Waiting { wait: Some(wait), limiter, service, call } }
    }

    pub(super) const fn asking(asking: Asking, service: S, request: R) -> Self {
        Self { state: State::Asking { asking, call: Some((service, request)) } }
    }
}

impl<S, R, B> Future for ThrottleFuture<S, R>
where
    S: Service<R, Response = Response<B>>,
{
    type Output = Result<Response<ResponseBody<B>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Running { running } => return running.poll(cx),
                StateProjection::Asking { asking, call } => {
                    let outcome = ready!(asking.answer.as_mut().poll(cx));
                    let Some((service, request)) = call.take() else { return Poll::Pending };
                    let core = &asking.core;
                    match admit(core, outcome) {
                        Ok((admission, wait)) => {
                            State::Waiting { wait, limiter: address(core), service, call: Some((request, admission)) }
                        }
                        Err(refusal) => {
                            let Some(facts) = asking.facts.take() else { return Poll::Pending };
                            State::Running { running: ResponseFuture::refused(core, refusal, facts) }
                        }
                    }
                }
                StateProjection::Waiting { wait, limiter, service, call } => {
                    if let Some(waiting) = wait {
                        ready!(Pin::new(&mut waiting.sleep).poll(cx));
                        *wait = None;
                        if let Some((_, Some(admission))) = call {
                            admission.begin();
                        }
                    }
                    ready!(service.poll_ready(cx))?;
                    // It is taken once, and the state is another afterwards.
                    let Some((request, admission)) = call.take() else { return Poll::Pending };
                    State::Running { running: pass_on(service, request, admission, *limiter) }
                }
            };
            state.set(next);
        }
    }
}

impl<S, R> fmt::Debug for ThrottleFuture<S, R>
where
    S: Service<R>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThrottleFuture").finish_non_exhaustive()
    }
}

/// A request whose charges are asked for.
pub(super) struct Asking {
    answer: Pin<Box<dyn Future<Output = Outcome> + Send>>,
    core: Arc<Core>,
    facts: Option<RequestFacts>,
}

impl Asking {
    pub(super) fn new(
        answer: impl Future<Output = Outcome> + Send + 'static,
        core: Arc<Core>,
        facts: RequestFacts,
    ) -> Self {
        Self { answer: Box::pin(answer), core, facts: Some(facts) }
    }
}

/// A wait, and its slot among those that may wait.
pub(super) struct Wait {
    sleep: Sleep,
    _slot: Slot,
}

impl Wait {
    pub(super) const fn new(sleep: Sleep, slot: Slot) -> Self {
        Self { sleep, _slot: slot }
    }
}
