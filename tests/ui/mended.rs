//! The mistakes, mended: what compiles shows that the others fail for what they say, and for nothing else.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto, service::TowerToHyperService};
use tower::{Layer, service_fn};
use tower_rampart::auth::{ApiKeys, Auth, HttpClient};
use tower_rampart::authz::AuthzLayer;
use tower_rampart::cache::Cache;
use tower_rampart::circuit_breaker::{CircuitBreaker, ErrorsBy};
use tower_rampart::classify::Verdict;
use tower_rampart::key::{self, HeaderKey};
use tower_rampart::rate_limit::{MemoryStore, Policy, Quota, RateLimit, SharedCounts};
use tower_rampart::retry::{ReplayBody, Retries, RetryLayer};
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::{Authenticates, Stack};
use tower_rampart::validate::{CheckedBody, Validate};
use tower_rampart::ConfigError;

#[derive(Clone)]
struct SessionLayer;

impl Authenticates for SessionLayer {}

async fn page(_: Request<CheckedBody<Incoming>>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello".to_owned()))
}

async fn call(_: Request<ReplayBody<Body>>) -> Result<Response<Body>, tower::BoxError> {
    Ok(Response::new(Body::empty()))
}

fn layers() -> Result<(), ConfigError> {
    let quota = Quota::new(100).per(Duration::from_secs(60));
    let limit = RateLimit::per_client_ip(quota).build()?;
    let _app: Router = Router::new().route("/", get(|| async { "hello" })).layer(limit.clone());
    let _app: Router = Router::new().layer(CircuitBreaker::new("payments").build()?);
    let stack = Stack::new().rate_limit_by_address(limit).security_headers(SecurityHeadersLayer::web());
    let stack = stack.auth(Auth::new().api_keys(ApiKeys::default()).build()?).authz(AuthzLayer::empty());
    let _app: Router = Router::new().layer(stack.build()?);
    let _layer = Stack::new().authenticated_by(SessionLayer).build()?;
    let _policy = Policy::new("tenants", quota).key(HeaderKey::new(http::HeaderName::from_static("x-tenant")));
    let _policy = Policy::new("paths", quota).key(key::from_fn(|request, key| {
        key.part(request.uri().path().as_bytes());
        Ok(())
    }));
    let _counts = SharedCounts::new(MemoryStore::new());
    Ok(())
}

fn clients() -> Result<(), ConfigError> {
    let judge = ErrorsBy::new(|_: &tower::BoxError| Verdict::Failure);
    let breaker = CircuitBreaker::new("idp").classify_errors(judge).build()?;
    let retry = RetryLayer::new(Retries::new().build()?.boxed_errors());
    let _client = HttpClient::new(breaker.layer(retry.layer(service_fn(call))));
    Ok(())
}

fn servers() -> Result<(), ConfigError> {
    let service = Cache::builder().build()?.layer().layer(Validate::new().build()?.layer(service_fn(page)));
    let (_, stream) = tokio::io::duplex(1024);
    let server = auto::Builder::new(TokioExecutor::new());
    drop(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    Ok(())
}

fn main() {
    drop((layers(), clients(), servers()));
}
