use std::convert::Infallible;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::oneshot;
use tower::{Layer, Service};
use tower_rampart::bulkhead::{Bulkhead, BulkheadHandle, BulkheadLayer, BulkheadService};
use tower_rampart::{Clock, ClockHand};

pub(crate) type Reply = Response<Full<Bytes>>;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

/// A handler whose calls end when the test says so. It remembers in which order they came.
#[derive(Clone, Default)]
pub(crate) struct Held(Arc<Mutex<Calls>>);

#[derive(Default)]
struct Calls {
    seen: Vec<String>,
    running: Vec<(String, oneshot::Sender<Reply>)>,
}

impl Held {
    /// The paths of all calls that there were.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.0.lock().unwrap().seen.clone()
    }

    /// Ends the call of this path.
    pub(crate) fn end(&self, path: &str) {
        let mut calls = self.0.lock().unwrap();
        let at = calls.running.iter().position(|(running, _)| running == path).expect("it runs");
        let _ = calls.running.remove(at).1.send(Response::new(Full::from("done")));
    }
}

impl Service<Request<()>> for Held {
    type Response = Reply;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Reply, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let (sender, receiver) = oneshot::channel();
        let mut calls = self.0.lock().unwrap();
        calls.seen.push(request.uri().path().to_owned());
        calls.running.push((request.uri().path().to_owned(), sender));
        Box::pin(async move { Ok(receiver.await.expect("the test ends every call")) })
    }
}

pub(crate) type Call = Pin<Box<<BulkheadService<Held> as Service<Request<()>>>::Future>>;

/// A bulkhead around a handler whose calls end when the test says so, on a clock that it moves.
pub(crate) struct Fixture {
    pub(crate) layer: BulkheadLayer,
    pub(crate) service: BulkheadService<Held>,
    pub(crate) handler: Held,
    pub(crate) handle: BulkheadHandle,
    pub(crate) hand: ClockHand,
}

impl Fixture {
    pub(crate) fn of(bulkhead: Bulkhead) -> Self {
        let (clock, hand) = Clock::manual();
        let layer = bulkhead.with_clock(clock).build().unwrap();
        let handler = Held::default();
        Self { service: layer.layer(handler.clone()), handler, handle: layer.handle(), hand, layer }
    }

    pub(crate) fn start(&mut self, uri: &str) -> Call {
        Box::pin(start(&mut self.service, get(uri)))
    }

    /// In flight and queued.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let snapshot = self.handle.snapshot();
        (snapshot.in_flight, snapshot.queued)
    }
}

pub(crate) fn start<S: Service<Request<()>>>(service: &mut S, request: Request<()>) -> S::Future {
    assert!(service.poll_ready(&mut Context::from_waker(Waker::noop())).is_ready());
    service.call(request)
}

pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// The status of a call that has been answered; `None` of one that waits or runs.
pub(crate) fn status(call: &mut Call) -> Option<u16> {
    match poll(call.as_mut()) {
        Poll::Ready(Ok(response)) => Some(response.status().as_u16()),
        Poll::Pending => None,
    }
}

/// Counts how often it was woken.
#[derive(Default)]
pub(crate) struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    pub(crate) fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}
