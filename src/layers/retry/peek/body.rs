//! A response's body whose beginning may have been looked at.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

/// A frame, or the end.
pub(super) type First<R> = Option<Result<Frame<Bytes>, <R as Body>::Error>>;

pin_project! {
    /// A response's body behind [`RetryLayer`](super::super::RetryLayer): the inner service's own, the beginning of which may
    /// have been looked at.
    pub struct PeekedBody<R>
    where
        R: Body,
    {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<R>
    where
        R: Body,
    {
        Unseen { #[pin] body: R },
        Seen { body: Pin<Box<R>>, first: Option<First<R>> },
    }
}

impl<R: Body> PeekedBody<R> {
    pub(super) const fn unseen(body: R) -> Self {
        Self { kind: Kind::Unseen { body } }
    }

    /// A body whose first frame, or whose end, is out already, if there was one in time.
    pub(super) const fn seen(body: Pin<Box<R>>, first: Option<First<R>>) -> Self {
        Self { kind: Kind::Seen { body, first } }
    }

    /// The inner service's body; what was looked at is no longer in it.
    pub fn get_ref(&self) -> &R {
        match &self.kind {
            Kind::Unseen { body } => body,
            Kind::Seen { body, .. } => body,
        }
    }
}

impl<R: Body<Data = Bytes>> Body for PeekedBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().kind.project() {
            KindProjection::Unseen { body } => body.poll_frame(cx),
            KindProjection::Seen { body, first } => match first.take() {
                Some(first) => Poll::Ready(first),
                None => body.as_mut().poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Seen { first: Some(first), .. } => first.is_none(),
            Kind::Unseen { .. } | Kind::Seen { .. } => self.get_ref().is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.get_ref().size_hint();
        let Kind::Seen { first: Some(Some(Ok(frame))), .. } = &self.kind else { return rest };
        let ahead = frame.data_ref().map_or(0, |data| data.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(ahead));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint
    }
}

impl<R: Body> fmt::Debug for PeekedBody<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PeekedBody").finish_non_exhaustive()
    }
}
