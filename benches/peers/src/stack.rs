//! Six layers on an axum router: each by a `layer` call of its own, all in one stack, and all in a `ServiceBuilder`.
//!
//! The layers are the same, and so is what the client gets.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, header};
use http_body::Body as _;
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

use crate::{Job, Jobs, Run};

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

struct Prepared {
    router: Router,
    request: Option<Request<Body>>,
    answer: Option<(u16, usize)>,
}

impl Run for Prepared {
    /// As a server does it: by a clone of the router, to the end of the body.
    fn run(&mut self) {
        let Some(request) = self.request.take() else { return };
        let mut cx = Context::from_waker(Waker::noop());
        let mut router = self.router.clone();
        let Poll::Ready(Ok(response)) = pin!(router.call(request)).poll(&mut cx) else { return };
        self.answer = Some((response.status().as_u16(), response.headers().len()));
        let mut body = response.into_body();
        while let Poll::Ready(Some(Ok(_))) = Pin::new(&mut body).poll_frame(&mut cx) {}
    }

    fn fields(&self) -> usize {
        self.answer.map_or(0, |(_, fields)| fields)
    }
}

/// What layers do for their first requests alone, they have done: ours look for misconfigurations in a thousand.
const STRANGERS: usize = 1100;

/// Jobs of a router that has answered before: many strangers, and this request.
pub(crate) fn jobs_of(router: Router, status: u16, request: impl Fn() -> Request<Body> + 'static) -> Jobs {
    let job = move |request| Prepared { router: router.clone(), request: Some(request), answer: None };
    for _ in 0..STRANGERS {
        let mut stranger = request();
        stranger.headers_mut().remove(header::AUTHORIZATION);
        job(stranger).run();
    }
    // Once to make what is made once, and once to see what is measured.
    job(request()).run();
    let mut measured = job(request());
    measured.run();
    assert_eq!(measured.answer.map(|(status, _)| status), Some(status), "a router answers otherwise");
    Box::new(move || -> Job { Box::new(job(request())) })
}

/// Jobs of one of these routers.
pub fn jobs(make: fn() -> Result<Router, ConfigError>) -> Jobs {
    let router = make().unwrap_or_else(|error| panic!("no router: {error}"));
    jobs_of(router, 200, request)
}

fn request() -> Request<Body> {
    let mut request = Request::get("/v1/polls").body(Body::empty()).unwrap_or_default();
    request.extensions_mut().insert(PeerAddr::new(SocketAddr::from(([192, 0, 2, 1], 4711))));
    request
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_answer_alike() {
        let fields = |make: fn() -> Result<Router, ConfigError>| {
            let mut job = jobs(make)();
            job.run();
            job.fields()
        };
        let layered = fields(one_stack);
        assert!(layered > fields(bare), "{layered:?}");
        assert_eq!([six_calls, service_builder, reloadable, exchanged].map(fields), [layered; 4]);
    }
}
