//! The body that the upstream is sent: the client's, without claims in its trailers.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower_rampart::validate::CheckedBody;

use super::headers::is_identity;

/// See the module.
pub struct Sent(CheckedBody<Incoming>);

impl Sent {
    pub const fn new(body: CheckedBody<Incoming>) -> Self {
        Self(body)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = <CheckedBody<Incoming> as Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.0).poll_frame(cx);
        polled.map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                strip(trailers);
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Some servers read trailers as if they were header fields.
fn strip(trailers: &mut HeaderMap) {
    let claims: Vec<_> = trailers.keys().filter(|name| is_identity(name)).cloned().collect();
    for name in claims {
        trailers.remove(name);
    }
}
