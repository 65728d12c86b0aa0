//! The future: the body is read, the inner service answers, and what its body did meanwhile is looked at.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, request};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::body::CheckedBody;
use super::breach::Breach;
use super::end::{Cut, End};
use super::judge::{Wanted, bad_message, bad_part, broken_off, no_room, too_long, too_slow, unexpected};
use super::layer::Shared;
use super::media::BodyKind;
#[cfg(feature = "json-schema")]
use super::parsed::ParsedJson;
use crate::spine::body::ResponseBody;
use crate::spine::byte_pool::HeldBytes;
use crate::spine::clock::Sleep;
use crate::spine::rejection::Rejection;
use crate::spine::request::{RequestFacts, RequestView};

pin_project! {
    /// The response of the inner service, or a refusal.
    pub struct ResponseFuture<S, ReqB>
    where
        S: Service<Request<CheckedBody<ReqB>>>,
    {
        #[pin]
        kind: Kind<S, ReqB>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<S, ReqB>
    where
        S: Service<Request<CheckedBody<ReqB>>>,
    {
        Passed { #[pin] inner: S::Future, watched: Option<Watched> },
        Refused { answer: Option<Box<(Arc<Shared>, Rejection, RequestFacts)>> },
        Reading { reading: Option<Box<Reading<S, ReqB>>> },
    }
}

/// A body that streams through, and what is needed to answer for it.
pub(super) struct Watched {
    pub(super) shared: Arc<Shared>,
    pub(super) facts: RequestFacts,
    pub(super) end: End,
    pub(super) max_bytes: usize,
}

/// A body that is being read, and the service that was readied for it.
pub(super) struct Reading<S, ReqB> {
    service: S,
    parts: request::Parts,
    body: Pin<Box<ReqB>>,
    shared: Arc<Shared>,
    wanted: Wanted,
    max_bytes: usize,
    read: Read,
    trailers: Option<HeaderMap>,
    held: HeldBytes,
    sleep: Option<Sleep>,
}

/// What was read so far. One frame stays as it came; more are put together.
enum Read {
    One(Bytes),
    More(BytesMut),
}

impl Read {
    fn len(&self) -> usize {
        match self {
            Self::One(bytes) => bytes.len(),
            Self::More(bytes) => bytes.len(),
        }
    }

    fn add(&mut self, data: Bytes) {
        match self {
            Self::One(bytes) if bytes.is_empty() => *bytes = data,
            Self::One(bytes) => {
                let mut more = BytesMut::with_capacity((bytes.len() + data.len()) * 2);
                more.extend_from_slice(bytes);
                more.extend_from_slice(&data);
                *self = Self::More(more);
            }
            Self::More(bytes) => bytes.extend_from_slice(&data),
        }
    }

    fn take(&mut self) -> Bytes {
        match std::mem::replace(self, Self::One(Bytes::new())) {
            Self::One(bytes) => bytes,
            Self::More(bytes) => bytes.freeze(),
        }
    }
}

impl<S, ReqB> ResponseFuture<S, ReqB>
where
    S: Service<Request<CheckedBody<ReqB>>>,
{
    pub(super) const fn passed(inner: S::Future, watched: Option<Watched>) -> Self {
        Self { kind: Kind::Passed { inner, watched } }
    }

    pub(super) fn refused(shared: Arc<Shared>, rejection: Rejection, facts: RequestFacts) -> Self {
        Self { kind: Kind::Refused { answer: Some(Box::new((shared, rejection, facts))) } }
    }

    pub(super) fn reading(reading: Reading<S, ReqB>) -> Self {
        Self { kind: Kind::Reading { reading: Some(Box::new(reading)) } }
    }
}

impl<S, ReqB> Reading<S, ReqB> {
    pub(super) fn new(
        service: S,
        request: Request<ReqB>,
        shared: Arc<Shared>,
        wanted: Wanted,
        max_bytes: usize,
    ) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            service,
            parts,
            body: Box::pin(body),
            held: shared.buffers.hold(),
            sleep: shared.clock.sleep(shared.limits.body_timeout),
            shared,
            wanted,
            max_bytes,
            read: Read::One(Bytes::new()),
            trailers: None,
        }
    }

    /// Says to those behind that there is no value, where one would be and none was made.
    #[cfg(feature = "json-schema")]
    fn hand_on_nothing(&mut self) {
        if self.shared.hands_on(self.wanted) {
            ParsedJson::hand_on_nothing(&mut self.parts.extensions);
        }
    }

    /// A breach that is refused ends the reading; one that is only reported lets the rest stream through.
    fn breach(&self, breach: Breach) -> Result<(), Box<Rejection>> {
        self.shared.tell(breach).map_err(|breach| self.shared.refusal(breach, None))
    }
}

/// What reading has come to.
enum Done {
    /// All is there, and was looked at.
    Whole,
    /// Something was wrong that is only reported: what was read goes on before the rest.
    Unread,
}

impl<S, ReqB> Reading<S, ReqB>
where
    ReqB: Body<Data = Bytes>,
{
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<Done, Box<Rejection>>> {
        loop {
            let frame = match self.body.as_mut().poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => frame,
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Err(self.shared.refusal(broken_off(), None))),
                Poll::Ready(None) => {
                    let body = self.read.take();
                    let judged = self.shared.judge_body(self.wanted, &body, &mut self.parts.extensions);
                    self.read = Read::One(body);
                    return Poll::Ready(judged.map(|()| Done::Whole));
                }
                Poll::Pending => {
                    let Some(sleep) = &mut self.sleep else { return Poll::Pending };
                    ready!(Pin::new(sleep).poll(cx));
                    self.sleep = None;
                    return Poll::Ready(self.breach(too_slow()).map(|()| Done::Unread));
                }
            };
            match frame.into_data() {
                Ok(data) => {
                    if self.wanted.kind == BodyKind::Nothing && !data.is_empty() {
                        self.read.add(data);
                        return Poll::Ready(self.breach(unexpected()).map(|()| Done::Unread));
                    }
                    let (is_too_long, has_room) =
                        (self.read.len() + data.len() > self.max_bytes, self.held.take(data.len()));
                    self.read.add(data);
                    if is_too_long {
                        return Poll::Ready(self.breach(too_long(self.max_bytes)).map(|()| Done::Unread));
                    }
                    if !has_room {
                        return Poll::Ready(Err(Box::new(no_room())));
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        self.trailers = Some(trailers);
                    }
                }
            }
        }
    }
}

impl<S, ReqB, ResB> Future for ResponseFuture<S, ReqB>
where
    S: Service<Request<CheckedBody<ReqB>>, Response = Response<ResB>>,
    ReqB: Body<Data = Bytes>,
{
    type Output = Result<Response<ResponseBody<ResB>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().kind.project() {
                KindProjection::Passed { inner, watched } => {
                    let answer = ready!(inner.poll(cx));
                    if let Some(refused) = watched.take().and_then(|watched| watched.refusal()) {
                        return Poll::Ready(Ok(refused));
                    }
                    return Poll::Ready(answer.map(|response| response.map(ResponseBody::inner)));
                }
                KindProjection::Refused { answer } => {
                    let Some(answer) = answer.take() else { return Poll::Pending };
                    let (shared, rejection, facts) = *answer;
                    return Poll::Ready(Ok(shared.refuser.refuse(rejection, &facts)));
                }
                KindProjection::Reading { reading } => {
                    let Some(pending) = reading else { return Poll::Pending };
                    let done = ready!(pending.poll_read(cx));
                    #[cfg(feature = "json-schema")]
                    pending.hand_on_nothing();
                    let Some(reading) = reading.take() else { return Poll::Pending };
                    let Reading { mut service, parts, body, shared, mut read, trailers, held, .. } = *reading;
                    match done {
                        Ok(done) => {
                            let body = match done {
                                Done::Whole => CheckedBody::held(read.take(), trailers, held),
                                Done::Unread => CheckedBody::resumed(read.take(), body),
                            };
                            Self::passed(service.call(Request::from_parts(parts, body)), None)
                        }
                        Err(rejection) => {
                            Self::refused(shared, *rejection, RequestFacts::of(RequestView::of_parts(&parts)))
                        }
                    }
                }
            };
            self.set(next);
        }
    }
}

impl Watched {
    /// The answer to a body that was cut, in the stead of what the inner service made of that.
    fn refusal<B>(self) -> Option<Response<ResponseBody<B>>> {
        let breach = match self.end.get()? {
            Cut::TooLong => too_long(self.max_bytes),
            Cut::TooSlow => too_slow(),
            Cut::Message(fault) => bad_message(fault),
            Cut::Part(fault) => bad_part(fault),
        };
        let breach = self.shared.tell(breach).err()?;
        Some(self.shared.refuser.refuse(*self.shared.refusal(breach, None), &self.facts))
    }
}

impl<S, ReqB> fmt::Debug for ResponseFuture<S, ReqB>
where
    S: Service<Request<CheckedBody<ReqB>>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
