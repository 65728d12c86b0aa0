//! The body that the inner service gets: watched, held, or as it came.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::end::{Cut, End};
use super::inside::Inside;
use super::read_body::ReadBody;
use crate::spine::byte_pool::HeldBytes;
use crate::spine::clock::{Clock, Sleep};

pin_project! {
    /// A request's body behind this layer: exactly the bytes and trailers that were sent, whether they were read here or
    /// stream through.
    ///
    /// One that streams ends with an error where it is too long or too slow, or something in it is wrong; the layer then
    /// answers 413, 408 or 400 in the stead of whatever the inner service makes of that, as long as it has not answered before.
    pub struct CheckedBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Unwatched { #[pin] body: ReadBody<B> },
        Watched { #[pin] body: B, watch: Watch },
    }
}

/// What a body that streams through may still do.
pub(super) struct Watch {
    pub(super) left_bytes: usize,
    /// The messages or parts in it, where they are followed.
    pub(super) inside: Option<Inside>,
    pub(super) reports_inside: bool,
    /// Whether a body that is too long is told of, and goes on.
    pub(super) reports_length: bool,
    pub(super) reports_time: bool,
    pub(super) since: Instant,
    pub(super) timeout: Duration,
    pub(super) clock: Clock,
    pub(super) sleep: Option<Sleep>,
    /// Whether it was ended here, so that nothing comes any more.
    pub(super) is_cut: bool,
    pub(super) end: End,
}

/// One that has nothing in it.
impl<B> Default for CheckedBody<B> {
    fn default() -> Self {
        Self { kind: Kind::Unwatched { body: ReadBody::empty() } }
    }
}

impl<B> CheckedBody<B> {
    pub(crate) const fn passed(body: B) -> Self {
        Self { kind: Kind::Unwatched { body: ReadBody::passed(body) } }
    }

    pub(super) const fn watched(body: B, watch: Watch) -> Self {
        Self { kind: Kind::Watched { body, watch } }
    }

    pub(super) fn held(data: Bytes, trailers: Option<HeaderMap>, held: HeldBytes) -> Self {
        Self { kind: Kind::Unwatched { body: ReadBody::held(data, trailers, held) } }
    }

    /// A body of which a part was read, and no more is.
    pub(super) fn resumed(read: Bytes, body: Pin<Box<B>>) -> Self {
        Self { kind: Kind::Unwatched { body: ReadBody::resumed(read, body) } }
    }
}

impl Watch {
    /// What a piece of the body comes to.
    fn admit(&mut self, data: &[u8]) -> Result<(), Cut> {
        let inside = self.inside.as_mut().map_or(Ok(()), |inside| inside.admit(data));
        self.judged(inside)?;
        match self.left_bytes.checked_sub(data.len()) {
            Some(left) => {
                self.left_bytes = left;
                Ok(())
            }
            None => {
                self.end.set(Cut::TooLong);
                self.left_bytes = usize::MAX;
                if self.reports_length { Ok(()) } else { Err(Cut::TooLong) }
            }
        }
    }

    /// What the end of the body comes to.
    fn ended(&mut self) -> Result<(), Cut> {
        self.judged(self.inside.as_ref().map_or(Ok(()), Inside::finish))
    }

    /// What is wrong within it ends it, or is told.
    fn judged(&mut self, inside: Result<(), Cut>) -> Result<(), Cut> {
        let Err(cut) = inside else { return Ok(()) };
        self.end.set(cut);
        self.inside = None;
        if self.reports_inside { Ok(()) } else { Err(cut) }
    }

    /// Waits for the end of the time there is, while the body has nothing to say.
    fn poll_timeout(&mut self, cx: &mut Context<'_>) -> Poll<Cut> {
        if self.sleep.is_none() {
            let passed = self.clock.now().saturating_duration_since(self.since);
            self.sleep = self.clock.sleep(self.timeout.saturating_sub(passed));
        }
        // Outside of a runtime nobody can wake us; the server has timeouts of its own.
        let Some(sleep) = &mut self.sleep else { return Poll::Pending };
        ready!(Pin::new(sleep).poll(cx));
        self.end.set(Cut::TooSlow);
        if self.reports_time {
            (self.timeout, self.sleep) = (Duration::MAX, None);
            return Poll::Pending;
        }
        Poll::Ready(Cut::TooSlow)
    }
}

impl<B> Body for CheckedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            KindProjection::Unwatched { body } => body.poll_frame(cx).map_err(Into::into),
            KindProjection::Watched { mut body, watch } => {
                if watch.is_cut {
                    return Poll::Ready(None);
                }
                let admitted = match body.as_mut().poll_frame(cx) {
                    Poll::Pending => Err(ready!(watch.poll_timeout(cx))),
                    Poll::Ready(Some(Ok(frame))) => {
                        let data = frame.data_ref().map_or(&[][..], |data| data);
                        // Whoever sees the end coming may not ask for it.
                        let is_last = frame.is_trailers() || body.is_end_stream();
                        let ended = |watch: &mut Watch| if is_last { watch.ended() } else { Ok(()) };
                        watch.admit(data).and_then(|()| ended(watch)).map(|()| Some(Ok(frame)))
                    }
                    Poll::Ready(None) => watch.ended().map(|()| None),
                    Poll::Ready(Some(Err(error))) => Ok(Some(Err(error.into()))),
                };
                watch.is_cut = admitted.is_err();
                Poll::Ready(admitted.unwrap_or_else(|cut| Some(Err(cut.into()))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Unwatched { body } => body.is_end_stream(),
            Kind::Watched { body, watch } => {
                let is_whole = watch.inside.as_ref().is_none_or(|inside| inside.finish().is_ok());
                watch.is_cut || (body.is_end_stream() && is_whole)
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Unwatched { body } => body.size_hint(),
            Kind::Watched { body, .. } => body.size_hint(),
        }
    }
}

impl<B> fmt::Debug for CheckedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckedBody").finish_non_exhaustive()
    }
}
