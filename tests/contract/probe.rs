//! Services and bodies that watch what a layer does to them.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use tower::Service;

/// An error that is known again: it has an identity, and cannot be cloned.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ProbeError(pub(crate) u64);

impl ProbeError {
    pub(crate) fn new() -> (Self, u64) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let identity = NEXT.fetch_add(1, Ordering::Relaxed);
        (Self(identity), identity)
    }
}

impl std::fmt::Display for ProbeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "probe error {}", self.0)
    }
}

impl std::error::Error for ProbeError {}

/// What the probes of one test share.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Calls of an instance that had said it was ready.
    pub(crate) ready_calls: AtomicUsize,
    /// Calls of one that had not.
    pub(crate) unready_calls: AtomicUsize,
    /// What `poll_ready` says next; ready when there is nothing left.
    pub(crate) readiness: Mutex<VecDeque<Readiness>>,
    /// How often the next futures are pending.
    pub(crate) pending_polls: AtomicUsize,
    /// What the next future ends with, instead of a response.
    pub(crate) error: Mutex<Option<ProbeError>>,
    /// Requests, futures and bodies that are alive.
    pub(crate) live: Live,
}

#[derive(Debug)]
pub(crate) enum Readiness {
    Pending,
    Error(ProbeError),
}

/// Counts what is alive.
#[derive(Debug, Default, Clone)]
pub(crate) struct Live(Arc<()>);

impl Live {
    pub(crate) fn count(&self) -> usize {
        Arc::strong_count(&self.0) - 1
    }
}

/// A service whose readiness belongs to the instance. `M` takes away `Send` where a test wants that.
#[derive(Debug)]
pub(crate) struct Probe<M = ()> {
    watch: Arc<Watch>,
    ready: bool,
    marker: PhantomData<M>,
}

impl<M> Probe<M> {
    pub(crate) fn new(watch: &Arc<Watch>) -> Self {
        Self { watch: Arc::clone(watch), ready: false, marker: PhantomData }
    }
}

impl<M> Clone for Probe<M> {
    /// A clone has not said that it is ready.
    fn clone(&self) -> Self {
        Self::new(&self.watch)
    }
}

impl<B, M> Service<Request<B>> for Probe<M> {
    type Response = Response<ProbeBody>;
    type Error = ProbeError;
    type Future = ProbeFuture<M>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProbeError>> {
        match self.watch.readiness.lock().unwrap().pop_front() {
            None => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
            Some(Readiness::Pending) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Some(Readiness::Error(error)) => Poll::Ready(Err(error)),
        }
    }

    fn call(&mut self, _: Request<B>) -> Self::Future {
        let calls = if self.ready { &self.watch.ready_calls } else { &self.watch.unready_calls };
        calls.fetch_add(1, Ordering::Relaxed);
        self.ready = false;
        ProbeFuture {
            pending_polls: self.watch.pending_polls.load(Ordering::Relaxed),
            result: Some(match self.watch.error.lock().unwrap().take() {
                Some(error) => Err(error),
                None => Ok(self.watch.live.clone()),
            }),
            _live: self.watch.live.clone(),
            marker: PhantomData,
        }
    }
}

/// Pending as often as it was told, then a response or an error.
#[derive(Debug)]
pub(crate) struct ProbeFuture<M> {
    pending_polls: usize,
    result: Option<Result<Live, ProbeError>>,
    _live: Live,
    marker: PhantomData<M>,
}

impl<M> Unpin for ProbeFuture<M> {}

impl<M> Future for ProbeFuture<M> {
    type Output = Result<Response<ProbeBody>, ProbeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.pending_polls > 0 {
            self.pending_polls -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let result = self.result.take().expect("a future is not polled after its end");
        Poll::Ready(result.map(|live| {
            let mut response = Response::new(ProbeBody::new(live));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        }))
    }
}

/// Two frames of data, trailers, and then an error, with a size hint of its own.
#[derive(Debug)]
pub(crate) struct ProbeBody {
    step: usize,
    _live: Live,
}

/// The error at a [`ProbeBody`]'s end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Torn(pub(crate) u64);

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("torn")
    }
}

impl std::error::Error for Torn {}

impl ProbeBody {
    pub(crate) const HINT: (u64, u64) = (3, 99);
    pub(crate) const IDENTITY: u64 = 0x7031;

    fn new(live: Live) -> Self {
        Self { step: 0, _live: live }
    }
}

impl Body for ProbeBody {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        self.step += 1;
        Poll::Ready(match self.step {
            1 => Some(Ok(Frame::data(Bytes::from_static(b"one")))),
            2 => Some(Ok(Frame::data(Bytes::from_static(b"two")))),
            3 => Some(Ok(Frame::trailers(trailers()))),
            4 => Some(Err(Torn(Self::IDENTITY))),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.step > 3
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(Self::HINT.0);
        hint.set_upper(Self::HINT.1);
        hint
    }
}

pub(crate) fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}
