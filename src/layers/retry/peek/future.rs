//! The future.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::super::policy::Core;
use super::body::{First, PeekedBody};
use crate::spine::clock::Sleep;

/// Trailers that came right behind a head, in the extensions of its response.
#[derive(Debug, Clone)]
pub(in super::super) struct Trailers(pub(in super::super) HeaderMap);

pin_project! {
    /// The future of [`Peek`](super::Peek).
    pub(in super::super) struct PeekFuture<F, R>
    where
        R: Body,
    {
        #[pin]
        state: State<F, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F, R>
    where
        R: Body,
    {
        Asking { #[pin] inner: F, core: Option<Arc<Core>> },
        Looking { looking: Option<Looking<R>> },
    }
}

impl<F, R: Body> PeekFuture<F, R> {
    /// The answer is looked into where there is a `core` to say for how long.
    pub(super) const fn new(inner: F, core: Option<Arc<Core>>) -> Self {
        Self { state: State::Asking { inner, core } }
    }
}

/// An answer that nobody has seen yet.
struct Looking<R> {
    core: Arc<Core>,
    /// In a box, since it is polled before it is handed on.
    response: Response<Pin<Box<R>>>,
    /// Begun when there is something to wait for.
    sleep: Option<Sleep>,
}

impl<R: Body<Data = Bytes>> Looking<R> {
    /// The first frame, or the body's end; `None` when neither has come in time.
    fn poll_first(&mut self, cx: &mut Context<'_>) -> Poll<Option<First<R>>> {
        if let Poll::Ready(first) = self.response.body_mut().as_mut().poll_frame(cx) {
            return Poll::Ready(Some(first));
        }
        if self.sleep.is_none() {
            let wait = self.core.trailers_within;
            self.sleep = if wait.is_zero() { None } else { self.core.clock.sleep(wait) };
        }
        // Where nothing can end a wait there is none.
        let Some(sleep) = &mut self.sleep else { return Poll::Ready(None) };
        Pin::new(sleep).poll(cx).map(|()| None)
    }

    fn seen(self, first: Option<First<R>>) -> Response<PeekedBody<R>> {
        let (mut parts, body) = self.response.into_parts();
        if let Some(Some(Ok(frame))) = &first
            && let Some(trailers) = frame.trailers_ref()
        {
            parts.extensions.insert(Trailers(trailers.clone()));
        }
        Response::from_parts(parts, PeekedBody::seen(body, first))
    }
}

/// Whether gRPC's status is still to come.
fn awaits_trailers<R: Body>(core: &Core, response: &Response<R>) -> bool {
    core.signs.awaits_trailers(response.status(), response.headers()) && !response.body().is_end_stream()
}

impl<F, R, E> Future for PeekFuture<F, R>
where
    F: Future<Output = Result<Response<R>, E>>,
    R: Body<Data = Bytes>,
{
    type Output = Result<Response<PeekedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let looking = match state.as_mut().project() {
                StateProjection::Asking { inner, core } => {
                    let response = ready!(inner.poll(cx))?;
                    match core.take() {
                        Some(core) if awaits_trailers(&core, &response) => {
                            Looking { core, response: response.map(Box::pin), sleep: None }
                        }
                        _ => return Poll::Ready(Ok(response.map(PeekedBody::unseen))),
                    }
                }
                StateProjection::Looking { looking } => {
                    let first = match looking {
                        Some(looking) => ready!(looking.poll_first(cx)),
                        None => None,
                    };
                    // Polled after its end, which a future need not survive; this one stays silent.
                    let Some(looking) = looking.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(looking.seen(first)));
                }
            };
            state.set(State::Looking { looking: Some(looking) });
        }
    }
}
