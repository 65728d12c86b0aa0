//! A request's body that is kept while it streams, so that it can be sent again.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::room::Kept;
use crate::spine::body;

type BoxError = Box<dyn Error + Send + Sync>;

pin_project! {
    /// A request's body on its way to a service that may be asked again.
    ///
    /// It streams through as it comes. What has passed is kept, up to a bound, and the next try gets that first and then the
    /// rest; one that grows longer streams on and is kept no more. From the moment in which another try takes over, the body
    /// of the one before ends with an error, so that no two of them share what is still to come.
    pub struct ReplayBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        /// There is nothing to send.
        Empty,
        /// It is not kept.
        Passed { #[pin] body: B },
        Kept { reader: Reader<B> },
    }
}

/// One try's place in a body.
struct Reader<B> {
    shared: Arc<Mutex<Shared<B>>>,
    /// Which of the tries it is.
    number: u32,
    trailers_told: bool,
}

/// What all tries share.
struct Shared<B> {
    body: Pin<Box<B>>,
    /// The try that may read on.
    turn: u32,
    /// How much of what is kept that try has seen.
    at: usize,
    /// None, once the body is too long, or nobody will ask for it again.
    kept: Option<Kept>,
    /// Whether no try will follow the one whose turn it is.
    is_last: bool,
    end: Option<End>,
    /// Whom to tell that another try has taken over.
    waker: Option<Waker>,
}

enum End {
    Complete(Option<HeaderMap>),
    Broken,
}

/// Why a try gets nothing of the body.
#[derive(Debug)]
enum Withheld {
    /// Another try reads on.
    Superseded,
    /// Its beginning has passed and is not kept.
    Gone,
}

impl fmt::Display for Withheld {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Superseded => "the body is sent again by another try",
            Self::Gone => "the body cannot be sent again",
        })
    }
}

impl Error for Withheld {}

impl<B> ReplayBody<B> {
    /// A body that is sent once.
    pub(super) const fn passed(body: B) -> Self {
        Self { kind: Kind::Passed { body } }
    }

    /// A body that can be sent again as long as `kept` has room for it.
    pub(super) fn kept(body: B, kept: Kept) -> Self
    where
        B: Body,
    {
        if body.is_end_stream() {
            return Self { kind: Kind::Empty };
        }
        let body = Box::pin(body);
        let shared = Shared { body, turn: 0, at: 0, kept: Some(kept), is_last: false, end: None, waker: None };
        let reader = Reader { shared: Arc::new(Mutex::new(shared)), number: 0, trailers_told: false };
        Self { kind: Kind::Kept { reader } }
    }

    /// The same body for the next try, if it can be sent again.
    pub(super) fn again(&self) -> Option<Self> {
        let kind = match &self.kind {
            Kind::Empty => Kind::Empty,
            Kind::Passed { .. } => return None,
            Kind::Kept { reader } if reader.can_replay() => Kind::Kept {
                reader: Reader {
                    shared: Arc::clone(&reader.shared),
                    number: reader.number.checked_add(1)?,
                    trailers_told: false,
                },
            },
            Kind::Kept { .. } => return None,
        };
        Some(Self { kind })
    }

    /// Whether it can be sent from its beginning.
    pub(super) fn can_replay(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Passed { .. } => false,
            Kind::Kept { reader } => reader.can_replay(),
        }
    }

    /// Takes the body over from the try before; false when it cannot be sent from its beginning any more.
    pub(super) fn take_over(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Passed { .. } => false,
            Kind::Kept { reader } => reader.take_over(),
        }
    }
}

impl<B> Reader<B> {
    fn lock(&self) -> MutexGuard<'_, Shared<B>> {
        // A body that panicked is at fault itself, and what is kept of it is whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn can_replay(&self) -> bool {
        self.lock().can_replay()
    }

    fn take_over(&self) -> bool {
        let mut shared = self.lock();
        if self.number <= shared.turn {
            return self.number == shared.turn;
        }
        if !shared.can_replay() {
            return false;
        }
        (shared.turn, shared.at) = (self.number, 0);
        let waker = shared.waker.take();
        drop(shared);
        // Whoever sends the body for the try before is to notice that it has ended.
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }
}

impl<B> Drop for Reader<B> {
    fn drop(&mut self) {
        let mut shared = self.lock();
        if self.number > shared.turn {
            shared.is_last = true;
            shared.tidy();
        }
    }
}

impl<B> Shared<B> {
    fn can_replay(&self) -> bool {
        self.kept.is_some() && !self.is_last && !matches!(self.end, Some(End::Broken))
    }

    /// What this try gets of what is kept.
    fn ahead(&self, number: u32) -> &[u8] {
        let at = if number == self.turn { self.at } else { 0 };
        self.kept.as_ref().map(|kept| kept.from(at)).unwrap_or_default()
    }

    /// When no try will follow, nothing is kept but what this one has still to send.
    fn tidy(&mut self) {
        if self.is_last && self.ahead(self.turn).is_empty() {
            self.kept = None;
        }
    }
}

impl<B> Shared<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    /// Reads on, and keeps what comes.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let polled = self.body.as_mut().poll_frame(cx);
        match &polled {
            Poll::Pending => self.waker = Some(cx.waker().clone()),
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(data) = frame.data_ref() {
                    let has_room = self.kept.as_mut().is_none_or(|kept| kept.add(data));
                    if !has_room {
                        self.kept = None;
                    }
                }
                if let Some(trailers) = frame.trailers_ref() {
                    // Trailers of a body that is not kept are told now, and never again.
                    self.end = Some(End::Complete(self.kept.as_ref().map(|_| trailers.clone())));
                }
            }
            Poll::Ready(Some(Err(_))) => self.end = Some(End::Broken),
            Poll::Ready(None) => self.end = Some(End::Complete(None)),
        }
        self.at = self.kept.as_ref().map_or(0, Kept::len);
        polled
    }
}

impl<B> Reader<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if self.number != shared.turn {
            // Whoever sends a body has taken it over.
            let withheld = if self.number < shared.turn { Withheld::Superseded } else { Withheld::Gone };
            return Poll::Ready(Some(Err(withheld.into())));
        }
        let ahead = shared.ahead(self.number);
        if !ahead.is_empty() {
            let data = Bytes::copy_from_slice(ahead);
            shared.at += data.len();
            shared.tidy();
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match &shared.end {
            Some(End::Broken) => return Poll::Ready(None),
            Some(End::Complete(trailers)) => {
                let trailers = trailers.clone().filter(|_| !self.trailers_told);
                self.trailers_told = true;
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            None => {}
        }
        let frame = ready!(shared.poll_rest(cx));
        self.trailers_told = shared.end.is_some();
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        let shared = self.lock();
        match &shared.end {
            // Nobody whose turn it is not has come to the end.
            _ if self.number != shared.turn || !shared.ahead(self.number).is_empty() => false,
            None => shared.body.is_end_stream(),
            Some(End::Complete(Some(_))) => self.trailers_told,
            Some(End::Complete(None) | End::Broken) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        let shared = self.lock();
        if self.number < shared.turn {
            return SizeHint::default();
        }
        let ahead = shared.ahead(self.number).len() as u64;
        let rest = match &shared.end {
            None => shared.body.size_hint(),
            Some(_) => SizeHint::with_exact(0),
        };
        body::after(ahead, &rest)
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            KindProjection::Empty => Poll::Ready(None),
            KindProjection::Passed { body } => body.poll_frame(cx).map_err(Into::into),
            KindProjection::Kept { reader } => reader.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Empty => true,
            Kind::Passed { body } => body.is_end_stream(),
            Kind::Kept { reader } => reader.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Passed { body } => body.size_hint(),
            Kind::Kept { reader } => reader.size_hint(),
        }
    }
}

impl<B> fmt::Debug for ReplayBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplayBody").field("can_replay", &self.can_replay()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
