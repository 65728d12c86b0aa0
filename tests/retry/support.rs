use std::collections::VecDeque;
use std::fmt;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service};
use tower_rampart::client::ClientError;
use tower_rampart::retry::{Attempt, PeekedBody, Retries, RetryLayer, RetryPolicy, RetryService};
use tower_rampart::{Clock, ClockHand, RequestView};

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What the service says next.
#[derive(Debug)]
pub(crate) enum Say {
    Status(u16, &'static [(&'static str, &'static str)]),
    Answer(Response<()>),
    Fail,
    Refuse(tower_rampart::Rejection),
}

pub(crate) const OK: Say = Say::Status(200, &[]);

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Torn;

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("torn")
    }
}

impl std::error::Error for Torn {}

pub(crate) type Error = ClientError<Torn>;

/// One call, as the service saw it.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) headers: HeaderMap,
    pub(crate) extensions: Extensions,
    pub(crate) attempt: u32,
}

/// A service that says what it was told to say, and remembers who asked. Its readiness belongs to the instance.
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) says: Arc<Mutex<VecDeque<Say>>>,
    pub(crate) calls: Arc<Mutex<Vec<Call>>>,
    /// Bodies and futures that live.
    pub(crate) live: Arc<()>,
    /// How many of them lived when a call came.
    pub(crate) live_at_calls: Arc<Mutex<Vec<usize>>>,
    is_ready: bool,
}

impl Clone for Script {
    fn clone(&self) -> Self {
        Self {
            says: Arc::clone(&self.says),
            calls: Arc::clone(&self.calls),
            live: Arc::clone(&self.live),
            live_at_calls: Arc::clone(&self.live_at_calls),
            is_ready: false,
        }
    }
}

/// A body that is known to live.
#[derive(Debug)]
pub(crate) struct Alive {
    body: Full<Bytes>,
    _live: Arc<()>,
}

impl http_body::Body for Alive {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }
}

impl Script {
    pub(crate) fn new(says: impl IntoIterator<Item = Say>) -> Self {
        Self { says: Arc::new(Mutex::new(says.into_iter().collect())), ..Self::default() }
    }

    pub(crate) fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub(crate) fn attempts(&self) -> Vec<u32> {
        self.calls.lock().unwrap().iter().map(|call| call.attempt).collect()
    }

    pub(crate) fn last(&self) -> Call {
        self.calls.lock().unwrap().last().expect("a call").clone()
    }
}

impl<B> Service<Request<B>> for Script {
    type Response = Response<Alive>;
    type Error = Error;
    type Future = Ready<Result<Response<Alive>, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        assert!(std::mem::take(&mut self.is_ready), "it was not asked whether it is ready");
        let attempt = Attempt::of(RequestView::of(&request)).get();
        let (parts, _) = request.into_parts();
        self.calls.lock().unwrap().push(Call { headers: parts.headers, extensions: parts.extensions, attempt });
        // The scripts hold it too, and they are as many at each call.
        self.live_at_calls.lock().unwrap().push(Arc::strong_count(&self.live));
        let body = || Alive { body: Full::new(Bytes::from_static(b"body")), _live: Arc::clone(&self.live) };
        // What there is no word for is a failure that goes on.
        ready(match self.says.lock().unwrap().pop_front().unwrap_or(Say::Fail) {
            Say::Status(status, fields) => {
                let response = Response::builder().status(status);
                let response = fields.iter().fold(response, |response, (name, value)| response.header(*name, *value));
                Ok(response.body(body()).unwrap())
            }
            Say::Answer(response) => Ok(response.map(|()| body())),
            Say::Fail => Err(ClientError::Inner(Torn)),
            Say::Refuse(rejection) => Err(ClientError::Refused(rejection)),
        })
    }
}

pub(crate) fn get() -> Request<Full<Bytes>> {
    Request::get("/").body(Full::default()).unwrap()
}

pub(crate) fn post(fields: &[(&str, &str)]) -> Request<Full<Bytes>> {
    let request = fields.iter().fold(Request::post("/"), |request, (name, value)| request.header(*name, *value));
    request.body(Full::new(Bytes::from_static(b"hello"))).unwrap()
}

/// A service with retries, whose time is moved by hand.
pub(crate) struct Retried {
    pub(crate) service: RetryService<Script>,
    pub(crate) policy: RetryPolicy,
    pub(crate) script: Script,
    pub(crate) clock: Clock,
    pub(crate) hand: ClockHand,
}

pub(crate) fn retried(retries: Retries, says: impl IntoIterator<Item = Say>) -> Retried {
    let (clock, hand) = Clock::manual();
    let policy = retries.with_clock(clock.clone()).build().unwrap();
    let script = Script::new(says);
    let service = RetryLayer::new(policy.clone()).layer(script.clone());
    Retried { service, policy, script, clock, hand }
}

pub(crate) type Answer = Result<Response<PeekedBody<Alive>>, Error>;

impl Retried {
    /// Begins a call.
    pub(crate) fn start(&mut self, request: Request<Full<Bytes>>) -> Pin<Box<dyn Future<Output = Answer>>> {
        let ready = Service::<Request<Full<Bytes>>>::poll_ready(&mut self.service, &mut noop());
        assert!(matches!(ready, Poll::Ready(Ok(()))));
        Box::pin(self.service.call(request))
    }

    /// Waits as long as it takes, and says how long that was.
    pub(crate) fn finish(&mut self, request: Request<Full<Bytes>>) -> (Answer, Duration) {
        const STEP: Duration = Duration::from_millis(1);
        let begun = self.clock.now();
        let mut call = self.start(request);
        for _ in 0..100_000 {
            if let Poll::Ready(answer) = call.as_mut().poll(&mut noop()) {
                return (answer, self.clock.now() - begun);
            }
            self.hand.advance(STEP);
        }
        panic!("no answer in a hundred seconds");
    }

    pub(crate) fn status(&mut self, request: Request<Full<Bytes>>) -> u16 {
        self.finish(request).0.unwrap().status().as_u16()
    }
}

pub(crate) fn noop() -> Context<'static> {
    Context::from_waker(std::task::Waker::noop())
}
