//! A body with something before and behind it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// Bytes that are there, a body that is coming, and more bytes that are there. The body's trailers come last.
    pub(crate) struct Chained<B> {
        before: Option<Bytes>,
        #[pin]
        body: B,
        has_ended: bool,
        after: Option<Bytes>,
        trailers: Option<Frame<Bytes>>,
    }
}

impl<B> Chained<B> {
    pub(crate) fn new(before: Bytes, body: B, after: Bytes) -> Self {
        let some = |data: Bytes| (!data.is_empty()).then_some(data);
        Self { before: some(before), body, has_ended: false, after: some(after), trailers: None }
    }
}

impl<B: Body<Data = Bytes>> Body for Chained<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if let Some(before) = this.before.take() {
            return Poll::Ready(Some(Ok(Frame::data(before))));
        }
        if !*this.has_ended {
            match ready!(this.body.poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_trailers() => *this.trailers = Some(frame),
                None => {}
                frame => return Poll::Ready(frame),
            }
            *this.has_ended = true;
        }
        let rest = this.after.take().map(Frame::data);
        Poll::Ready(rest.or_else(|| this.trailers.take()).map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        let is_empty = self.before.is_none() && self.after.is_none() && self.trailers.is_none();
        is_empty && (self.has_ended || self.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let length = |data: &Option<Bytes>| data.as_ref().map_or(0, |data| data.len() as u64);
        let there = length(&self.before).saturating_add(length(&self.after));
        let coming = if self.has_ended { SizeHint::with_exact(0) } else { self.body.size_hint() };
        let mut all = SizeHint::new();
        all.set_lower(coming.lower().saturating_add(there));
        if let Some(upper) = coming.upper().and_then(|upper| upper.checked_add(there)) {
            all.set_upper(upper);
        }
        all
    }
}
