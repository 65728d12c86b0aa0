use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Empty, StreamBody};
use tokio::sync::oneshot;
use tower::{Layer, Service};
use tower_rampart::load_shed::{LoadShed, LoadShedHandle, LoadShedLayer, LoadShedService};
use tower_rampart::{Clock, ClockHand};

pub(crate) type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, std::io::Error>;

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn get(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

pub(crate) fn empty() -> Body {
    Empty::new().map_err(|never: Infallible| match never {}).boxed_unsync()
}

/// A body that is nothing but trailers.
pub(crate) fn trailers(fields: &[(&'static str, &'static str)]) -> Body {
    let fields: HeaderMap =
        fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap())).collect();
    let frames = futures_util::stream::iter([Ok(Frame::trailers(fields))]);
    StreamBody::new(frames).boxed_unsync()
}

/// How a call ends: with a response, or the handler's failure.
pub(crate) type End = Result<Response<Body>, &'static str>;

/// A handler whose calls end when the test says so.
#[derive(Clone, Default)]
pub(crate) struct Held(std::sync::Arc<std::sync::Mutex<Vec<oneshot::Sender<End>>>>);

impl Held {
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Ends the oldest call.
    pub(crate) fn end(&self, end: End) {
        let call = self.0.lock().unwrap().remove(0);
        let _ = call.send(end);
    }
}

impl Service<Request<()>> for Held {
    type Response = Response<Body>;
    type Error = &'static str;
    type Future = Pin<Box<dyn Future<Output = End> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), &'static str>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        let (sender, receiver) = oneshot::channel();
        self.0.lock().unwrap().push(sender);
        Box::pin(async move { receiver.await.unwrap_or(Err("dropped")) })
    }
}

/// A layer around a handler whose calls end when the test says so, on a clock that it moves.
pub(crate) struct Fixture {
    pub(crate) layer: LoadShedLayer,
    pub(crate) service: LoadShedService<Held>,
    pub(crate) handler: Held,
    pub(crate) handle: LoadShedHandle,
    pub(crate) hand: ClockHand,
}

impl Fixture {
    pub(crate) fn of(shed: LoadShed) -> Self {
        let (clock, hand) = Clock::manual();
        let layer = shed.with_clock(clock).build().unwrap();
        let handler = Held::default();
        Self { service: layer.layer(handler.clone()), handler, handle: layer.handle(), hand, layer }
    }

    pub(crate) fn start(
        &mut self,
        request: Request<()>,
    ) -> Pin<Box<<LoadShedService<Held> as Service<Request<()>>>::Future>> {
        Box::pin(start(&mut self.service, request))
    }

    /// So many requests one after the other, each of which takes so long and ends so.
    pub(crate) fn answer(&mut self, requests: usize, latency: Duration, end: impl Fn() -> End) {
        for _ in 0..requests {
            let mut call = self.start(get("/"));
            self.hand.advance(latency);
            self.handler.end(end());
            let Poll::Ready(result) = poll(call.as_mut()) else { panic!("it has ended") };
            if let Ok(response) = result {
                let mut body = response.into_body();
                while let Poll::Ready(Some(_)) = http_body::Body::poll_frame(Pin::new(&mut body), &mut context()) {}
            }
        }
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

pub(crate) fn start<S: Service<Request<()>>>(service: &mut S, request: Request<()>) -> S::Future {
    assert!(service.poll_ready(&mut context()).is_ready());
    service.call(request)
}

pub(crate) fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut context())
}

pub(crate) fn ok() -> End {
    Ok(Response::new(empty()))
}

pub(crate) fn status(status: u16) -> End {
    Ok(Response::builder().status(status).body(empty()).unwrap())
}
