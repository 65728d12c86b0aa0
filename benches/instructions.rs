//! Instructions and allocations of each layer, under callgrind and DHAT: the same on a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::hint::black_box;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use http::{HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use tower::util::ServiceFn;
use tower::{Layer, Service, service_fn};
use tower_rampart::cache::{Cache, CacheService};
use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerService, Permit, Window};
use tower_rampart::classify::ObservedBody;
use tower_rampart::key::GlobalKey;
use tower_rampart::rate_limit::{HeaderStyle, Policy, Quota, RateLimit, RateLimitLayer, RateLimitService};
use tower_rampart::security_headers::{CspNonce, SecurityHeadersLayer, SecurityHeadersService};
use tower_rampart::{ResponseBody, SharedBody};

type Body = Full<Bytes>;
type Handled = Ready<Result<Response<Body>, Infallible>>;
type App = SecurityHeadersService<ServiceFn<fn(Request<()>) -> Handled>>;
type Answer = Option<Result<Response<ResponseBody<Body>>, Infallible>>;

fn handler(request: Request<()>) -> Handled {
    if request.uri().path() == "/page"
        && let Some(nonce) = request.extensions().get::<CspNonce>()
    {
        black_box(nonce.as_str());
    }
    let mut response = Response::new(Body::default());
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    ready(Ok(response))
}

/// A layered handler that has answered before, and a request for it.
fn warm(layer: SecurityHeadersLayer, path: &str) -> (App, Request<()>) {
    let mut app = layer.layer(service_fn(handler as fn(Request<()>) -> Handled));
    let request = || Request::get(path).body(()).unwrap();
    drop(app.call(request()).now_or_never());
    (app, request())
}

#[library_benchmark]
#[bench::empty(warm(SecurityHeadersLayer::empty(), "/"))]
#[bench::api(warm(SecurityHeadersLayer::api(), "/"))]
#[bench::owasp(warm(SecurityHeadersLayer::owasp(), "/"))]
#[bench::grpc(warm(SecurityHeadersLayer::grpc(), "/"))]
#[bench::web(warm(SecurityHeadersLayer::web(), "/"))]
#[bench::web_with_nonce(warm(SecurityHeadersLayer::web(), "/page"))]
fn security_headers((mut app, request): (App, Request<()>)) -> (App, Answer) {
    let answer = black_box(&mut app).call(request).now_or_never();
    (app, answer)
}

type Limited = RateLimitService<ServiceFn<fn(Request<()>) -> Handled>>;

fn limit(style: HeaderStyle, policies: &[&'static str]) -> RateLimitLayer {
    let quota = Quota::new(1_000_000).per(Duration::from_secs(3600));
    let limit = policies
        .iter()
        .fold(RateLimit::new(), |limit, name| limit.add_policy(Policy::new(*name, quota).key(GlobalKey)));
    limit.headers(style).build().unwrap()
}

/// A layer that is over its limit.
fn used_up(style: HeaderStyle) -> RateLimitLayer {
    let policy = Policy::new("p", Quota::new(1).per(Duration::from_secs(3600))).key(GlobalKey);
    RateLimit::new().add_policy(policy).headers(style).build().unwrap()
}

/// A limited handler that has answered before, and a request for it.
fn limited(layer: RateLimitLayer) -> (Limited, Request<()>) {
    let mut app = layer.layer(service_fn(handler as fn(Request<()>) -> Handled));
    let request = || Request::get("/").body(()).unwrap();
    for _ in 0..2 {
        drop(app.call(request()).now_or_never());
    }
    (app, request())
}

#[library_benchmark]
#[bench::silent(limited(limit(HeaderStyle::None, &["a"])))]
#[bench::ietf(limited(limit(HeaderStyle::Ietf, &["a"])))]
#[bench::three_policies(limited(limit(HeaderStyle::None, &["a", "b", "c"])))]
#[bench::three_policies_ietf(limited(limit(HeaderStyle::Ietf, &["a", "b", "c"])))]
#[bench::refused(limited(used_up(HeaderStyle::None)))]
#[bench::refused_ietf(limited(used_up(HeaderStyle::Ietf)))]
fn rate_limit((mut app, request): (Limited, Request<()>)) -> (Limited, Answer) {
    let answer = black_box(&mut app).call(request).now_or_never();
    (app, answer)
}

type Cached = CacheService<ServiceFn<fn(Request<()>) -> Handled>>;
type CachedAnswer = Option<Result<Response<ResponseBody<SharedBody<Body>>>, Infallible>>;

/// What a JSON API that can be cached answers.
fn cacheable(request: Request<()>) -> Handled {
    let uncached = request.uri().path() == "/uncached";
    let mut response = Response::new(Full::from(vec![b'x'; 1024]));
    let fields = [
        ("content-type", "application/json"),
        ("cache-control", if uncached { "no-store" } else { "max-age=600" }),
        ("etag", "\"5f3c\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("vary", "accept-encoding"),
        ("server", "x"),
        ("content-language", "en"),
    ];
    for (name, value) in fields {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    ready(Ok(response))
}

/// A cached handler that has answered before, and a request for it.
fn stored(path: &str, fields: &[(&'static str, &'static str)]) -> (Cached, Request<()>) {
    let cache = Cache::builder().build().unwrap();
    let mut app = cache.layer().layer(service_fn(cacheable as fn(Request<()>) -> Handled));
    let request = |fields: &[(&'static str, &'static str)]| {
        let mut request = Request::get(path).header("host", "example.org").header("accept-encoding", "gzip, br");
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap()
    };
    for fields in [&[][..], fields] {
        if let Some(Ok(response)) = app.call(request(fields)).now_or_never() {
            drop(response.into_body().collect().now_or_never());
        }
    }
    (app, request(fields))
}

#[library_benchmark]
#[bench::hit(stored("/v1/polls?limit=10", &[]))]
#[bench::not_modified(stored("/v1/polls?limit=10", &[("if-none-match", "\"5f3c\"")]))]
#[bench::uncached(stored("/uncached", &[]))]
fn cache((mut app, request): (Cached, Request<()>)) -> (Cached, CachedAnswer) {
    let answer = black_box(&mut app).call(request).now_or_never();
    (app, answer)
}

type Guarded = CircuitBreakerService<ServiceFn<fn(Request<()>) -> Handled>>;
type GuardedAnswer = Option<Result<Response<ResponseBody<ObservedBody<Body, Permit>>>, Infallible>>;

/// A guarded handler that has answered before, and a request for it.
fn guarded(breaker: CircuitBreaker) -> (Guarded, Request<()>) {
    let mut app = breaker.build().unwrap().layer(service_fn(handler as fn(Request<()>) -> Handled));
    for _ in 0..100 {
        drop(app.call(Request::default()).now_or_never());
    }
    (app, Request::default())
}

#[library_benchmark]
#[bench::consecutive(guarded(CircuitBreaker::new("a").slow_call(None).failure_rate(None).consecutive_failures(5)))]
#[bench::calls(guarded(CircuitBreaker::new("a").slow_call(None)))]
#[bench::calls_and_slow(guarded(CircuitBreaker::new("a")))]
#[bench::time_and_slow(guarded(CircuitBreaker::new("a").window(Window::time(Duration::from_secs(10)))))]
fn circuit_breaker((mut app, request): (Guarded, Request<()>)) -> (Guarded, GuardedAnswer) {
    let answer = black_box(&mut app).call(request).now_or_never();
    (app, answer)
}

library_benchmark_group!(name = layers, benchmarks = [security_headers, rate_limit, cache, circuit_breaker]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = layers);
