use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_rampart::key::{GlobalKey, PeerAddr};
use tower_rampart::rate_limit::{Policy, Quota, QuotaBuilder, RateLimit, RateLimitHandle, RateLimitLayer};
use tower_rampart::{Clock, ClockHand, ResponseBody};

use crate::log::{Log, meet_call_sites_from_anywhere};

pub(crate) type Answer = Response<ResponseBody<Full<Bytes>>>;

pub(crate) fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// A limiter on a clock that the test moves.
pub(crate) struct Fixture {
    pub(crate) layer: RateLimitLayer,
    pub(crate) hand: ClockHand,
    pub(crate) handle: RateLimitHandle,
}

impl Fixture {
    pub(crate) fn of(limit: RateLimit) -> Self {
        let (clock, hand) = Clock::manual();
        let layer = limit.with_clock(clock).build().unwrap();
        let handle = layer.handle();
        Self { layer, hand, handle }
    }

    pub(crate) fn policy(policy: Policy) -> Self {
        Self::of(RateLimit::new().add_policy(policy))
    }

    /// One bucket for everybody.
    pub(crate) fn global(quota: QuotaBuilder) -> Self {
        Self::policy(Policy::new("default", quota).key(GlobalKey))
    }

    pub(crate) fn send(&self, request: Request<()>) -> Answer {
        self.send_to(request, |_| StatusCode::OK)
    }

    pub(crate) fn send_to(&self, request: Request<()>, handler: impl Fn(Request<()>) -> StatusCode) -> Answer {
        self.respond(request, |request| {
            let mut response = Response::<Full<Bytes>>::default();
            *response.status_mut() = handler(request);
            response
        })
    }

    pub(crate) fn respond(
        &self,
        request: Request<()>,
        handler: impl Fn(Request<()>) -> Response<Full<Bytes>>,
    ) -> Answer {
        let service = self.layer.layer(service_fn(|request| {
            let response = handler(request);
            async move { Ok::<_, Infallible>(response) }
        }));
        service.oneshot(request).now_or_never().expect("the layer never waits").unwrap()
    }

    pub(crate) fn status(&self, request: Request<()>) -> u16 {
        self.send(request).status().as_u16()
    }

    /// How many of so many requests are admitted.
    pub(crate) fn admitted(&self, tries: usize, request: impl Fn() -> Request<()>) -> usize {
        (0..tries).filter(|_| self.status(request()) == 200).count()
    }

    pub(crate) fn keys(&self) -> usize {
        self.handle.snapshot(self.handle.policies().next().unwrap()).unwrap().keys
    }
}

pub(crate) fn get(uri: &str) -> Request<()> {
    Request::get(uri).body(()).unwrap()
}

pub(crate) fn from(client: &str) -> Request<()> {
    let client: IpAddr = client.parse().unwrap();
    Request::get("/").extension(PeerAddr::new((client, 4711).into())).body(()).unwrap()
}

/// The lines of a field, joined; empty when it is not there.
pub(crate) fn field(answer: &Answer, name: &str) -> String {
    let lines: Vec<_> = answer.headers().get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
    lines.join(", ")
}

pub(crate) fn json(answer: Answer) -> serde_json::Value {
    let body = answer.into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
    serde_json::from_slice(&body).unwrap()
}

/// Polls a service for readiness and calls it.
pub(crate) fn call<S: Service<Request<()>>>(service: &mut S, request: Request<()>) -> S::Future {
    assert!(service.poll_ready(&mut std::task::Context::from_waker(std::task::Waker::noop())).is_ready());
    service.call(request)
}

/// What is logged while something runs.
pub(crate) fn logged(run: impl FnOnce()) -> Vec<String> {
    meet_call_sites_from_anywhere();
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).without_time().finish();
    tracing::subscriber::with_default(subscriber, run);
    log.text().lines().map(str::to_owned).collect()
}

pub(crate) fn per(limit: u32, seconds: u64) -> QuotaBuilder {
    Quota::new(limit).per(secs(seconds))
}
