//! Six layers on an axum router: each by a `layer` call of its own, all in one stack, and all in a `ServiceBuilder`.
//!
//! The layers are the same, and so is what the client gets.

use std::net::SocketAddr;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, Response};
use tower::layer::util::{Identity, Stack as Both};
use tower::{Service, ServiceBuilder};
use tower_rampart::auth::{ApiKeys, Auth, AuthLayer};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::deadline::{DeadlineLayer, Deadlines};
use tower_rampart::key::{ClientIp, PeerAddr};
use tower_rampart::load_shed::{LoadShed, LoadShedLayer};
use tower_rampart::rate_limit::{HeaderStyle, Policy, Quota, RateLimit, RateLimitLayer};
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::{ReloadableLayer, Stack, StackLayer};
use tower_rampart::{Clock, ConfigError};

/// The six as one: nothing of the places that stay empty.
type Layers = StackLayer<
    Both<
        Both<Both<Both<Both<Both<Identity, AuthzLayer>, AuthLayer>, RateLimitLayer>, DeadlineLayer>, LoadShedLayer>,
        SecurityHeadersLayer,
    >,
>;

/// The six, outermost first.
struct Six {
    headers: SecurityHeadersLayer,
    load_shed: LoadShedLayer,
    deadline: DeadlineLayer,
    limit: RateLimitLayer,
    auth: AuthLayer,
    authz: AuthzLayer,
}

impl Six {
    fn new() -> Result<Self, ConfigError> {
        // Time stands still, so that no sample ends a window.
        let (clock, _) = Clock::manual();
        let quota = Quota::new(1_000_000).per(Duration::from_secs(3600));
        let policy = Policy::new("strangers", quota).key(ClientIp::new());
        Ok(Self {
            headers: SecurityHeadersLayer::api(),
            load_shed: LoadShed::gradient2().with_clock(clock).build()?,
            // A maximum would be a timer, which needs a runtime, and costs the same however it stands.
            deadline: Deadlines::new().max_time(None).build()?,
            limit: RateLimit::new().add_policy(policy).headers(HeaderStyle::None).build()?,
            auth: Auth::new().api_keys(ApiKeys::default()).optional(true).build()?,
            authz: AuthzLayer::new(PolicyTable::builder().add_rule(Rule::public("all", "/v1/polls")).build()?),
        })
    }
}

fn bare_router() -> Router {
    Router::new().route("/v1/polls", get(|| async { "hello" }))
}

/// No layer.
///
/// # Errors
///
/// None.
pub fn bare() -> Result<Router, ConfigError> {
    Ok(bare_router())
}

/// Each by a call of its own. The last one is the outermost.
///
/// # Errors
///
/// None.
pub fn six_calls() -> Result<Router, ConfigError> {
    let Six { headers, load_shed, deadline, limit, auth, authz } = Six::new()?;
    Ok(bare_router().layer(authz).layer(auth).layer(limit).layer(deadline).layer(load_shed).layer(headers))
}

/// All in one `ServiceBuilder`, in whatever order it is told.
///
/// # Errors
///
/// None.
pub fn service_builder() -> Result<Router, ConfigError> {
    let Six { headers, load_shed, deadline, limit, auth, authz } = Six::new()?;
    let layers = ServiceBuilder::new().layer(headers).layer(load_shed).layer(deadline).layer(limit);
    Ok(bare_router().layer(layers.layer(auth).layer(authz)))
}

/// All in one stack.
///
/// # Errors
///
/// None.
pub fn one_stack() -> Result<Router, ConfigError> {
    Ok(bare_router().layer(stack()?))
}

/// The same, to be exchanged while it runs.
///
/// # Errors
///
/// None.
pub fn reloadable() -> Result<Router, ConfigError> {
    Ok(bare_router().layer(ReloadableLayer::new(stack()?)))
}

/// The same, after it was exchanged: the router's own copy is never called, and each request learns of it anew.
///
/// # Errors
///
/// None.
pub fn exchanged() -> Result<Router, ConfigError> {
    let layer = ReloadableLayer::new(stack()?);
    let handle = layer.handle();
    let router = bare_router().layer(layer);
    handle.replace(stack()?);
    Ok(router)
}

fn stack() -> Result<Layers, ConfigError> {
    let Six { headers, load_shed, deadline, limit, auth, authz } = Six::new()?;
    let stack = Stack::new().authz(authz).auth(auth).rate_limit_by_address(limit);
    stack.deadline(deadline).load_shed(load_shed).security_headers(headers).build()
}

/// One request through a router that has answered before.
#[derive(Debug)]
pub struct Job {
    router: Router,
    request: Option<Request<Body>>,
    response: Option<Response<Body>>,
}

/// Prepares one.
///
/// # Errors
///
/// None.
pub fn job(make: fn() -> Result<Router, ConfigError>) -> Result<Job, ConfigError> {
    let mut job = Job { router: make()?, request: Some(request()), response: None };
    job.run();
    job.response = None;
    job.request = Some(request());
    Ok(job)
}

fn request() -> Request<Body> {
    let mut request = Request::get("/v1/polls").body(Body::empty()).unwrap_or_default();
    request.extensions_mut().insert(PeerAddr::new(SocketAddr::from(([192, 0, 2, 1], 4711))));
    request
}

impl Job {
    /// Passes the request through, as a server does: by a clone of the router.
    pub fn run(&mut self) {
        let Some(request) = self.request.take() else { return };
        let mut cx = Context::from_waker(Waker::noop());
        let mut router = self.router.clone();
        if let Poll::Ready(Ok(response)) = pin!(router.call(request)).poll(&mut cx) {
            self.response = Some(response);
        }
    }

    /// The status, and how many fields there are.
    pub fn answer(&self) -> Option<(u16, usize)> {
        self.response.as_ref().map(|response| (response.status().as_u16(), response.headers().len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_answer_alike() {
        let answer = |make: fn() -> Result<Router, ConfigError>| {
            let mut job = job(make).unwrap();
            job.run();
            job.answer()
        };
        assert_eq!(answer(bare).map(|(status, _)| status), Some(200));
        let layered = answer(one_stack);
        assert!(layered > answer(bare), "{layered:?}");
        assert_eq!([six_calls, service_builder, reloadable, exchanged].map(answer), [layered; 4]);
    }
}
