//! The body that a client gets: as it came, or as it was read here.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::super::read_body::ReadBody;
use crate::spine::byte_pool::HeldBytes;

pin_project! {
    /// A response's body behind this layer: exactly the bytes, trailers and errors of the inner one.
    pub struct JudgedBody<B> {
        #[pin]
        body: ReadBody<B>,
    }
}

impl<B> JudgedBody<B> {
    pub(super) const fn passed(body: B) -> Self {
        Self { body: ReadBody::passed(body) }
    }

    pub(super) fn held(data: Bytes, trailers: Option<HeaderMap>, held: HeldBytes) -> Self {
        Self { body: ReadBody::held(data, trailers, held) }
    }

    /// A body of which a part was read, and no more is.
    pub(super) fn resumed(read: Bytes, body: Pin<Box<B>>) -> Self {
        Self { body: ReadBody::resumed(read, body) }
    }
}

impl<B: Body<Data = Bytes>> Body for JudgedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B> fmt::Debug for JudgedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JudgedBody").finish_non_exhaustive()
    }
}
