//! The layers, around everything that is routed. A configuration makes one of these; a reload makes another.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_rampart::auth::{Algorithm, Auth, AuthLayer, Issuer, JwtVerifier, KeySet};
use tower_rampart::authz::AuthzLayer;
use tower_rampart::cache::{Cache, CacheLayer};
use tower_rampart::config::{CacheConfig, CacheStoreConfig, RateLimitConfig, RateLimitStoreConfig};
use tower_rampart::deadline::DeadlineLayer;
use tower_rampart::key::ClientIp;
use tower_rampart::load_shed::{LoadShedHandle, LoadShedLayer};
use tower_rampart::rate_limit::{RateLimitHandle, ThrottleLayer};
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::validate::{OpenApi, ValidateLayer};
use tower_rampart::{ConfigError, Refuser, ResponseBody, stack};

use crate::app::App;
use crate::config::Config;
use crate::fault::Fault;
use crate::http::{description, refusals, router};
use crate::people::{AUDIENCE, ISSUER, Session};
use crate::shown;
use crate::upstream::Upstream;

type Service = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// See the module.
pub struct Stack {
    service: Service,
    limits: [RateLimitHandle; 3],
    cache: Option<Cache>,
    cache_tables: CacheTables,
    load_shed: Option<LoadShedHandle>,
    upstream: Option<Upstream>,
    client_ip: ClientIp,
    layers: Layers,
}

/// What stands in the stack, outermost first.
struct Layers {
    places: Vec<&'static str>,
    description: String,
}

impl Stack {
    /// Layers that begin anew, or go on with the counts and the stored answers of those that run.
    pub fn new(config: &Config, app: &Arc<App>, running: Option<&Self>) -> Result<Self, ConfigError> {
        let client_ip = config.client_ip.to_client_ip();
        let headers = match &config.security_headers {
            Some(table) => table.to_layer(&client_ip)?,
            None => SecurityHeadersLayer::empty(),
        };
        let (outside, inside) = config.rate_limit.split_by_identity();
        // One connection for all.
        let counts = config.rate_limit_store.as_ref().map(RateLimitStoreConfig::to_counts).transpose()?;
        let limit = |tables: &RateLimitConfig| match &counts {
            Some(counts) => tables.to_shared_layer(&client_ip, counts.clone()),
            None => tables.to_layer(&client_ip),
        };
        let limiters = [limit(&outside)?, limit(&inside)?, limit(&config.login_failures)?];
        let auth = if config.has_auth { authentication(app)? } else { AuthLayer::empty() };
        let authz = match &config.authz {
            Some(table) => table.to_layer()?.challenge(auth.challenge()).client_ip(client_ip.clone()),
            None => AuthzLayer::empty(),
        };
        let validate = match &config.validate {
            // What is published is what is checked, so that the two cannot differ. What the description does not describe,
            // the page and gRPC, passes.
            Some(table) => {
                let api = OpenApi::from_json(description())?.bound_security([TOKEN_SCHEME]);
                let builder = table.to_builder_behind_auth(&config.base)?.add_openapi(api);
                builder.build().map_err(|error| under("validate", error))?
            }
            None => ValidateLayer::empty(),
        };
        let tables = (config.cache.clone(), config.cache_store.clone());
        let cache = match running.filter(|running| running.cache_tables == tables) {
            Some(running) => running.cache.clone(),
            None => cache(&tables)?,
        };
        let caching = cache.as_ref().map_or_else(CacheLayer::empty, Cache::layer);
        let load_shed = match &config.load_shed {
            Some(table) => table.to_layer()?,
            None => LoadShedLayer::empty(),
        };
        let deadline = match &config.timeouts {
            Some(table) => table.to_deadline_layer()?,
            None => DeadlineLayer::empty(),
        };
        let upstream =
            app.upstream.clone().map(|address| Upstream::new(address, config, running.and_then(Self::upstream)));
        let upstream = upstream.transpose()?;
        let panics = CatchPanicLayer::custom(caught);
        let build = |strangers: ThrottleLayer, callers: ThrottleLayer, load_shed: LoadShedLayer| {
            stack::Stack::new()
                // What panics in a layer. What panics in a handler is answered further in, with all that answers have.
                .catch_panic(panics)
                .security_headers(headers.clone())
                .load_shed(load_shed)
                .deadline(deadline.clone())
                .rate_limit_by_address(strangers)
                .auth(auth.clone())
                .rate_limit_by_identity(callers)
                .authz(authz.clone())
                .validate(validate.clone())
                .cache(caching.clone())
                .compression(CompressionLayer::new())
                .build()
        };
        // What goes on with running counts changes them: first it must be known that nothing is wrong.
        let [strangers, callers, _] = limiters.clone();
        let _ = build(strangers, callers, load_shed.clone())?;
        let [strangers, callers, logins] = limits(limiters, running);
        let handles = [strangers.handle(), callers.handle(), logins.handle()];
        let shed_before = running.and_then(|running| running.load_shed.as_ref());
        let load_shed = shed_before.iter().fold(load_shed, |layer, running| layer.adopt_limit(running));
        let shed = config.load_shed.as_ref().map(|_| load_shed.handle());
        let layer = build(strangers, callers, load_shed)?;

        let refuser = Refuser::new();
        let refusing = move |request, next| refusals(refuser.clone(), request, next);
        let router = router(app, logins).layer(axum::middleware::from_fn(refusing)).layer(panics);
        let service = layer.layer(router);
        let service = service.map_request(mark).map_response(|response: Response<_>| response.map(Body::new));
        Ok(Self {
            service: BoxCloneSyncService::new(service),
            limits: handles,
            cache,
            cache_tables: tables,
            load_shed: shed,
            client_ip,
            upstream,
            layers: Layers { places: layer.places(), description: layer.describe() },
        })
    }

    pub async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        self.service.clone().oneshot(request).await
    }

    pub const fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }

    /// Whose word counts for where a request comes from.
    pub const fn client_ip(&self) -> &ClientIp {
        &self.client_ip
    }

    /// The external service, behind its layers.
    pub const fn upstream(&self) -> Option<&Upstream> {
        self.upstream.as_ref()
    }

    /// The layers that are there, from the outermost in.
    pub fn order(&self) -> String {
        let places = self.layers.places.iter().copied();
        std::iter::once("request id").chain(places).chain(["router"]).collect::<Vec<_>>().join(" > ")
    }

    /// How they are doing.
    pub fn describe(&self) -> Value {
        let mut state = Map::from_iter([
            ("cache".to_owned(), json!(self.cache.as_ref().map(shown::cache))),
            ("load_shed".to_owned(), json!(self.load_shed.as_ref().map(shown::load_shed))),
            ("rate_limit".to_owned(), shown::rate_limits(self.limits.iter().cloned())),
            ("layers".to_owned(), json!(self.layers.description.lines().collect::<Vec<_>>())),
        ]);
        let upstream = self.upstream.iter().flat_map(Upstream::describe);
        state.extend(upstream.map(|(name, described)| (name.to_owned(), described)));
        Value::Object(state)
    }
}

/// `[cache]`, and `[cache_store]`.
type CacheTables = (Option<CacheConfig>, Option<CacheStoreConfig>);

fn cache((table, store): &CacheTables) -> Result<Option<Cache>, ConfigError> {
    let Some(table) = table else { return Ok(None) };
    let builder = match store {
        Some(store) => store.add_to(table.to_builder())?,
        None => table.to_builder(),
    };
    builder.build().map(Some).map_err(|error| under("cache", error))
}

/// What a layer finds, by the table that it is made of.
fn under(table: &str, error: ConfigError) -> ConfigError {
    let setting = format!("{table}.{}", error.setting());
    error.for_setting(setting)
}

/// A policy may have moved from one place to another, by a key that asks for the caller.
fn limits(layers: [ThrottleLayer; 3], running: Option<&Stack>) -> [ThrottleLayer; 3] {
    let handles = running.map_or(&[][..], |running| &running.limits[..]);
    layers.map(|layer| handles.iter().fold(layer, ThrottleLayer::adopt_counts))
}

/// Tokens of this service, by the keys that it publishes. Who may come in unknown is the policy's affair.
fn authentication(app: &App) -> Result<AuthLayer, ConfigError> {
    let issuer = Issuer::new(ISSUER)
        .audience(AUDIENCE)
        .algorithms([Algorithm::EdDsa])
        // Its clock is ours.
        .leeway(std::time::Duration::from_secs(1))
        .keys(KeySet::from_jwks(app.people.keys().jwks().as_bytes())?);
    let verifier = JwtVerifier::new([issuer])?.with_claims::<Session>().revocation(app.people.revoked());
    Auth::new().jwt(verifier).optional(true).build()
}

/// The description's name for what the authentication layer checks.
const TOKEN_SCHEME: &str = "token";

const READ: HeaderName = HeaderName::from_static("x-poll-read");
const WRITE: HeaderName = HeaderName::from_static("x-poll-write");
/// Written where the name has been read.
const LOGIN: HeaderName = HeaderName::from_static("x-poll-login");

/// Tells limits whether a request reads or writes. What a client says of it, or of who logs in, does not count.
fn mark(mut request: Request<Incoming>) -> Request<Incoming> {
    let reads = match *request.method() {
        Method::GET | Method::HEAD => true,
        // Calls of gRPC are all POST.
        Method::POST => matches!(
            request.uri().path(),
            "/poll.v1.Polls/GetPoll" | "/poll.v1.Polls/GetResults" | "/poll.v1.Polls/WatchResults"
        ),
        _ => false,
    };
    let headers = request.headers_mut();
    let (there, away) = if reads { (READ, WRITE) } else { (WRITE, READ) };
    headers.remove(away);
    headers.remove(LOGIN);
    headers.insert(there, HeaderValue::from_static("1"));
    request
}

/// A handler that panicked: logged, and told as any fault of ours.
fn caught(panic: Box<dyn std::any::Any + Send>) -> Response<ResponseBody<Body>> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text.unwrap_or("of no text"), "a handler panicked");
    let facts = tower_rampart::RequestFacts::of(tower_rampart::RequestView::of(&Request::new(())));
    Refuser::new().refuse(Fault::Internal.to_rejection(), &facts)
}
