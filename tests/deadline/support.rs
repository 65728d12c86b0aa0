use std::convert::Infallible;
use std::future::{Pending, pending};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Extensions, HeaderMap, Request, Response};
use http_body_util::Full;
use tower::Service;

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) type Handled = Result<Response<Full<Bytes>>, Infallible>;

/// A handler that says hello as soon as it is let, and remembers what it saw.
#[derive(Clone, Default)]
pub(crate) struct Handler {
    pub(crate) seen: Arc<Mutex<Vec<(HeaderMap, Extensions)>>>,
    /// Futures that were not dropped yet.
    pub(crate) live: Arc<()>,
    pub(crate) is_slow: bool,
    /// How often each future is pending before it is ready.
    pub(crate) polls: Arc<AtomicUsize>,
}

impl Handler {
    pub(crate) fn slow() -> Self {
        Self { is_slow: true, ..Self::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn last(&self) -> (HeaderMap, Extensions) {
        self.seen.lock().unwrap().last().expect("a request").clone()
    }

    pub(crate) fn live(&self) -> usize {
        // Clones of the handler hold it too: those are counted out by whoever asks.
        Arc::strong_count(&self.live)
    }
}

pub(crate) struct Handling {
    _live: Arc<()>,
    never: Option<Pending<()>>,
    pending: usize,
}

impl Future for Handling {
    type Output = Handled;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Handled> {
        if self.never.is_some() {
            return Poll::Pending;
        }
        if self.pending > 0 {
            self.pending -= 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Ok(Response::new(Full::new(Bytes::from_static(b"hello")))))
    }
}

impl<B> Service<Request<B>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Handling;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Handling {
        let (parts, _) = request.into_parts();
        self.seen.lock().unwrap().push((parts.headers, parts.extensions));
        let never = self.is_slow.then(pending);
        Handling { _live: Arc::clone(&self.live), never, pending: self.polls.load(Ordering::Relaxed) }
    }
}

/// A request with these fields.
pub(crate) fn request(fields: &[(&'static str, &str)]) -> Request<()> {
    fields.iter().fold(Request::get("/"), |request, (name, value)| request.header(*name, *value)).body(()).unwrap()
}

pub(crate) fn grpc(fields: &[(&'static str, &str)]) -> Request<()> {
    let mut request = request(fields);
    *request.method_mut() = http::Method::POST;
    request.headers_mut().insert("content-type", "application/grpc".parse().unwrap());
    request
}

/// What is there at once.
pub(crate) fn at_once<F: Future<Output = Result<T, E>>, T, E: std::fmt::Debug>(future: F) -> T {
    future.now_or_never().expect("an answer at once").unwrap()
}

pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(std::task::Waker::noop()))
}
