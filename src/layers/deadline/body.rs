//! A response's body that ends when its time is up.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::future::Limit;
use crate::spine::grpc;
use crate::spine::problem::ProblemKind;
use crate::spine::request::Protocol;

pin_project! {
    /// A body behind [`DeadlineBodyLayer`](super::DeadlineBodyLayer): it passes through until the deadline.
    pub struct DeadlineBody<B> {
        #[pin]
        body: Option<B>,
        limit: Option<Box<Limit>>,
    }
}

/// The deadline passed while the body was under way.
#[derive(Debug)]
struct CutOff;

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the deadline passed before the body's end")
    }
}

impl Error for CutOff {}

impl<B> DeadlineBody<B> {
    pub(super) fn new(body: B, limit: Option<Limit>) -> Self {
        Self { body: Some(body), limit: limit.map(Box::new) }
    }
}

impl<B> Body for DeadlineBody<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn Error + Send + Sync>;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let mut this = self.project();
        // What has ended in time is not cut off, however late its reader comes.
        if this.body.as_ref().as_pin_ref().is_none_or(|body| body.is_end_stream()) {
            *this.limit = None;
        }
        // Asked each time: a body that always has something to say would never wait for it.
        if let Some(limit) = this.limit
            && limit.poll_passed(cx).is_ready()
        {
            let protocol = limit.facts().protocol();
            *this.limit = None;
            this.body.set(None);
            return Poll::Ready(Some(match protocol {
                Protocol::Grpc => Ok(Frame::trailers(grpc_trailers())),
                Protocol::Http => Err(CutOff.into()),
            }));
        }
        let Some(body) = this.body.as_mut().as_pin_mut() else { return Poll::Ready(None) };
        let polled = body.poll_frame(cx);
        let is_over = match &polled {
            Poll::Pending => false,
            Poll::Ready(Some(Ok(frame))) => frame.is_trailers(),
            Poll::Ready(None | Some(Err(_))) => true,
        };
        if is_over {
            *this.limit = None;
        }
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

fn grpc_trailers() -> HeaderMap {
    const LATE: ProblemKind = ProblemKind::DeadlineExceeded;
    let mut trailers = HeaderMap::new();
    grpc::write(&mut trailers, LATE, HeaderValue::from_static(LATE.title()));
    trailers
}

impl<B> fmt::Debug for DeadlineBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadlineBody").finish_non_exhaustive()
    }
}
