//! The policy, as tower's retry asks it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body::Body;
use tower::retry::Policy;

use super::asked::{Asked, Signs};
use super::attempt::Attempt;
use super::body::ReplayBody;
use super::budget::Budget;
use super::decide::{Bounds, Stop};
use super::errors::{Boxed, Typed, ViewError};
use super::future::RetryWait;
use super::peek::Trailers;
use super::repeat::Repeatable;
use super::room::Room;
use crate::spine::clock::{Clock, Sleep};
use crate::spine::deadline::{Deadline, TimedOut};
use crate::spine::event::{self, Origin, RetryEvent, Sampler};
use crate::spine::holdup::Holdup;
use crate::spine::problem::ProblemKind;
use crate::spine::random::Random;
use crate::spine::rejection::Rejection;
use crate::spine::request::{Protocol, RequestView};

/// What all clones of a policy share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) bounds: Bounds,
    pub(super) signs: Signs,
    pub(super) repeatable: Repeatable,
    pub(super) budget: Budget,
    pub(super) body_bytes: usize,
    pub(super) room: Room,
    pub(super) trailers_within: Duration,
    pub(super) random: Random,
    pub(super) begun: Instant,
    pub(super) clock: Clock,
    pub(super) sampler: Sampler,
    pub(super) said_no_timer: AtomicBool,
}

/// When a call is tried again: a policy for [`tower::retry`](https://docs.rs/tower/0.5/tower/retry/), which does the rest.
///
/// Made by [`Retries::build`](super::Retries::build). Clones share budget and memory. [`RetryLayer`](super::RetryLayer) puts
/// it and tower's retry around a service; with tower's own layer, requests are made replayable by
/// [`keep`](Self::keep) first.
///
/// `V` looks into errors: [`Typed`], or [`Boxed`] for boxed ones.
#[must_use = "a policy does nothing until it is put around a service"]
pub struct RetryPolicy<V = Typed> {
    core: Arc<Core>,
    /// Tries of this call that were made and have failed.
    failed: u32,
    view: PhantomData<fn() -> V>,
}

crate::spine::bounds::no_layer!(RetryPolicy<V>);

/// How much may still be tried again, and what was in the last ten seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct RetryBudget {
    /// Requests, retries aside, and those that a layer further in refused.
    pub requests: u64,
    /// Retries.
    pub retries: u64,
    /// Retries that there may be now.
    pub left: u64,
}

impl RetryPolicy {
    pub(super) const fn of(core: Arc<Core>) -> Self {
        Self { core, failed: 0, view: PhantomData }
    }

    /// The same policy for services whose errors are boxed.
    pub fn boxed_errors(self) -> RetryPolicy<Boxed> {
        RetryPolicy { core: self.core, failed: self.failed, view: PhantomData }
    }
}

impl<V> RetryPolicy<V> {
    pub(super) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// How much is left.
    #[must_use]
    pub fn budget(&self) -> RetryBudget {
        let second = self.core.second();
        let recent = self.core.budget.recent(second);
        RetryBudget { requests: recent.requests, retries: recent.retries, left: self.core.budget.left(second) }
    }

    /// The request with a body that is kept for another try, if it may be made twice and the body may turn out short enough.
    pub fn keep<B>(&self, request: Request<B>) -> Request<ReplayBody<B>>
    where
        B: Body<Data = Bytes>,
    {
        let core = &self.core;
        let is_kept = core.bounds.attempts > 1
            && request.body().size_hint().lower() <= core.body_bytes as u64
            && core.repeatable.allows(RequestView::of(&request));
        request.map(|body| {
            if is_kept { ReplayBody::kept(body, core.room.keep(core.body_bytes)) } else { ReplayBody::passed(body) }
        })
    }

    fn report(&self, event: RetryEvent) {
        event::retry(event, self.failed, &self.core.sampler, &self.core.clock);
    }

    /// The wait before the next try, after which it is ours to make.
    fn next<B>(&self, request: &Request<ReplayBody<B>>, asked: Asked) -> Result<RetryWait, RetryEvent> {
        let core = &self.core;
        let view = RequestView::of(request);
        let left = Deadline::of(view).map(|deadline| deadline.left(core.clock.now()));
        let wait = core.bounds.wait(self.failed, asked, left, core.random.draw()).map_err(|stop| match stop {
            Stop::Attempts => RetryEvent::Exhausted,
            Stop::Asked => RetryEvent::AskedTooLong,
            Stop::Deadline => RetryEvent::TooLate,
        })?;
        if !request.body().can_replay() {
            return Err(RetryEvent::BodyGone);
        }
        let sleep = if wait.is_zero() { None } else { Some(self.sleep(wait).ok_or(RetryEvent::NoTimer)?) };
        if !core.budget.take_retry(core.second()) {
            return Err(RetryEvent::BudgetSpent);
        }
        if !request.body().take_over() {
            return Err(RetryEvent::BodyGone);
        }
        Ok(RetryWait::new(sleep))
    }

    fn sleep(&self, wait: Duration) -> Option<Sleep> {
        const MEND: &str = "a call cannot wait for another try outside of a tokio runtime, and is not tried again; run the \
             client on one";
        let sleep = self.core.clock.sleep(wait);
        if sleep.is_none() {
            event::fault_once(&self.core.said_no_timer, Origin::Retry, "no_timer", MEND);
        }
        sleep
    }

    /// Whether this result asks for another try, and when.
    fn judge<B, E>(&self, result: &Result<Response<B>, E>) -> Option<Asked>
    where
        V: ViewError<E>,
    {
        if refusal::<V, _, _>(result).is_some() {
            return None;
        }
        match result {
            Ok(response) => {
                let extensions = response.extensions();
                let signs = &self.core.signs;
                let asked = match extensions.get::<Trailers>() {
                    Some(Trailers(trailers)) => signs.judge_grpc(trailers),
                    None => signs.judge(response.status(), response.headers(), self.core.clock.wall()),
                };
                // A try without an answer has failed in any protocol.
                asked.or_else(|| extensions.get::<TimedOut>().map(|_| Asked::Freely))
            }
            // There is no head, so the connection failed or broke off before.
            Err(_) => Some(Asked::Freely),
        }
    }
}

impl Core {
    fn second(&self) -> u64 {
        self.clock.now().saturating_duration_since(self.begun).as_secs()
    }

    /// Takes a call out of the budget that a layer further in refused: nobody had to bear it. One whose deadline passed
    /// there was borne until then.
    pub(super) fn uncount_refused<V, B, E>(&self, result: &Result<Response<B>, E>)
    where
        V: ViewError<E>,
    {
        let kind = refusal::<V, _, _>(result).map(|rejection| rejection.problem().kind());
        if kind.is_some_and(|kind| kind != ProblemKind::DeadlineExceeded) {
            self.budget.take_back(self.second());
        }
    }
}

/// The refusal of a layer further in.
fn refusal<V, B, E>(result: &Result<Response<B>, E>) -> Option<&Rejection>
where
    V: ViewError<E>,
{
    match result {
        Ok(response) => response.extensions().get(),
        Err(error) => V::view(error).and_then(Rejection::in_error),
    }
}

impl<V, B, R, E> Policy<Request<ReplayBody<B>>, Response<R>, E> for RetryPolicy<V>
where
    V: ViewError<E>,
{
    type Future = RetryWait;

    fn retry(
        &mut self,
        request: &mut Request<ReplayBody<B>>,
        result: &mut Result<Response<R>, E>,
    ) -> Option<Self::Future> {
        let asked = self.judge(result).filter(|_| !is_held_up::<V, _, _>(RequestView::of(request), result));
        if self.failed == 0 && asked.is_none() {
            self.core.uncount_refused::<V, _, _>(result);
        }
        if asked.is_some() {
            self.failed = self.failed.saturating_add(1);
        }
        let stopped = match asked.map(|asked| self.next(request, asked)) {
            Some(Ok(wait)) => {
                self.report(RetryEvent::Retried);
                note_attempt(request, Attempt::after(self.failed));
                return Some(wait);
            }
            Some(Err(stopped)) => Some(stopped),
            None => None,
        };
        if let Some(stopped) = stopped {
            self.report(stopped);
        }
        if let Ok(response) = result {
            response.extensions_mut().remove::<Trailers>();
            // Where the first try was the last there is nothing to tell.
            if let Some(attempt) = Attempt::noted(RequestView::of(request)) {
                response.extensions_mut().insert(attempt);
            }
        }
        None
    }

    fn clone_request(&mut self, request: &Request<ReplayBody<B>>) -> Option<Request<ReplayBody<B>>> {
        if self.core.bounds.attempts < 2 {
            return None;
        }
        if self.failed == 0 {
            self.core.budget.request(self.core.second());
        }
        // A body that is kept belongs to a request that may be made twice.
        let mut again = Request::new(request.body().again()?);
        *again.method_mut() = request.method().clone();
        *again.uri_mut() = request.uri().clone();
        *again.version_mut() = request.version();
        *again.headers_mut() = request.headers().clone();
        *again.extensions_mut() = request.extensions().clone();
        Some(again)
    }
}

/// Whether the try was cut off by something that will hold the next one up as well.
fn is_held_up<V: ViewError<E>, B, E>(request: RequestView<'_>, result: &Result<Response<B>, E>) -> bool {
    let timed_out = || match result {
        Ok(response) => response.extensions().get::<TimedOut>().is_some(),
        Err(error) => V::view(error).is_some_and(TimedOut::is_in),
    };
    Holdup::of(request).is_some_and(|holdup| holdup.is_held()) && timed_out()
}

const PREVIOUS_ATTEMPTS: HeaderName = HeaderName::from_static("grpc-previous-rpc-attempts");

/// Tells layers further in which try it is, and gRPC servers by the field of A6.
fn note_attempt<B>(request: &mut Request<B>, attempt: Attempt) {
    request.extensions_mut().insert(attempt);
    if Protocol::of_headers(request.headers()) == Protocol::Grpc {
        request.headers_mut().insert(PREVIOUS_ATTEMPTS, HeaderValue::from(attempt.get() - 1));
    }
}

impl<V> Clone for RetryPolicy<V> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), failed: self.failed, view: PhantomData }
    }
}

impl<V> fmt::Debug for RetryPolicy<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RetryPolicy").field("failed", &self.failed).field("core", &self.core).finish_non_exhaustive()
    }
}
