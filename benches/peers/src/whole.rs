//! Six layers of ours in one [`Stack`], and the equivalent six of others in one `ServiceBuilder`, around the same axum router.
//!
//! Outermost first: twelve security headers, load shedding, a timeout, a limit by address with its fields, RS256 tokens, and a
//! bound on bodies, which is validation here. Where an answer comes out of a cache, that stands where the timeout did. The
//! tests in `tests/behaviour/whole.rs` say in what both answer alike, and in what not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::error_handling::HandleErrorLayer;
use axum::extract::ConnectInfo;
use axum::routing::get;
use axum::{BoxError, Router};
use axum_response_cache::CacheLayer;
use http::{Request, StatusCode, header};
use tokio::runtime::{Builder, Runtime};
use tower::ServiceBuilder;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::load_shed::LoadShedLayer;
use tower_governor::GovernorLayer;
use tower_governor::governor::GovernorConfigBuilder;
use tower_governor::key_extractor::PeerIpKeyExtractor;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::timeout::TimeoutLayer;
use tower_rampart::cache::Cache;
use tower_rampart::deadline::Deadlines;
use tower_rampart::key::PeerAddr;
use tower_rampart::load_shed::LoadShed;
use tower_rampart::rate_limit::{HeaderStyle, Quota, RateLimit};
use tower_rampart::stack::Stack;
use tower_rampart::validate::{Limits, Validate};

use crate::headers::{TWELVE, axum_helmet, rampart as our_headers};
use crate::stack::jobs_of;
use crate::tokens::{SIGNED, rampart_layer, tower_oauth2_server};
use crate::{Jobs, stay_in};

/// Timers are set, and never fire.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_time().build().expect("a runtime"));

const HOUR: Duration = Duration::from_secs(3600);
const TIMEOUT: Duration = Duration::from_secs(30);
/// Requests in flight.
const PLACES: usize = 100;
/// What a body may have.
pub const BODY_BYTES: usize = 32 << 10;
/// More than any measurement asks for.
pub const PLENTY: u32 = 10_000_000;

/// How the six are set.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// Requests of one client within an hour.
    pub quota: u32,
    /// How many tokens ours remembers; theirs checks each anew.
    pub known_tokens: usize,
    /// Whether a cache stands where the timeout would.
    pub cache: bool,
}

impl Setup {
    pub const USUAL: Self = Self { quota: PLENTY, known_tokens: 100, cache: false };
}

/// A JSON API's one route: a kibibyte that may be stored. It counts its calls.
pub fn bare(calls: &Arc<AtomicUsize>) -> Router {
    static BODY: LazyLock<String> = LazyLock::new(|| format!("{{\"question\":\"{}\"}}", "q".repeat(1009)));
    let calls = Arc::clone(calls);
    let handler = move || {
        calls.fetch_add(1, Ordering::Relaxed);
        let fields = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=600")];
        async move { (fields, BODY.as_str()) }
    };
    Router::new().route("/v1/polls", get(handler).post(|| async { StatusCode::CREATED }))
}

/// Ours.
pub fn ours(setup: Setup, calls: &Arc<AtomicUsize>) -> Option<Router> {
    let shed = LoadShed::gradient2().initial_limit(PLACES).max_limit(PLACES).build().ok()?;
    let limit = RateLimit::per_client_ip(Quota::new(setup.quota).per(HOUR)).headers(HeaderStyle::Ietf).build().ok()?;
    let stack = Stack::new()
        .security_headers(our_headers::layer(&TWELVE))
        .load_shed(shed)
        .rate_limit_by_address(limit)
        .auth(rampart_layer(setup.known_tokens)?)
        .validate(Validate::new().limits(Limits::new().body_bytes(BODY_BYTES)).build().ok()?);
    Some(if setup.cache {
        bare(calls).layer(stack.cache(Cache::builder().build().ok()?.layer()).build().ok()?)
    } else {
        bare(calls).layer(stack.deadline(Deadlines::new().max_time(TIMEOUT).build().ok()?).build().ok()?)
    })
}

/// Theirs. tower's shedding is an error, which axum wants handled; tower_governor answers with axum's bodies alone, so that
/// what tower-http's limit makes of them is turned back.
pub fn theirs(setup: Setup, calls: &Arc<AtomicUsize>) -> Option<Router> {
    let limit = GovernorConfigBuilder::default()
        .key_extractor(PeerIpKeyExtractor)
        .period(HOUR / setup.quota)
        .burst_size(setup.quota)
        .use_headers()
        .finish()?;
    let outer = ServiceBuilder::new()
        .layer(axum_helmet::layer(&TWELVE))
        .layer(HandleErrorLayer::new(|_: BoxError| async { StatusCode::SERVICE_UNAVAILABLE }))
        .layer(LoadShedLayer::new())
        .layer(GlobalConcurrencyLimitLayer::new(PLACES));
    let inner =
        ServiceBuilder::new().layer(GovernorLayer::new(limit)).layer(tower_oauth2_server()?.into_layer::<Body>());
    let body =
        ServiceBuilder::new().layer(MapResponseBodyLayer::new(Body::new)).layer(RequestBodyLimitLayer::new(BODY_BYTES));
    Some(if setup.cache {
        let cache = CacheLayer::with_lifespan(Duration::from_secs(600));
        bare(calls).layer(outer.layer(inner).layer(cache).layer(body))
    } else {
        let timeout = TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, TIMEOUT);
        bare(calls).layer(outer.layer(timeout).layer(inner).layer(body))
    })
}

/// A request as a server hands it on, with the peer's address for both.
pub fn request(token: Option<&str>) -> Request<Body> {
    let peer = SocketAddr::from(([192, 0, 2, 1], 4711));
    let mut request = Request::get("/v1/polls?limit=10")
        .header("host", "polls.example")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip, br")
        .header("user-agent", "Mozilla/5.0");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request = request.extension(ConnectInfo(peer)).extension(PeerAddr::new(peer));
    request.body(Body::empty()).unwrap_or_default()
}

type Make = fn(Setup, &Arc<AtomicUsize>) -> Option<Router>;

fn jobs(make: Make, setup: Setup, status: u16, token: Option<&'static str>) -> Jobs {
    stay_in(&RUNTIME);
    let Some(router) = make(setup, &Arc::default()) else { panic!("a router cannot be made") };
    jobs_of(router, status, move || request(token))
}

/// No layer.
pub fn no_layer() -> Jobs {
    jobs(|_, calls| Some(bare(calls)), Setup::USUAL, 200, Some(&SIGNED.rs256))
}

/// A request that reaches the handler.
pub fn admitted(make: Make) -> Jobs {
    jobs(make, Setup::USUAL, 200, Some(&SIGNED.rs256))
}

/// The same with a token that nobody has seen before.
pub fn admitted_anew(make: Make) -> Jobs {
    jobs(make, Setup { known_tokens: 0, ..Setup::USUAL }, 200, Some(&SIGNED.rs256))
}

/// One that the cache answers.
pub fn cached(make: Make) -> Jobs {
    jobs(make, Setup { cache: true, ..Setup::USUAL }, 200, Some(&SIGNED.rs256))
}

/// One without a token.
pub fn unknown(make: Make) -> Jobs {
    jobs(make, Setup::USUAL, 401, None)
}

/// One that is over its quota.
pub fn over_quota(make: Make) -> Jobs {
    jobs(make, Setup { quota: 1, ..Setup::USUAL }, 429, Some(&SIGNED.rs256))
}
