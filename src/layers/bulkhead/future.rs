//! The future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::Held;
use super::layer::Core;
use super::places::Permit;
use super::refusal::Reason;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Sleep;
use crate::spine::event::{self, Label, PressureEvent};
use crate::spine::form::{AsResponse, Form};
use crate::spine::holdup::{By, Holdup};
use crate::spine::outcome::ObservedBody;
use crate::spine::request::RequestView;

pin_project! {
    /// The future of [`BulkheadService`](super::BulkheadService).
    pub struct ResponseFuture<S, R, F = AsResponse>
    where
        S: Service<R>,
        F: Form,
    {
        #[pin]
        state: State<S, R, F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, R, F>
    where
        S: Service<R>,
        F: Form,
    {
        // In a box, so that futures of requests that need not wait are no larger for it.
        Waiting { waiting: Box<Waiting<S, R>> },
        Running { #[pin] inner: S::Future, permit: Option<Permit> },
        Refused { refusal: Option<F::Refusal> },
    }
}

impl<S, R, F> ResponseFuture<S, R, F>
where
    S: Service<R>,
    F: Form,
{
    pub(super) fn waiting(wait: Wait, service: S, request: R) -> Self {
        if let Some(holdup) = &wait.holdup {
            holdup.begin(By::Queue);
        }
        Self { state: State::Waiting { waiting: Box::new(Waiting { wait, service, request: Some(request) }) } }
    }

    pub(super) const fn running(inner: S::Future, permit: Option<Permit>) -> Self {
        Self { state: State::Running { inner, permit } }
    }

    pub(super) const fn refused(refusal: F::Refusal) -> Self {
        Self { state: State::Refused { refusal: Some(refusal) } }
    }
}

impl<S, F, ReqB, ResB> Future for ResponseFuture<S, Request<ReqB>, F>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    F: Form,
    ResB: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ObservedBody<ResB, Held>>>, F::Error<S::Error>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                StateProjection::Running { inner, permit } => {
                    let response = match ready!(inner.poll(cx)) {
                        Ok(response) => response,
                        Err(error) => {
                            *permit = None;
                            return Poll::Ready(Err(F::pass(error)));
                        }
                    };
                    let permit = permit.take();
                    return Poll::Ready(Ok(response.map(|body| hold(body, permit))));
                }
                StateProjection::Refused { refusal } => match refusal.take() {
                    Some(refusal) => return Poll::Ready(F::answer(refusal)),
                    // Polled after its end, which a future need not survive; this one stays silent.
                    None => return Poll::Pending,
                },
                StateProjection::Waiting { waiting } => {
                    let Waiting { wait, service, request } = &mut **waiting;
                    match ready!(wait.poll(cx)) {
                        Ok(()) => {
                            if let Some(holdup) = wait.holdup.take() {
                                holdup.end(By::Queue);
                            }
                            if let Err(error) = ready!(service.poll_ready(cx)) {
                                wait.permit = None;
                                return Poll::Ready(Err(F::pass(error)));
                            }
                            // It is taken once, and the state is another afterwards.
                            let Some(request) = request.take() else { return Poll::Pending };
                            State::Running { inner: service.call(request), permit: wait.permit.take() }
                        }
                        Err(reason) => {
                            let Some(request) = request.take() else { return Poll::Pending };
                            State::Refused { refusal: Some(wait.refuse::<F>(reason, RequestView::of(&request))) }
                        }
                    }
                }
            };
            state.set(next);
        }
    }
}

fn hold<B: Body<Data = Bytes>>(body: B, permit: Option<Permit>) -> ResponseBody<ObservedBody<B, Held>> {
    ResponseBody::inner(match permit {
        Some(permit) => ObservedBody::new(body, Held::new(permit)),
        None => ObservedBody::unobserved(body),
    })
}

impl<S, R, F> fmt::Debug for ResponseFuture<S, R, F>
where
    S: Service<R>,
    F: Form,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}

/// A request that waits, and the service that it is for.
struct Waiting<S, R> {
    wait: Wait,
    service: S,
    request: Option<R>,
}

/// A request's wait for its place.
pub(super) struct Wait {
    core: Arc<Core>,
    permit: Option<Permit>,
    /// Until its place is found.
    sleep: Option<Sleep>,
    /// Told of the wait, which is not the service's.
    holdup: Option<Holdup>,
}

impl Wait {
    pub(super) const fn new(core: Arc<Core>, permit: Permit, sleep: Sleep, holdup: Option<Holdup>) -> Self {
        Self { core, permit: Some(permit), sleep: Some(sleep), holdup }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Reason>> {
        let Some(permit) = &mut self.permit else { return Poll::Pending };
        // A place that came in time counts, though the time is up by now.
        match permit.poll(cx.waker()) {
            Poll::Ready(Ok(())) => {
                self.sleep = None;
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(full)) => Poll::Ready(Err(full.into())),
            Poll::Pending => match &mut self.sleep {
                Some(sleep) => Pin::new(sleep).poll(cx).map(|()| Err(Reason::WaitedInVain)),
                None => Poll::Pending,
            },
        }
    }

    fn refuse<F: Form>(&mut self, reason: Reason, request: RequestView<'_>) -> F::Refusal {
        let core = &self.core;
        if let Some(permit) = self.permit.take() {
            permit.places().refused.fetch_add(1, Ordering::Relaxed);
        }
        event::pressure(PressureEvent::WaitedInVain, Label::Named(&core.name));
        F::refuse(&core.refuser, reason.rejection(core.retry_after), request)
    }
}
