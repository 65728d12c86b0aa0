//! A scripted origin behind a cache, and a clock moved by hand.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, mpsc};
use tower::{Layer, Service, ServiceExt};
use tower_rampart::cache::{Cache, CacheBuilder, CacheService};
use tower_rampart::{Clock, ClockHand, ResponseBody, SharedBody};

/// A body fed from outside: frames as they are sent, an error when one is.
pub(crate) struct Fed(mpsc::UnboundedReceiver<Result<Frame<Bytes>, Torn>>);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Torn;

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("torn")
    }
}

impl std::error::Error for Torn {}

pub(crate) type Feeder = mpsc::UnboundedSender<Result<Frame<Bytes>, Torn>>;

pub(crate) fn fed() -> (Feeder, Fed) {
    let (feeder, body) = mpsc::unbounded_channel();
    (feeder, Fed(body))
}

pub(crate) fn full(text: impl Into<Bytes>) -> Fed {
    let (feeder, body) = fed();
    let text = text.into();
    if !text.is_empty() {
        feeder.send(Ok(Frame::data(text))).unwrap();
    }
    body
}

impl Body for Fed {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        self.0.poll_recv(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_closed() && self.0.is_empty()
    }
}

type Script = Arc<dyn Fn(&Request<()>) -> Result<Response<Fed>, Failed> + Send + Sync>;

/// The origin's error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed;

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

/// Remembers what it was asked, and answers by its script, each time it is let.
#[derive(Clone)]
pub(crate) struct Origin {
    script: Script,
    seen: Arc<Mutex<Vec<Request<()>>>>,
    gate: Arc<Semaphore>,
}

impl Origin {
    pub(crate) fn new(script: impl Fn(&Request<()>) -> Response<Fed> + Send + Sync + 'static) -> Self {
        Self::failing(move |request| Ok(script(request)))
    }

    pub(crate) fn failing(
        script: impl Fn(&Request<()>) -> Result<Response<Fed>, Failed> + Send + Sync + 'static,
    ) -> Self {
        let gate = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS / 2));
        Self { script: Arc::new(script), seen: Arc::default(), gate }
    }

    /// Answers in this order, and the last one forever.
    pub(crate) fn in_turn(answers: impl IntoIterator<Item = Answered>) -> Self {
        let answers = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        Self::new(move |_| {
            let mut answers = answers.lock().unwrap();
            let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
            answer.response()
        })
    }

    /// Answers only as often as it is let.
    pub(crate) fn gated(mut self) -> (Self, Arc<Semaphore>) {
        self.gate = Arc::new(Semaphore::new(0));
        let gate = Arc::clone(&self.gate);
        (self, gate)
    }

    pub(crate) fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(crate) fn asked(&self, call: usize) -> HeaderMap {
        self.seen.lock().unwrap()[call].headers().clone()
    }
}

impl Service<Request<()>> for Origin {
    type Response = Response<Fed>;
    type Error = Failed;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Fed>, Failed>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let origin = self.clone();
        let mut copy = Request::builder().method(request.method()).uri(request.uri()).body(()).unwrap();
        *copy.headers_mut() = request.headers().clone();
        origin.seen.lock().unwrap().push(copy);
        Box::pin(async move {
            origin.gate.acquire().await.unwrap().forget();
            (origin.script)(&request)
        })
    }
}

/// A response that can be made again.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(&'static str, String)>,
    pub(crate) body: &'static str,
}

pub(crate) fn ok(fields: &[(&'static str, &str)], body: &'static str) -> Answered {
    status(200, fields, body)
}

pub(crate) fn status(status: u16, fields: &[(&'static str, &str)], body: &'static str) -> Answered {
    Answered { status, fields: fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect(), body }
}

impl Answered {
    pub(crate) fn response(&self) -> Response<Fed> {
        let mut response = Response::builder().status(self.status);
        for (name, value) in &self.fields {
            response = response.header(*name, value);
        }
        response.body(full(self.body)).unwrap()
    }
}

/// A cache around an origin.
pub(crate) struct Setup<S = Origin> {
    pub(crate) service: CacheService<S>,
    pub(crate) origin: Origin,
    pub(crate) cache: Cache,
    pub(crate) hand: ClockHand,
}

pub(crate) fn setup(origin: &Origin) -> Setup {
    setup_with(origin, |cache| cache)
}

pub(crate) fn setup_with(origin: &Origin, settle: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Setup {
    let (clock, hand) = Clock::manual();
    let cache = settle(Cache::builder().with_clock(clock)).build().unwrap();
    Setup { service: cache.layer().layer(origin.clone()), origin: origin.clone(), cache, hand }
}

/// What a client got.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Got {
    pub(crate) fn cache_status(&self) -> &str {
        self.headers.get_all("cache-status").iter().next_back().map_or("", |line| line.to_str().unwrap())
    }

    pub(crate) fn is_hit(&self) -> bool {
        self.cache_status().starts_with("rampart; hit")
    }

    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) fn request(method: &str, uri: &str, fields: &[(&str, &str)]) -> Request<()> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

pub(crate) async fn collect(response: Response<ResponseBody<SharedBody<Fed>>>) -> Got {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got { status: parts.status, headers: parts.headers, body }
}

impl Setup {
    pub(crate) async fn send(&self, request: Request<()>) -> Got {
        collect(self.service.clone().oneshot(request).await.unwrap()).await
    }

    pub(crate) async fn get(&self, uri: &str) -> Got {
        self.send(request("GET", uri, &[])).await
    }

    pub(crate) async fn get_with(&self, uri: &str, fields: &[(&str, &str)]) -> Got {
        self.send(request("GET", uri, fields)).await
    }

    pub(crate) async fn fails(&self, uri: &str) -> Failed {
        self.service.clone().oneshot(request("GET", uri, &[])).await.map(|_| ()).unwrap_err()
    }

    pub(crate) fn wait(&self, seconds: u64) {
        self.hand.advance(Duration::from_secs(seconds));
    }
}

/// What can be done without waiting is done.
pub(crate) async fn settled() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// Asks for what is under a key, and claims nothing.
#[cfg(feature = "test-util")]
pub(crate) fn look(key: &[u8]) -> tower_rampart::cache::Look<'_> {
    tower_rampart::cache::Look::new(key)
}
