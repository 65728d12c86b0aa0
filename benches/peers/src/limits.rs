//! Limiters by client address: each has seen the same clients, and answers one request more.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use http::{HeaderValue, Request, Response, header};
use tower::{Layer, Service};
use tower_rampart::key::PeerAddr;

use crate::{Job, Jobs, Run};

/// Clients that a limiter has seen before it is measured.
pub const CLIENTS: u32 = 10_000;
/// What every limiter admits: a thousand at once, refilled within an hour.
const QUOTA: u32 = 1000;
const WINDOW: Duration = Duration::from_secs(3600);

/// The address of the `n`th client.
pub fn client(n: u32) -> IpAddr {
    // Scattered, as addresses are.
    IpAddr::V4(Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)))
}

/// A request as a server hands it on, with the peer's address for everybody.
pub fn request(client: IpAddr) -> Request<()> {
    let peer = SocketAddr::new(client, 50_000);
    let request = Request::get("/v1/polls").extension(ConnectInfo(peer)).extension(PeerAddr::new(peer));
    request.body(()).unwrap_or_default()
}

/// A handler with its response ready.
#[derive(Debug)]
pub struct Handler(Option<Response<Body>>);

impl Clone for Handler {
    /// With a response of its own.
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Handler {
    fn new() -> Self {
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Self(Some(response))
    }
}

impl Service<Request<()>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<()>) -> Self::Future {
        ready(Ok(self.0.take().unwrap_or_default()))
    }
}

struct Prepared<S, B> {
    service: S,
    request: Request<()>,
    response: Option<Response<B>>,
}

/// Passes a request through a service whose answers are ready.
pub fn respond<S, B>(service: &mut S, request: Request<()>) -> Option<Response<B>>
where
    S: Service<Request<()>, Response = Response<B>>,
{
    let mut cx = Context::from_waker(Waker::noop());
    let _ = service.poll_ready(&mut cx);
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(Ok(response)) => Some(response),
        Poll::Ready(Err(_)) | Poll::Pending => None,
    }
}

impl<S, B> Run for Prepared<S, B>
where
    S: Service<Request<()>, Response = Response<B>>,
{
    fn run(&mut self) {
        let request = std::mem::take(&mut self.request);
        self.response = respond(&mut self.service, request);
    }

    fn fields(&self) -> usize {
        self.response.as_ref().map_or(0, |response| response.headers().len())
    }
}

/// What the measured request finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quota {
    Left,
    UsedUp,
}

/// A limiter that knows its clients, about to answer them: one after the other, or always the one that is over its quota.
pub fn jobs<S, B: 'static>(make: fn() -> S, quota: Quota) -> Jobs
where
    S: Service<Request<()>, Response = Response<B>> + Clone + 'static,
{
    let mut service = make();
    for n in 0..CLIENTS {
        let _ = respond(&mut service, request(client(n)));
    }
    let mut next = CLIENTS / 2;
    if quota == Quota::UsedUp {
        for _ in 0..=QUOTA {
            let _ = respond(&mut service, request(client(next)));
        }
    }
    Box::new(move || -> Job {
        let measured = client(next);
        if quota == Quota::Left {
            next = (next + 7919) % CLIENTS;
        }
        Box::new(Prepared { service: service.clone(), request: request(measured), response: None })
    })
}

/// The handler alone: what every other measurement contains.
pub fn bare() -> Handler {
    Handler::new()
}

/// A check as governor does it without any layer, at the price of the handler's call.
pub mod governor {
    use std::sync::Arc;

    use ::governor::{DefaultKeyedRateLimiter, Quota as GovernorQuota, RateLimiter};

    use super::*;

    pub type Limiter = DefaultKeyedRateLimiter<IpAddr>;

    pub fn limiter() -> Limiter {
        let burst = NonZeroU32::new(QUOTA).unwrap_or(NonZeroU32::MIN);
        let quota = GovernorQuota::with_period(WINDOW / QUOTA).unwrap_or_else(|| GovernorQuota::per_hour(burst));
        RateLimiter::keyed(quota.allow_burst(burst))
    }

    /// The shortest service there is around governor: no headers, no answer of its own, no configuration.
    #[derive(Debug, Clone)]
    pub struct Check {
        limiter: Arc<Limiter>,
        inner: Handler,
    }

    pub fn check() -> Check {
        Check { limiter: Arc::new(limiter()), inner: bare() }
    }

    impl Service<Request<()>> for Check {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            self.inner.poll_ready(cx)
        }

        fn call(&mut self, request: Request<()>) -> Self::Future {
            let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(peer)| peer.ip());
            match peer.map(|peer| self.limiter.check_key(&peer)) {
                Some(Ok(())) => self.inner.call(request),
                _ => ready(Ok(Response::default())),
            }
        }
    }
}

pub mod rampart {
    use tower_rampart::rate_limit::{HeaderStyle, Quota as OurQuota, RateLimit, RateLimitService};

    use super::*;

    pub fn limit(style: HeaderStyle) -> RateLimit {
        RateLimit::per_client_ip(OurQuota::new(QUOTA).per(WINDOW)).headers(style)
    }

    fn of(style: HeaderStyle) -> RateLimitService<Handler> {
        limit(style).build().expect("the quota is valid").layer(bare())
    }

    pub fn silent() -> RateLimitService<Handler> {
        of(HeaderStyle::None)
    }

    pub fn with_fields() -> RateLimitService<Handler> {
        of(HeaderStyle::Ietf)
    }
}

pub mod tower_governor {
    use ::tower_governor::GovernorLayer;
    use ::tower_governor::governor::GovernorConfigBuilder;
    use ::tower_governor::key_extractor::PeerIpKeyExtractor;

    use super::*;

    pub fn silent() -> impl Service<Request<()>, Response = Response<Body>, Error = Infallible> + Clone {
        let config = GovernorConfigBuilder::default()
            .key_extractor(PeerIpKeyExtractor)
            .period(WINDOW / QUOTA)
            .burst_size(QUOTA)
            .finish()
            .expect("the quota is valid");
        GovernorLayer::new(config).layer(bare())
    }

    pub fn with_fields() -> impl Service<Request<()>, Response = Response<Body>> + Clone {
        let config = GovernorConfigBuilder::default()
            .key_extractor(PeerIpKeyExtractor)
            .period(WINDOW / QUOTA)
            .burst_size(QUOTA)
            .use_headers()
            .finish()
            .expect("the quota is valid");
        GovernorLayer::new(config).layer(bare())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(mut jobs: Jobs) -> usize {
        let mut job = jobs();
        job.run();
        job.fields()
    }

    /// A comparison counts only when everybody does the same work.
    #[test]
    fn everybody_admits_and_refuses_the_same() {
        fn admits<S, B>(mut service: S) -> usize
        where
            S: Service<Request<()>, Response = Response<B>>,
        {
            let answers = (0..QUOTA + 10).filter_map(|_| respond(&mut service, request(client(1))));
            answers.filter(|response| response.status().is_success()).count()
        }
        assert_eq!(admits(rampart::silent()), 1000);
        assert_eq!(admits(rampart::with_fields()), 1000);
        assert_eq!(admits(tower_governor::silent()), 1000);
        assert_eq!(admits(tower_governor::with_fields()), 1000);
        assert_eq!(run(jobs(rampart::silent, Quota::Left)), 1);
        assert_eq!(run(jobs(rampart::with_fields, Quota::Left)), 3);
        assert_eq!(run(jobs(tower_governor::silent, Quota::Left)), 1);
        assert_eq!(run(jobs(tower_governor::with_fields, Quota::Left)), 3);
    }
}
