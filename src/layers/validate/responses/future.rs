//! The future: the inner service answers, and what it answers is looked at.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::super::budget::Held;
use super::super::openapi::{Described, check_body};
use super::body::JudgedBody;
use super::layer::Shared;
use crate::spine::body::ResponseBody;
use crate::spine::event::{self, Origin};
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestFacts;

pin_project! {
    /// The response of the inner service, or 500.
    pub struct ResponsesFuture<F, B> {
        #[pin]
        inner: F,
        asked: Option<Asked>,
        reading: Option<Box<Reading<B>>>,
    }
}

/// What was asked for.
pub(super) struct Asked {
    pub(super) shared: Arc<Shared>,
    pub(super) route: usize,
    pub(super) facts: RequestFacts,
    pub(super) has_body: bool,
}

/// A response whose body is being read.
struct Reading<B> {
    asked: Asked,
    parts: response::Parts,
    body: Pin<Box<B>>,
    read: BytesMut,
    trailers: Option<HeaderMap>,
    held: Held,
}

type Answer<B> = Response<ResponseBody<JudgedBody<B>>>;

impl<F, B> ResponsesFuture<F, B> {
    pub(super) const fn new(inner: F, asked: Option<Asked>) -> Self {
        Self { inner, asked, reading: None }
    }
}

impl<F, B, E> Future for ResponsesFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: Body<Data = Bytes>,
{
    type Output = Result<Answer<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if this.reading.is_none() {
            let response = ready!(this.inner.poll(cx))?;
            match this.asked.take() {
                None => return Poll::Ready(Ok(passed(response))),
                Some(asked) => match asked.judge(response) {
                    Ok(answer) => return Poll::Ready(Ok(answer)),
                    Err(reading) => *this.reading = Some(reading),
                },
            }
        }
        match this.reading {
            Some(reading) => {
                let done = ready!(reading.poll_read(cx));
                // It is polled no more.
                let Some(reading) = this.reading.take() else { return Poll::Pending };
                Poll::Ready(Ok(reading.answer(done)))
            }
            None => Poll::Pending,
        }
    }
}

fn passed<B>(response: Response<B>) -> Answer<B> {
    response.map(|body| ResponseBody::inner(JudgedBody::passed(body)))
}

impl Asked {
    /// Answers by the head alone, where nothing of the body has to be read.
    fn judge<B: Body>(self, response: Response<B>) -> Result<Answer<B>, Box<Reading<B>>> {
        let Some(responses) = self.shared.responses.get(self.route) else { return Ok(passed(response)) };
        let has_body = self.has_body && !response.body().is_end_stream();
        match responses.check(response.status(), response.headers(), has_body, &self.shared.limits()) {
            Described::Passed => Ok(passed(response)),
            Described::Breach(what) => {
                self.tell(&what, "");
                Ok(if self.shared.is_reported { passed(response) } else { self.refused(ProblemKind::Internal) })
            }
            Described::Json(_) => {
                let (parts, body) = response.into_parts();
                let (read, held) = (BytesMut::new(), self.shared.budget.hold());
                Err(Box::new(Reading { asked: self, parts, body: Box::pin(body), read, trailers: None, held }))
            }
        }
    }

    /// What is wrong with a body.
    fn wrong(&self, parts: &response::Parts, body: &[u8]) -> Option<(String, String)> {
        let limits = self.shared.limits();
        let responses = self.shared.responses.get(self.route)?;
        match responses.check(parts.status, &parts.headers, true, &limits) {
            Described::Json(schema) => check_body(schema, body, &limits),
            Described::Passed | Described::Breach(_) => None,
        }
    }

    fn tell(&self, keyword: &str, pointer: &str) {
        let Shared { routes, sampler, clock, .. } = &*self.shared;
        let route = routes.get(self.route).and_then(|route| route.described.as_ref());
        let route = route.map(|described| described.name.as_str()).unwrap_or_default();
        event::response_invalid((route, keyword, pointer), sampler, clock);
    }

    /// The answer in the stead of the response, of which it holds nothing.
    fn refused<B>(&self, kind: ProblemKind) -> Answer<B> {
        let detail = match kind {
            ProblemKind::Internal => "The response is not as it should be.",
            ProblemKind::BadGateway => "The response broke off.",
            _ => "Too many responses are being read at the moment.",
        };
        let rejection = Rejection::new(Origin::Validate, Problem::new(kind).detail(detail));
        self.shared.refuser.refuse(rejection, &self.facts)
    }
}

/// What reading has come to.
enum Done {
    Whole,
    TooLong,
    NoRoom,
    BrokenOff,
}

impl<B: Body<Data = Bytes>> Reading<B> {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Done> {
        loop {
            match ready!(self.body.as_mut().poll_frame(cx)) {
                None => return Poll::Ready(Done::Whole),
                Some(Err(_)) => return Poll::Ready(Done::BrokenOff),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        self.read.extend_from_slice(&data);
                        if self.read.len() > self.asked.shared.max_bytes {
                            return Poll::Ready(Done::TooLong);
                        }
                        if !self.held.take(data.len()) {
                            return Poll::Ready(Done::NoRoom);
                        }
                    }
                    Err(frame) => self.trailers = frame.into_trailers().ok(),
                },
            }
        }
    }

    fn answer(self, done: Done) -> Answer<B> {
        let Self { asked, parts, body, read, trailers, held } = self;
        let (read, is_reported) = (read.freeze(), asked.shared.is_reported);
        match done {
            Done::Whole => {
                if let Some((keyword, pointer)) = asked.wrong(&parts, &read) {
                    asked.tell(&keyword, &pointer);
                    if !is_reported {
                        return asked.refused(ProblemKind::Internal);
                    }
                }
                Response::from_parts(parts, ResponseBody::inner(JudgedBody::held(read, trailers, held)))
            }
            Done::BrokenOff => asked.refused(ProblemKind::BadGateway),
            Done::TooLong | Done::NoRoom => {
                if matches!(done, Done::TooLong) {
                    asked.tell("body-bytes", "");
                }
                match (is_reported, done) {
                    (true, _) => Response::from_parts(parts, ResponseBody::inner(JudgedBody::resumed(read, body))),
                    (false, Done::TooLong) => asked.refused(ProblemKind::Internal),
                    (false, _) => asked.refused(ProblemKind::Unavailable),
                }
            }
        }
    }
}

impl<F, B> fmt::Debug for ResponsesFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsesFuture").finish_non_exhaustive()
    }
}
