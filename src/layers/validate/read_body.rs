//! A body that was read here, in whole or in part, or not at all: exactly what came.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::spine::body;
use crate::spine::byte_pool::HeldBytes;

pin_project! {
    /// See the module.
    pub(super) struct ReadBody<B> {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B> {
        Passed { #[pin] body: B },
        Held { data: Option<Bytes>, trailers: Option<HeaderMap>, held: Option<HeldBytes> },
        Resumed { read: Option<Bytes>, body: Pin<Box<B>> },
    }
}

impl<B> ReadBody<B> {
    pub(super) const fn passed(body: B) -> Self {
        Self { kind: Kind::Passed { body } }
    }

    pub(super) fn held(data: Bytes, trailers: Option<HeaderMap>, held: HeldBytes) -> Self {
        let data = (!data.is_empty()).then_some(data);
        Self { kind: Kind::Held { data, trailers, held: Some(held) } }
    }

    pub(super) const fn empty() -> Self {
        Self { kind: Kind::Held { data: None, trailers: None, held: None } }
    }

    /// A body of which a part was read, and no more is.
    pub(super) fn resumed(read: Bytes, body: Pin<Box<B>>) -> Self {
        Self { kind: Kind::Resumed { read: (!read.is_empty()).then_some(read), body } }
    }
}

impl<B: Body<Data = Bytes>> Body for ReadBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Passed { body } => body.poll_frame(cx),
            KindProjection::Held { data, trailers, held } => {
                if let Some(data) = data.take() {
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                // Whoever has the data answers for it from here on.
                *held = None;
                Poll::Ready(trailers.take().map(|trailers| Ok(Frame::trailers(trailers))))
            }
            KindProjection::Resumed { read, body } => match read.take() {
                Some(read) => Poll::Ready(Some(Ok(Frame::data(read)))),
                None => body.as_mut().poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Passed { body } => body.is_end_stream(),
            Kind::Held { data, trailers, .. } => data.is_none() && trailers.is_none(),
            Kind::Resumed { read, body } => read.is_none() && body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let length = |data: &Option<Bytes>| data.as_ref().map_or(0, |data| data.len() as u64);
        match &self.kind {
            Kind::Passed { body } => body.size_hint(),
            Kind::Held { data, .. } => SizeHint::with_exact(length(data)),
            Kind::Resumed { read, body } => body::after(length(read), &body.size_hint()),
        }
    }
}
