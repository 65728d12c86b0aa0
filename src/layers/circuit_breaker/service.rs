//! The service.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use tower_service::Service;

use super::circuit::{Circuit, rejection};
use super::circuits::Circuits;
use super::errors::ClassifyError;
use super::future::ResponseFuture;
use super::judge::Judgement;
use super::machine::{Kind, Shut, Ticket};
use super::permit::Permit;
use super::settings::WhenOpen;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Sleep;
use crate::spine::outcome::ObservedBody;
use crate::spine::rejection::finish;
use crate::spine::request::{RequestFacts, RequestView};
use crate::spine::signal::Wait;

/// The service of [`CircuitBreakerLayer`](super::CircuitBreakerLayer).
#[derive(Debug, Clone)]
pub struct CircuitBreakerService<S, C = super::AllErrors> {
    gate: Gate<S, C>,
}

impl<S, C> CircuitBreakerService<S, C> {
    pub(super) const fn new(inner: S, circuits: Arc<Circuits>, errors: C) -> Self {
        Self { gate: Gate::new(inner, circuits, errors) }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.gate.inner
    }

    /// The inner service, to be changed.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.gate.inner
    }

    /// The inner service, alone.
    pub fn into_inner(self) -> S {
        self.gate.inner
    }
}

impl<S, C, ReqB, ResB> Service<Request<ReqB>> for CircuitBreakerService<S, C>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    C: ClassifyError<S::Error>,
    ResB: http_body::Body,
{
    type Response = Response<ResponseBody<ObservedBody<ResB, Permit>>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, C>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.gate.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        match self.gate.enter(RequestView::of(&request)) {
            // A panic in `call` drops the permit, which counts.
            Ok(permit) => ResponseFuture::passed(self.gate.inner.call(request), permit, self.gate.errors.clone()),
            Err(shut) => {
                let rejection = rejection(shut);
                let (shared, view) = (&self.gate.circuits.shared, RequestView::of(&request));
                let facts = RequestFacts::of(view);
                if let Some(answer) = shared.fallback.as_ref().and_then(|fallback| fallback(&rejection, view)) {
                    return ResponseFuture::answered(finish(rejection.without_wait(), answer, &facts));
                }
                ResponseFuture::answered(shared.refuser.refuse(rejection, &facts))
            }
        }
    }
}

/// What both forms of the layer do before a call.
pub(super) struct Gate<S, C> {
    pub(super) inner: S,
    pub(super) circuits: Arc<Circuits>,
    pub(super) errors: C,
    /// What the circuit said when it was polled ready and is open: the inner service was not asked then.
    shut: Option<Shut>,
    waiting: Option<Box<Waiting>>,
}

/// What ends an open circuit: time, or somebody.
struct Waiting {
    sleep: Option<Sleep>,
    wait: Option<Wait>,
}

impl<S, C> Gate<S, C> {
    pub(super) const fn new(inner: S, circuits: Arc<Circuits>, errors: C) -> Self {
        Self { inner, circuits, errors, shut: None, waiting: None }
    }

    #[inline]
    pub(super) fn poll_ready<R>(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<R>,
        C: ClassifyError<S::Error>,
    {
        self.shut = None;
        if self.circuits.keyed.is_none() && !self.circuits.common.machine.word().is_closed() {
            if self.circuits.shared.when_open == WhenOpen::Pend {
                ready!(self.poll_open(cx));
            }
            self.shut = self.would_refuse();
            if self.shut.is_some() {
                // An unready inner service must not hide that the answer is no.
                return Poll::Ready(Ok(()));
            }
        }
        let readied = ready!(self.inner.poll_ready(cx));
        Poll::Ready(readied.inspect_err(|error| self.unready(error)))
    }

    fn would_refuse(&self) -> Option<Shut> {
        self.circuits.common.would_refuse()
    }

    /// Waits until a call would be let through.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                let slept = waiting.sleep.as_mut().is_some_and(|sleep| Pin::new(sleep).poll(cx).is_ready());
                let woken = waiting.wait.as_mut().is_some_and(|wait| Pin::new(wait).poll(cx).is_ready());
                if !slept && !woken {
                    return Poll::Pending;
                }
            }
            let shared = &self.circuits.shared;
            // Waited for before it is looked, so that no change falls in between.
            let wait = shared.changed.wait();
            let Some(shut) = self.would_refuse() else {
                self.waiting = None;
                return Poll::Ready(());
            };
            let sleep = shut.wait.and_then(|wait| shared.time.sleep_ms(wait));
            if sleep.is_none() && wait.is_none() {
                // Nobody could wake it: it refuses.
                self.waiting = None;
                return Poll::Ready(());
            }
            self.waiting = Some(Box::new(Waiting { sleep, wait }));
        }
    }

    /// A service that cannot be readied is one that cannot be called.
    fn unready<E>(&self, error: &E)
    where
        C: ClassifyError<E>,
    {
        if self.circuits.keyed.is_some() {
            return;
        }
        if let Ok(mut permit) = admit(Arc::clone(&self.circuits.common)) {
            permit.hear(Judgement::of_verdict(self.errors.verdict(error)));
        }
    }

    /// Lets a call in, or not.
    #[inline]
    pub(super) fn enter(&mut self, request: RequestView<'_>) -> Result<Permit, Shut> {
        if let Some(shut) = self.shut.take() {
            // Its time may have come since, but nobody has asked the inner service; the next call will.
            self.circuits.common.refused();
            return Err(shut);
        }
        admit(self.circuits.of(request)).map(|permit| permit.of_request(request))
    }
}

/// A permit of a circuit. In shadow mode there always is one.
#[inline]
pub(super) fn admit(circuit: Arc<Circuit>) -> Result<Permit, Shut> {
    match circuit.admit() {
        Ok(ticket) => Ok(Permit::new(circuit, ticket)),
        Err(shut) => {
            circuit.refused();
            if !circuit.is_shadow() {
                return Err(shut);
            }
            let generation = circuit.machine.word().generation();
            Ok(Permit::new(circuit, Ticket { generation, kind: Kind::Uncounted }))
        }
    }
}

impl<S: Clone, C: Clone> Clone for Gate<S, C> {
    fn clone(&self) -> Self {
        // A clone of a ready service must ask for itself.
        Self::new(self.inner.clone(), Arc::clone(&self.circuits), self.errors.clone())
    }
}

impl<S: fmt::Debug, C> fmt::Debug for Gate<S, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("inner", &self.inner).field("circuits", &self.circuits).finish_non_exhaustive()
    }
}
