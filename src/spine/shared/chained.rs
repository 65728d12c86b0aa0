//! A body with something before and behind it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::BodyError;

pin_project! {
    /// Bytes that are there, a body of so many that is coming, and more bytes that are there. A body that is longer or shorter
    /// breaks off: what follows would stand in the wrong place. Its trailers speak of itself alone, and end here.
    pub(crate) struct Chained<B> {
        before: Option<Bytes>,
        #[pin]
        body: B,
        missing_bytes: u64,
        state: State,
        after: Option<Bytes>,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Coming,
    Ended,
    Broken,
}

impl<B> Chained<B> {
    pub(crate) fn new(before: Bytes, body: B, missing_bytes: u64, after: Bytes) -> Self {
        let some = |data: Bytes| (!data.is_empty()).then_some(data);
        Self { before: some(before), body, missing_bytes, state: State::Coming, after: some(after) }
    }
}

impl<B: Body<Data = Bytes>> Body for Chained<B> {
    type Data = Bytes;
    type Error = BodyError<B::Error>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        if let Some(before) = this.before.take() {
            return Poll::Ready(Some(Ok(Frame::data(before))));
        }
        while *this.state == State::Coming {
            let frame = match ready!(this.body.as_mut().poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    *this.state = State::Broken;
                    return Poll::Ready(Some(Err(BodyError::Inner(error))));
                }
                None if *this.missing_bytes > 0 => {
                    *this.state = State::Broken;
                    return Poll::Ready(Some(Err(BodyError::Interrupted)));
                }
                None => {
                    *this.state = State::Ended;
                    break;
                }
            };
            let Ok(data) = frame.into_data() else { continue };
            match this.missing_bytes.checked_sub(data.len() as u64) {
                Some(left) => *this.missing_bytes = left,
                None => {
                    *this.state = State::Broken;
                    return Poll::Ready(Some(Err(BodyError::Interrupted)));
                }
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if *this.state == State::Broken {
            return Poll::Ready(None);
        }
        Poll::Ready(this.after.take().map(|after| Ok(Frame::data(after))))
    }

    fn is_end_stream(&self) -> bool {
        // Nobody who stops early is to take it for the whole.
        let has_ended = match self.state {
            State::Coming => self.missing_bytes == 0 && self.body.is_end_stream(),
            State::Ended | State::Broken => true,
        };
        has_ended && self.before.is_none() && self.after.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = |data: &Option<Bytes>| data.as_ref().map_or(0, |data| data.len() as u64);
        let there = length(&self.before).saturating_add(length(&self.after));
        SizeHint::with_exact(there.saturating_add(self.missing_bytes))
    }
}
