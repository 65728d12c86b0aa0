//! The body that the upstream is sent: the client's, without claims in its trailers.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tower_rampart::validate::CheckedBody;
use tower_rampart::{Holdup, WatchedBody};

use super::headers::is_identity;

/// See the module.
pub struct Sent {
    body: WatchedBody<CheckedBody<Incoming>>,
    fate: Fate,
}

/// Whether the client's body broke off.
#[derive(Debug, Clone, Default)]
pub struct Fate(Arc<AtomicBool>);

impl Fate {
    pub fn is_broken(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Sent {
    pub fn new(body: CheckedBody<Incoming>, holdup: &Holdup) -> Self {
        Self { body: holdup.watch(body), fate: Fate::default() }
    }

    /// What becomes of the body, for whoever no longer has it.
    pub fn fate(&self) -> Fate {
        self.fate.clone()
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = <CheckedBody<Incoming> as Body>::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if matches!(polled, Poll::Ready(Some(Err(_)))) {
            self.fate.0.store(true, Ordering::Release);
        }
        polled.map_ok(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                strip(trailers);
            }
            frame
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Some servers read trailers as if they were header fields.
fn strip(trailers: &mut HeaderMap) {
    let claims: Vec<_> = trailers.keys().filter(|name| is_identity(name)).cloned().collect();
    for name in claims {
        trailers.remove(name);
    }
}
