//! The future of both layers.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use super::ticket::Ticket;
use crate::spine::body::ResponseBody;
use crate::spine::form::{AsResponse, Form};
use crate::spine::outcome::ObservedBody;

pin_project! {
    /// The future of [`LoadShedService`](super::LoadShedService) and
    /// [`AdaptiveThrottleService`](super::AdaptiveThrottleService).
    pub struct ResponseFuture<Fut, T, F = AsResponse>
    where
        F: Form,
    {
        #[pin]
        state: State<Fut, T, F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<Fut, T, F>
    where
        F: Form,
    {
        Running { #[pin] inner: Fut, ticket: Option<T> },
        Refused { refusal: Option<F::Refusal> },
    }
}

impl<Fut, T, F: Form> ResponseFuture<Fut, T, F> {
    pub(super) const fn running(inner: Fut, ticket: Option<T>) -> Self {
        Self { state: State::Running { inner, ticket } }
    }

    pub(super) const fn refused(refusal: F::Refusal) -> Self {
        Self { state: State::Refused { refusal: Some(refusal) } }
    }
}

impl<Fut, T, F, B, E> Future for ResponseFuture<Fut, T, F>
where
    Fut: Future<Output = Result<Response<B>, E>>,
    T: Ticket,
    F: Form,
    B: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ObservedBody<B, T>>>, F::Error<E>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProjection::Running { inner, ticket } => {
                let result = ready!(inner.poll(cx));
                let mut ticket = ticket.take();
                match result {
                    Ok(response) => {
                        if let Some(ticket) = &mut ticket {
                            ticket.responded(&response);
                        }
                        let ticket = ticket.filter(Ticket::outlives_head);
                        Poll::Ready(Ok(response.map(|body| observe(body, ticket))))
                    }
                    Err(error) => {
                        if let Some(ticket) = &mut ticket {
                            ticket.failed();
                        }
                        Poll::Ready(Err(F::pass(error)))
                    }
                }
            }
            StateProjection::Refused { refusal } => match refusal.take() {
                Some(refusal) => Poll::Ready(F::answer(refusal)),
                // Polled after its end, which a future need not survive; this one stays silent.
                None => Poll::Pending,
            },
        }
    }
}

fn observe<B: Body<Data = Bytes>, T: Ticket>(body: B, ticket: Option<T>) -> ResponseBody<ObservedBody<B, T>> {
    ResponseBody::inner(match ticket {
        Some(ticket) => ObservedBody::new(body, ticket),
        None => ObservedBody::unobserved(body),
    })
}

impl<Fut, T, F: Form> fmt::Debug for ResponseFuture<Fut, T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
