//! A body that is the inner service's own, or stored, or read by several responses at once.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

mod chained;
mod source;
mod stream;

pub(crate) use self::chained::Chained;
pub(crate) use self::stream::{Reader, Sink, Stream};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

pin_project! {
    /// The body of a response that a cache passed on: the inner service's own, one that is stored, or one that others
    /// read too.
    ///
    /// Its error is not the inner body's alone: when a body breaks off that several read, one of them gets the error, and
    /// the others must not take what they have for the whole.
    pub struct SharedBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Inner { #[pin] body: B },
        Stored { data: Option<Bytes>, trailers: Option<Box<HeaderMap>> },
        Read { reader: Reader },
        // Seldom, and no reason for the others to be larger.
        Chained { body: Pin<Box<Chained<B>>> },
    }
}

/// Why a [`SharedBody`] failed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyError<E> {
    /// The inner body's own error.
    Inner(E),
    /// A body that was shared with other responses broke off, and one of them has its error; or this reader was so slow
    /// that the others could not go on.
    Interrupted,
}

impl<E: fmt::Display> fmt::Display for BodyError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inner(error) => error.fmt(f),
            Self::Interrupted => Interrupted.fmt(f),
        }
    }
}

impl<E: Into<Self>> From<BodyError<E>> for BoxError {
    fn from(error: BodyError<E>) -> Self {
        match error {
            BodyError::Inner(error) => error.into(),
            BodyError::Interrupted => Interrupted.into(),
        }
    }
}

#[derive(Debug)]
struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response that this one shares broke off")
    }
}

impl std::error::Error for Interrupted {}

impl<B> SharedBody<B> {
    pub(crate) const fn inner(body: B) -> Self {
        Self { kind: Kind::Inner { body } }
    }

    pub(crate) fn stored(data: Bytes, trailers: Option<Box<HeaderMap>>) -> Self {
        Self { kind: Kind::Stored { data: (!data.is_empty()).then_some(data), trailers } }
    }

    pub(crate) const fn read(reader: Reader) -> Self {
        Self { kind: Kind::Read { reader } }
    }
}

impl<B> SharedBody<Chained<B>> {
    /// The same body, of the type that it has without anything around it.
    pub(crate) fn flattened(self) -> SharedBody<B> {
        let kind = match self.kind {
            Kind::Inner { body } => Kind::Chained { body: Box::pin(body) },
            Kind::Stored { data, trailers } => Kind::Stored { data, trailers },
            Kind::Read { reader } => Kind::Read { reader },
            // Nobody chains what is chained; it would end too early, which a reader sees.
            Kind::Chained { .. } => Kind::Stored { data: None, trailers: None },
        };
        SharedBody { kind }
    }
}

/// What broke off a body that is read by several: the inner body's error, as it is or as something around that body has it.
fn of_reader<E: 'static>(fault: source::Fault) -> BodyError<E> {
    match fault.downcast::<E>() {
        Ok(error) => BodyError::Inner(*error),
        Err(fault) => fault.downcast::<BodyError<E>>().map_or(BodyError::Interrupted, |error| *error),
    }
}

impl<B> Default for SharedBody<B> {
    fn default() -> Self {
        Self::stored(Bytes::new(), None)
    }
}

impl<B> fmt::Debug for SharedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Inner { .. } => f.write_str("SharedBody::inner(..)"),
            Kind::Stored { data, .. } => {
                write!(f, "SharedBody::stored({} bytes)", data.as_ref().map_or(0, Bytes::len))
            }
            Kind::Read { .. } => f.write_str("SharedBody::read(..)"),
            Kind::Chained { .. } => f.write_str("SharedBody::chained(..)"),
        }
    }
}

impl<B> Body for SharedBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: 'static,
{
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body } => body.poll_frame(cx).map_err(BodyError::Inner),
            KindProjection::Chained { body } => body.as_mut().poll_frame(cx),
            KindProjection::Stored { data, trailers } => {
                let data = data.take().map(Frame::data);
                Poll::Ready(data.or_else(|| trailers.take().map(|trailers| Frame::trailers(*trailers))).map(Ok))
            }
            KindProjection::Read { reader } => Poll::Ready(
                ready!(reader.poll(cx))
                    .map(|read| read.map_err(|fault| fault.map_or(BodyError::Interrupted, of_reader))),
            ),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body } => body.is_end_stream(),
            Kind::Stored { data, trailers } => data.is_none() && trailers.is_none(),
            Kind::Read { reader } => reader.is_end(),
            Kind::Chained { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body } => body.size_hint(),
            Kind::Stored { data, .. } => SizeHint::with_exact(data.as_ref().map_or(0, |data| data.len() as u64)),
            Kind::Read { reader } => reader.size_hint(),
            Kind::Chained { body } => body.size_hint(),
        }
    }
}
