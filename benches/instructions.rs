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
use http::{HeaderValue, Method, Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use tower::util::ServiceFn;
use tower::{Layer, Service, service_fn};
use tower_rampart::bulkhead::{Bulkhead, BulkheadService, Held};
use tower_rampart::cache::{Cache, CacheService};
use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerService, Permit, Window};
use tower_rampart::classify::ObservedBody;
use tower_rampart::deadline::{DeadlineService, Deadlines};
use tower_rampart::key::GlobalKey;
use tower_rampart::load_shed::{InFlight, LoadShed, LoadShedService};
use tower_rampart::rate_limit::{HeaderStyle, Policy, Quota, RateLimit, RateLimitLayer, RateLimitService};
use tower_rampart::retry::{PeekedBody, ReplayBody, Retries, RetryLayer, RetryService};
use tower_rampart::security_headers::{CspNonce, SecurityHeadersLayer, SecurityHeadersService};
use tower_rampart::validate::{CheckedBody, Limits, Route, Schema, Validate, ValidateLayer, ValidateService};
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

type Checked = CheckedBody<Full<Bytes>>;
type Validated = ValidateService<ServiceFn<fn(Request<Checked>) -> Handled>>;

const POLL: &str = r#"{"question":"Tea or coffee this afternoon?","options":["tea","coffee","water"],"public":true}"#;
const MEGABYTE: usize = 1 << 20;

/// Takes the body, as a handler would.
fn taking(request: Request<Checked>) -> Handled {
    drop(black_box(request.into_body().collect().now_or_never()));
    ready(Ok(Response::new(Body::default())))
}

fn described() -> ValidateLayer {
    let schema = |text: &str| Schema::new(text).unwrap();
    let poll = r#"{
        "type": "object",
        "properties": {
            "question": { "type": "string", "minLength": 1, "maxLength": 200 },
            "options": { "type": "array", "minItems": 2, "maxItems": 20, "uniqueItems": true,
                "items": { "type": "string", "maxLength": 100 } },
            "public": { "type": "boolean" }
        },
        "required": ["question", "options"],
        "additionalProperties": false
    }"#;
    let list = r#"{ "type": "array", "items": { "type": "string", "maxLength": 5, "pattern": "^(a+)+$" } }"#;
    Validate::new()
        .limits(Limits::new().body_bytes(4 * MEGABYTE).buffer_bytes(64 * MEGABYTE))
        .content_encodings(["gzip"])
        .add_route(Route::new(Method::GET, "/v1/polls/{id}"))
        .add_route(Route::new(Method::POST, "/v1/walked").json())
        .add_route(Route::new(Method::POST, "/v1/polls").schema(schema(poll)))
        .add_route(Route::new(Method::POST, "/v1/lists").schema(schema(list)))
        .add_route(Route::new(Method::POST, "/v1/upload").any_body())
        .add_route(Route::new(Method::POST, "/v1/form").multipart())
        .build()
        .unwrap()
}

/// The same, for documents of any size.
fn lavish() -> ValidateLayer {
    let list = r#"{ "type": "array", "items": { "type": "string", "maxLength": 5, "pattern": "^(a+)+$" } }"#;
    let limits = Limits::new().body_bytes(4 * MEGABYTE).json_items(MEGABYTE).json_string_bytes(4 * MEGABYTE);
    let limits = limits.json_number_bytes(4 * MEGABYTE).json_name_bytes(MEGABYTE).json_depth(256);
    Validate::new()
        .limits(limits)
        .add_route(Route::new(Method::POST, "/v1/lists").schema(Schema::new(list).unwrap()))
        .add_route(Route::new(Method::POST, "/v1/walked").json())
        .build()
        .unwrap()
}

/// A validated handler that has answered before, and a request for it.
fn validated(
    layer: &ValidateLayer,
    path: &str,
    content_type: &str,
    body: Vec<u8>,
) -> (Validated, Request<Full<Bytes>>) {
    let mut app = layer.layer(service_fn(taking as fn(Request<Checked>) -> Handled));
    let method = if body.is_empty() { Method::GET } else { Method::POST };
    let body = Bytes::from(body);
    let request = || {
        let mut request = Request::new(Full::new(body.clone()));
        *request.method_mut() = method.clone();
        *request.uri_mut() = path.parse().unwrap();
        if !body.is_empty() {
            request.headers_mut().insert(header::CONTENT_TYPE, content_type.parse().unwrap());
        }
        request
    };
    drop(app.call(request()).now_or_never());
    (app, request())
}

type Bounded = BulkheadService<ServiceFn<fn(Request<()>) -> Handled>>;
/// An answer that holds something until its body has ended.
type Holding<T> = Option<Result<Response<ResponseBody<ObservedBody<Body, T>>>, Infallible>>;

/// A handler behind a bulkhead of so many places that has answered before, and a request for it.
fn bounded(bulkhead: Bulkhead) -> (Bounded, Request<()>) {
    let mut app = bulkhead.build().unwrap().layer(service_fn(handler as fn(Request<()>) -> Handled));
    let request = || Request::get("/").body(()).unwrap();
    drop(app.call(request()).now_or_never());
    (app, request())
}

#[library_benchmark]
#[bench::in_all(bounded(Bulkhead::new(100)))]
#[bench::by_key(bounded(Bulkhead::new(100).per_key(GlobalKey, 50)))]
fn bulkhead((mut app, request): (Bounded, Request<()>)) -> (Bounded, Holding<Held>) {
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

type Shedding = LoadShedService<ServiceFn<fn(Request<()>) -> Handled>>;

/// A handler behind load shedding that has answered before, and a request for it.
fn shedding(shed: LoadShed) -> (Shedding, Request<()>) {
    let mut app = shed.build().unwrap().layer(service_fn(handler as fn(Request<()>) -> Handled));
    let request = || Request::get("/").body(()).unwrap();
    drop(app.call(request()).now_or_never());
    (app, request())
}

type Timed = DeadlineService<ServiceFn<fn(Request<()>) -> Handled>>;

/// A handler within a deadline that has answered before, and a request for it.
fn timed() -> (Timed, Request<()>) {
    let layer = Deadlines::new().build().unwrap();
    let mut app = layer.layer(service_fn(handler as fn(Request<()>) -> Handled));
    let request = || Request::get("/").header("grpc-timeout", "10S").body(()).unwrap();
    drop(app.call(request()).now_or_never());
    (app, request())
}

fn json(path: &str, body: impl Into<Vec<u8>>) -> (Validated, Request<Full<Bytes>>) {
    validated(&described(), path, "application/json", body.into())
}

/// One that is decoded first.
fn gzipped(body: &[u8]) -> (Validated, Request<Full<Bytes>>) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, body).unwrap();
    let (mut app, mut request) = json("/v1/walked", encoder.finish().unwrap());
    request.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    drop(app.call(request.clone()).now_or_never());
    (app, request)
}

/// A form with a file of so many bytes, none of which ends a line.
fn form(bytes: usize) -> (Validated, Request<Full<Bytes>>) {
    let mut body = b"--b\r\ncontent-disposition: form-data; name=\"a\"; filename=\"x\"\r\n\r\n".to_vec();
    body.resize(body.len() + bytes, b'x');
    body.extend_from_slice(b"\r\n--b--\r\n");
    validated(&described(), "/v1/form", "multipart/form-data; boundary=b", body)
}

fn hostile(layer: &ValidateLayer, path: &str, body: String) -> (Validated, Request<Full<Bytes>>) {
    validated(layer, path, "application/json", body.into_bytes())
}

fn members(count: usize) -> String {
    let names: Vec<_> = (0..count).map(|at| format!("\"{at:08}\":0")).collect();
    format!("{{{}}}", names.join(","))
}

#[library_benchmark]
#[bench::get(validated(&described(), "/v1/polls/7?limit=20", "", Vec::new()))]
#[bench::upload(validated(&described(), "/v1/upload", "image/png", vec![0; 1024]))]
#[bench::form_1k(form(1024))]
#[bench::form_64k(form(64 << 10))]
#[bench::walked(json("/v1/walked", POLL))]
#[bench::schema(json("/v1/polls", POLL))]
#[bench::gzip(gzipped(POLL.as_bytes()))]
#[bench::gzip_bomb(gzipped(&vec![b' '; 4 * MEGABYTE]))]
#[bench::deep(hostile(&described(), "/v1/walked", "[".repeat(MEGABYTE)))]
#[bench::deep_beside(hostile(&lavish(), "/v1/walked", format!("[{}0]", format!("{}{},", "[".repeat(200), "]".repeat(200)).repeat(2600))))]
#[bench::many_items(hostile(&described(), "/v1/walked", format!("[{}0]", "0,".repeat(MEGABYTE / 2))))]
#[bench::many_members(hostile(&lavish(), "/v1/walked", members(80_000)))]
#[bench::member_twice(hostile(&lavish(), "/v1/walked", members(80_000).replace("00079999", "00000000")))]
#[bench::long_number(hostile(&lavish(), "/v1/walked", "9".repeat(MEGABYTE)))]
#[bench::long_fraction(hostile(&lavish(), "/v1/walked", format!("0.{}", "9".repeat(MEGABYTE))))]
#[bench::long_string(hostile(&described(), "/v1/walked", format!("\"{}\"", "x".repeat(MEGABYTE))))]
#[bench::escapes(hostile(&lavish(), "/v1/walked", format!("\"{}\"", "\\u0041".repeat(MEGABYTE / 6))))]
#[bench::bad_items(hostile(&lavish(), "/v1/lists", format!("[{}0]", "0,".repeat(100_000))))]
#[bench::regex_bomb(hostile(&lavish(), "/v1/lists", format!("[\"{}!\"]", "a".repeat(MEGABYTE))))]
fn validate((mut app, request): (Validated, Request<Full<Bytes>>)) -> (Validated, Answer) {
    let answer = black_box(&mut app).call(request).now_or_never();
    (app, answer)
}

type Upstream = fn(Request<ReplayBody<Body>>) -> Handled;

fn upstream(_: Request<ReplayBody<Body>>) -> Handled {
    ready(Ok(Response::new(Body::default())))
}

type Repeated = RetryService<ServiceFn<Upstream>>;
type Peeked = Option<Result<Response<PeekedBody<Body>>, Infallible>>;

/// A client that has called before, and a request for it.
fn repeated(body: &'static [u8]) -> (Repeated, Request<Body>) {
    let layer = RetryLayer::new(Retries::new().build().unwrap());
    let mut client = layer.layer(service_fn(upstream as Upstream));
    let request = || Request::put("http://upstream/").body(Full::new(Bytes::from_static(body))).unwrap();
    drop(client.call(request()).now_or_never());
    (client, request())
}

#[library_benchmark]
#[bench::by_grpc_timeout(timed())]
fn deadline((mut app, request): (Timed, Request<()>)) -> (Timed, Answer) {
    let answer = black_box(&mut app).call(request).now_or_never();
    (app, answer)
}

#[library_benchmark]
#[bench::without_body(repeated(b""))]
#[bench::with_body(repeated(b"hello"))]
fn retry((mut client, request): (Repeated, Request<Body>)) -> (Repeated, Peeked) {
    let answer = black_box(&mut client).call(request).now_or_never();
    (client, answer)
}

#[library_benchmark]
#[bench::gradient2(shedding(LoadShed::gradient2()))]
#[bench::gradient2_spares_a_path(shedding(LoadShed::gradient2().never_shed(["/healthz"])))]
#[bench::aimd(shedding(LoadShed::aimd(Duration::from_secs(1))))]
fn load_shed((mut app, request): (Shedding, Request<()>)) -> (Shedding, Holding<InFlight>) {
    let answer = black_box(&mut app).call(request).now_or_never();
    (app, answer)
}

library_benchmark_group!(
    name = layers,
    benchmarks = [bulkhead, circuit_breaker, deadline, load_shed, retry, security_headers, rate_limit, cache, validate]
);

main!(
    // An allocation counts when the benchmark is among its callers, of which valgrind looks at twelve unless told.
    config = LibraryBenchmarkConfig::default().tool(Dhat::with_args(["--num-callers=200"])),
    library_benchmark_groups = layers
);
