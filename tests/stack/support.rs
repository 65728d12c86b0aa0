//! What the tests share.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, Full};
use tower::{Service, ServiceExt as _};
use tower_rampart::auth::{ApiKey, ApiKeys, Auth, AuthLayer};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::key::{GlobalKey, PeerAddr};
use tower_rampart::rate_limit::{Policy, Quota, QuotaBuilder, RateLimit, RateLimitLayer};

/// `X-API-Key` of the one client there is, whose secret is `secret`.
pub(crate) const KEY: &str = "batch.secret";

pub(crate) fn auth() -> AuthLayer {
    let key = ApiKey::new("batch", "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b").unwrap();
    Auth::new().api_keys(ApiKeys::new([key]).unwrap()).build().unwrap()
}

/// Nobody may do anything but GET `/open`.
pub(crate) fn authz() -> AuthzLayer {
    AuthzLayer::new(PolicyTable::builder().add_rule(Rule::allow("open", "/open")).build().unwrap())
}

/// So many requests an hour, whoever sends them.
pub(crate) fn limit(name: &'static str, requests: u32) -> RateLimitLayer {
    RateLimit::new().add_policy(Policy::new(name, per_hour(requests)).key(GlobalKey)).build().unwrap()
}

pub(crate) fn per_hour(requests: u32) -> QuotaBuilder {
    Quota::new(requests).per(Duration::from_secs(3600))
}

pub(crate) fn request(path: &str) -> http::request::Builder {
    Request::get(path).extension(PeerAddr::new(([192, 0, 2, 1], 4711).into()))
}

pub(crate) async fn hello<B>(_: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello")))
}

/// The answer of a service, and its body.
pub(crate) async fn ask<S, B>(service: &S, request: Request<Full<Bytes>>) -> Response<Bytes>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes>,
    B::Error: std::fmt::Debug,
{
    let response = service.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, body.collect().await.unwrap().to_bytes())
}
