//! An inner body, whatever its type is.

use std::any::Any;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// What is asked of it.
pub(super) trait Source: Send {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>>;
    fn is_end(&self) -> bool;
    fn size_hint(&self) -> SizeHint;
}

/// An inner body's error, whatever its type is.
pub(super) type Fault = Box<dyn Any + Send>;

/// A body in its place.
pub(super) struct Pinned<B>(Pin<Box<B>>);

impl<B> Pinned<B> {
    pub(super) fn new(body: B) -> Self {
        Self(Box::pin(body))
    }
}

impl<B> Source for Pinned<B>
where
    B: Body<Data = Bytes> + Send,
    B::Error: Send + 'static,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        self.0.as_mut().poll_frame(cx).map_err(|error| Box::new(error) as Fault)
    }

    fn is_end(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
