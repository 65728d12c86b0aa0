//! Each two neighbours among the layers of this crate, by effect: which one a request meets first.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use tower::{Layer as _, service_fn};
use tower_rampart::cache::Cache;
use tower_rampart::deadline::Deadlines;
use tower_rampart::load_shed::LoadShed;
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::Stack;
use tower_rampart::validate::{Route, Validate, ValidateLayer};
use tower_rampart::{Identity, Rejection};

use crate::support::{KEY, ask, auth, authz, hello, limit, request};

/// Who refused.
fn origin(response: &Response<Bytes>) -> &'static str {
    response.extensions().get::<Rejection>().map_or("nobody", |rejection| rejection.origin().name())
}

fn get(path: &str) -> Request<Full<Bytes>> {
    request(path).body(Full::default()).unwrap()
}

fn get_as_batch(path: &str) -> Request<Full<Bytes>> {
    request(path).header("x-api-key", KEY).body(Full::default()).unwrap()
}

/// Sheds all but the first request in flight.
fn shed_all_but_one() -> tower_rampart::load_shed::LoadShedLayer {
    LoadShed::gradient2().min_limit(1).initial_limit(1).max_limit(1).build().unwrap()
}

/// Refuses what is no POST of JSON.
fn strict() -> ValidateLayer {
    Validate::new().add_route(Route::new(http::Method::POST, "/open").json()).build().unwrap()
}

/// Never answers.
async fn never<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    std::future::pending().await
}

#[tokio::test]
async fn security_headers_stand_outside_load_shed() {
    let layer =
        Stack::new().load_shed(shed_all_but_one()).security_headers(SecurityHeadersLayer::api()).build().unwrap();
    let service = layer.layer(service_fn(never));
    let mut first = Box::pin(ask(&service, get("/")));
    assert!((&mut first).now_or_never().is_none());
    let response = ask(&service, get("/")).await;
    assert_eq!((response.status(), origin(&response)), (StatusCode::SERVICE_UNAVAILABLE, "load_shed"));
    assert!(response.headers().contains_key(header::X_CONTENT_TYPE_OPTIONS));
}

#[tokio::test]
async fn load_shed_stands_outside_the_deadline() {
    let layer = Stack::new().deadline(Deadlines::new().build().unwrap()).load_shed(shed_all_but_one()).build().unwrap();
    let service = layer.layer(service_fn(never));
    let mut first = Box::pin(ask(&service, get("/")));
    assert!((&mut first).now_or_never().is_none());
    // A deadline that the deadline layer would refuse as malformed: it is not asked.
    let request = request("/").header("grpc-timeout", "soon").body(Full::default()).unwrap();
    assert_eq!(origin(&ask(&service, request).await), "load_shed");
}

#[tokio::test]
async fn the_deadline_stands_outside_the_limit_by_address() {
    let layer =
        Stack::new().rate_limit_by_address(limit("a", 1)).deadline(Deadlines::new().build().unwrap()).build().unwrap();
    let service = layer.layer(service_fn(hello));
    let request = request("/").header("grpc-timeout", "soon").body(Full::default()).unwrap();
    assert_eq!(origin(&ask(&service, request).await), "deadline");
    // The limiter has not counted it.
    assert_eq!(ask(&service, get("/")).await.status(), StatusCode::OK);
    assert_eq!(origin(&ask(&service, get("/")).await), "rate_limit");
}

#[tokio::test]
async fn the_limit_by_address_stands_outside_auth() {
    let layer = Stack::new().auth(auth()).rate_limit_by_address(limit("a", 1)).build().unwrap();
    let service = layer.layer(service_fn(hello));
    assert_eq!(origin(&ask(&service, get("/")).await), "auth");
    assert_eq!(origin(&ask(&service, get("/")).await), "rate_limit");
}

#[tokio::test]
async fn auth_stands_outside_the_limit_by_identity() {
    let layer = Stack::new().rate_limit_by_identity(limit("b", 1)).auth(auth()).build().unwrap();
    let service = layer.layer(service_fn(hello));
    // Strangers are not counted there.
    for _ in 0..3 {
        assert_eq!(origin(&ask(&service, get("/")).await), "auth");
    }
    assert_eq!(ask(&service, get_as_batch("/")).await.status(), StatusCode::OK);
    assert_eq!(origin(&ask(&service, get_as_batch("/")).await), "rate_limit");
}

#[tokio::test]
async fn the_limit_by_identity_stands_outside_authz() {
    let layer = Stack::new().authz(authz()).rate_limit_by_identity(limit("b", 1)).auth(auth()).build().unwrap();
    let service = layer.layer(service_fn(hello));
    assert_eq!(origin(&ask(&service, get_as_batch("/closed")).await), "authz");
    assert_eq!(origin(&ask(&service, get_as_batch("/closed")).await), "rate_limit");
}

#[tokio::test]
async fn authz_stands_outside_validation() {
    let layer = Stack::new().validate(strict()).authz(authz()).auth(auth()).build().unwrap();
    let service = layer.layer(service_fn(hello));
    let post = |path| {
        let request = Request::post(path).header("x-api-key", KEY).header(header::CONTENT_TYPE, "application/json");
        request.body(Full::from("{")).unwrap()
    };
    assert_eq!(origin(&ask(&service, post("/closed")).await), "authz");
    assert_eq!(origin(&ask(&service, post("/open")).await), "validate");
}

#[tokio::test]
async fn validation_stands_outside_the_cache() {
    let cache = Cache::builder().build().unwrap();
    let layer = Stack::new().cache(cache.layer()).validate(strict()).build().unwrap();
    let stored = service_fn(|_: Request<_>| async {
        let response = Response::builder().header(header::CACHE_CONTROL, "max-age=60");
        Ok::<_, Infallible>(response.body(Full::from("stored")).unwrap())
    });
    let service = layer.layer(stored);
    assert_eq!(ask(&service, get("/other")).await.status(), StatusCode::OK);
    assert_eq!(cache.stats().misses, 1);
    // The document knows no GET there, and the cache is not asked.
    let response = ask(&service, get("/open")).await;
    assert_eq!((response.status(), origin(&response)), (StatusCode::METHOD_NOT_ALLOWED, "validate"));
    assert_eq!(cache.stats().misses, 1);
}

#[tokio::test]
async fn the_cache_stands_inside_authz_and_knows_callers() {
    let cache = Cache::builder().private_per_subject(true).build().unwrap();
    let layer = Stack::new().cache(cache.layer()).authz(authz()).auth(auth()).build().unwrap();
    let by_caller = service_fn(|request: Request<_>| async move {
        let caller = request.extensions().get::<Identity>().map(|caller| caller.subject().to_owned());
        let response = Response::builder().header(header::CACHE_CONTROL, "private, max-age=60");
        Ok::<_, Infallible>(response.body(Full::from(caller.unwrap_or_default())).unwrap())
    });
    let service = layer.layer(by_caller);
    for hits in 0..2 {
        assert_eq!(ask(&service, get_as_batch("/open")).await.body(), "batch");
        assert_eq!(cache.stats().hits, hits);
    }
    // What is stored answers no stranger, and who may not is not looked up.
    let before = cache.stats();
    assert_eq!(origin(&ask(&service, get("/open")).await), "auth");
    assert_eq!(origin(&ask(&service, get_as_batch("/closed")).await), "authz");
    assert_eq!(cache.stats(), before);
}

#[tokio::test]
async fn a_deadline_covers_what_waits_further_in() {
    tokio::time::pause();
    let deadline = Deadlines::new().max_time(Duration::from_secs(5)).build().unwrap();
    let layer = Stack::new().deadline(deadline).build().unwrap();
    let response = ask(&layer.layer(service_fn(never)), get("/")).await;
    assert_eq!((response.status(), origin(&response)), (StatusCode::GATEWAY_TIMEOUT, "deadline"));
}
