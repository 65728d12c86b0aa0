//! The future: the inner service answers, and what it answers is looked at.

use std::borrow::Cow;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode, response};
use http_body::Body;
use pin_project_lite::pin_project;

use super::super::openapi::{Described, check_body};
use super::body::JudgedBody;
use super::layer::Shared;
use crate::spine::body::ResponseBody;
use crate::spine::byte_pool::HeldBytes;
use crate::spine::coding::DecodeFault;
use crate::spine::event::{self, Origin};
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestFacts;
use crate::wiring;

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
    held: HeldBytes,
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
        // What a layer further in refuses is no answer of the service.
        if response.extensions().get::<Rejection>().is_some() {
            return Ok(passed(response));
        }
        let Some(responses) = self.shared.responses.get(self.route) else { return Ok(passed(response)) };
        let has_body = self.has_body && may_have_body(response.status());
        match responses.check(response.status(), response.headers(), has_body, &self.shared.limits()) {
            Described::Passed => Ok(passed(response)),
            Described::Breach(what) => {
                self.tell(&what, "");
                Ok(if self.shared.is_reported { passed(response) } else { self.refused(ProblemKind::Internal) })
            }
            Described::Json { .. } => {
                let (parts, body) = response.into_parts();
                let (read, held) = (BytesMut::new(), self.shared.buffers.hold());
                Err(Box::new(Reading { asked: self, parts, body: Box::pin(body), read, trailers: None, held }))
            }
        }
    }

    /// What is wrong with a body.
    fn wrong(&self, parts: &response::Parts, body: &[u8]) -> Option<Wrong> {
        let shared = &*self.shared;
        let limits = shared.limits();
        let responses = shared.responses.get(self.route)?;
        let Described::Json { schema, coding } = responses.check(parts.status, &parts.headers, true, &limits) else {
            return None;
        };
        let check =
            |body: &[u8]| check_body(schema, body, &limits).map(|(keyword, at)| Wrong::Breach(keyword.into(), at));
        let Some(coding) = coding else { return check(body) };
        // What comes out is held as long as it is looked at.
        let mut held = shared.buffers.hold();
        match wiring::decode(coding, body, shared.max_bytes, &mut |bytes| held.take(bytes)) {
            Ok(decoded) => check(&decoded),
            Err(DecodeFault::NoRoom) => Some(Wrong::NoRoom),
            Err(DecodeFault::TooLong) => Some(Wrong::TOO_LONG),
            Err(DecodeFault::Malformed) => Some(Wrong::Breach("content-encoding".into(), String::new())),
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
        const WAIT: Duration = Duration::from_secs(1);
        let detail = match kind {
            ProblemKind::Internal => "The response is not as it should be.",
            ProblemKind::BadGateway => "The response broke off.",
            _ => "Too many responses are being read at the moment.",
        };
        let rejection = Rejection::new(Origin::Validate, Problem::new(kind).with_detail(detail));
        let rejection = if kind == ProblemKind::Unavailable { rejection.with_retry_after(WAIT) } else { rejection };
        self.shared.refuser.refuse(rejection, &self.facts)
    }
}

/// Whether a response of this status has a body (RFC 9110 section 6.4.1), even one of which nothing comes.
fn may_have_body(status: StatusCode) -> bool {
    const WITHOUT: [StatusCode; 3] = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    !status.is_informational() && !WITHOUT.contains(&status)
}

/// What is wrong with a body that was read.
enum Wrong {
    /// It is not as described: the keyword, and where.
    Breach(Cow<'static, str>, String),
    /// There was no room to look at it.
    NoRoom,
}

impl Wrong {
    const TOO_LONG: Self = Self::Breach(Cow::Borrowed("body-bytes"), String::new());
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
        let read = read.freeze();
        let is_whole = matches!(done, Done::Whole);
        let wrong = match done {
            Done::Whole => asked.wrong(&parts, &read),
            Done::TooLong => Some(Wrong::TOO_LONG),
            Done::NoRoom => Some(Wrong::NoRoom),
            // Nobody could be told so any more.
            Done::BrokenOff => return asked.refused(ProblemKind::BadGateway),
        };
        let kind = match &wrong {
            None => None,
            Some(Wrong::Breach(keyword, pointer)) => {
                asked.tell(keyword, pointer);
                Some(ProblemKind::Internal)
            }
            Some(Wrong::NoRoom) => {
                asked.tell("buffer-bytes", "");
                Some(ProblemKind::Unavailable)
            }
        };
        match kind {
            Some(kind) if !asked.shared.is_reported => asked.refused(kind),
            _ if is_whole => Response::from_parts(parts, ResponseBody::inner(JudgedBody::held(read, trailers, held))),
            _ => Response::from_parts(parts, ResponseBody::inner(JudgedBody::resumed(read, body))),
        }
    }
}

impl<F, B> fmt::Debug for ResponsesFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponsesFuture").finish_non_exhaustive()
    }
}
