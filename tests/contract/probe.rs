//! Services and bodies that watch what a layer does to them.

use std::collections::VecDeque;
use std::marker::{PhantomData, PhantomPinned};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
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
    /// Whether answers have a content-type and no other field.
    pub(crate) short_head: AtomicBool,
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

/// Takes away `Send`, `Sync`, `Clone`, `Default` and `'static` from what holds it: no layer may ask for them.
#[derive(Debug)]
pub(crate) struct Unfree<'a>(#[expect(dead_code, reason = "held for its type alone")] &'a Rc<()>);

impl<'a> Unfree<'a> {
    pub(crate) fn new(owner: &'a Rc<()>) -> Self {
        Self(owner)
    }
}

/// A service whose readiness belongs to the instance. `M` takes away auto traits where a test wants that.
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

impl<M: Clone> Clone for Probe<M> {
    /// A clone has not said that it is ready.
    fn clone(&self) -> Self {
        Self::new(&self.watch)
    }
}

impl<R, M> Service<Request<R>> for Probe<M> {
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

    fn call(&mut self, _: Request<R>) -> Self::Future {
        let calls = if self.ready { &self.watch.ready_calls } else { &self.watch.unready_calls };
        calls.fetch_add(1, Ordering::Relaxed);
        self.ready = false;
        ProbeFuture {
            pending_polls: self.watch.pending_polls.load(Ordering::Relaxed),
            fields: if self.watch.short_head.load(Ordering::Relaxed) { 1 } else { HEAD.len() },
            result: Some(match self.watch.error.lock().unwrap().take() {
                Some(error) => Err(error),
                None => Ok(self.watch.live.clone()),
            }),
            live: self.watch.live.clone(),
            marker: PhantomData,
            pinned: PhantomPinned,
        }
    }
}

pin_project! {
    /// Pending as often as it was told, then a response or an error. It must stay pinned, as an `async` block must.
    #[derive(Debug)]
    pub(crate) struct ProbeFuture<M> {
        pending_polls: usize,
        fields: usize,
        result: Option<Result<Live, ProbeError>>,
        live: Live,
        marker: PhantomData<M>,
        #[pin]
        pinned: PhantomPinned,
    }
}

impl<M> Future for ProbeFuture<M> {
    type Output = Result<Response<ProbeBody>, ProbeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if *this.pending_polls > 0 {
            *this.pending_polls -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let fields = *this.fields;
        let result = this.result.take().expect("a future is not polled after its end");
        Poll::Ready(result.map(|live| {
            let mut response = Response::new(ProbeBody::new(live));
            for (name, value) in HEAD.iter().take(fields) {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        }))
    }
}

/// The fields of an everyday answer. What a layer allocates depends on how many there are.
const HEAD: [(HeaderName, &str); 3] =
    [(header::CONTENT_TYPE, "application/json"), (header::ETAG, "\"1\""), (header::VARY, "accept-encoding")];

pin_project! {
    /// Two frames of data with a wait between them, trailers, and then an error, with a size hint of its own.
    #[derive(Debug)]
    pub(crate) struct ProbeBody {
        step: usize,
        live: Live,
        #[pin]
        pinned: PhantomPinned,
    }
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
    /// Polls from the first frame to the error.
    pub(crate) const POLLS: usize = 5;

    fn new(live: Live) -> Self {
        Self { step: 0, live, pinned: PhantomPinned }
    }
}

impl Body for ProbeBody {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        let step = self.project().step;
        *step += 1;
        Poll::Ready(match *step {
            1 => Some(Ok(Frame::data(Bytes::from_static(b"one")))),
            2 => {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            3 => Some(Ok(Frame::data(Bytes::from_static(b"two")))),
            4 => Some(Ok(Frame::trailers(trailers()))),
            5 => Some(Err(Torn(Self::IDENTITY))),
            _ => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.step > 4
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = SizeHint::new();
        hint.set_lower(Self::HINT.0);
        hint.set_upper(Self::HINT.1);
        hint
    }
}

pub(crate) fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"))])
}
