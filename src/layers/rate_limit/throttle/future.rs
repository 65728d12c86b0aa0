//! The future.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use http::Response;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::super::admission::Admission;
use super::super::future::{ResponseFuture, address};
use super::super::layer::Core;
use super::super::service::pass_on;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Sleep;

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
        Waiting { wait: Option<Wait>, service: S, call: Option<(R, Admission)> },
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

    pub(super) const fn waiting(wait: Wait, service: S, request: R, admission: Admission) -> Self {
        Self { state: State::Waiting { wait: Some(wait), service, call: Some((request, admission)) } }
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
            let running = match state.as_mut().project() {
                StateProjection::Running { running } => return running.poll(cx),
                StateProjection::Waiting { wait, service, call } => {
                    if let Some(waiting) = wait {
                        ready!(Pin::new(&mut waiting.sleep).poll(cx));
                        *wait = None;
                        if let Some((_, admission)) = call {
                            admission.begin();
                        }
                    }
                    ready!(service.poll_ready(cx))?;
                    // It is taken once, and the state is another afterwards.
                    let Some((request, admission)) = call.take() else { return Poll::Pending };
                    let limiter = address(admission.core());
                    pass_on(service, request, Some(admission), limiter)
                }
            };
            state.set(State::Running { running });
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

/// A wait, and its place among those that may wait.
pub(super) struct Wait {
    sleep: Sleep,
    _place: Place,
}

/// A place among those that may wait.
pub(super) struct Place(Arc<Core>);

impl Wait {
    /// A place, if there is one.
    pub(super) fn place(core: &Arc<Core>) -> Option<Place> {
        let taken = core.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |waiting| {
            (waiting < core.max_waiting).then_some(waiting + 1)
        });
        taken.is_ok().then(|| Place(Arc::clone(core)))
    }
}

impl Place {
    pub(super) const fn until(self, sleep: Sleep) -> Wait {
        Wait { sleep, _place: self }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}
