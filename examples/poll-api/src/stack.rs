//! The layers, around everything that is routed. A configuration makes one of these; a reload makes another.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use serde_json::{Map, Value, json};
use tower::util::BoxCloneSyncService;
use tower::{Layer, ServiceExt as _};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_rampart::auth::{Algorithm, Auth, AuthLayer, Issuer, JwtVerifier, KeySet};
use tower_rampart::authz::AuthzLayer;
use tower_rampart::cache::{Cache, CacheLayer};
use tower_rampart::config::{CacheConfig, CacheStoreConfig, LoadShedConfig, RateLimitConfig, RateLimitStoreConfig};
use tower_rampart::deadline::DeadlineLayer;
use tower_rampart::key::ClientIp;
use tower_rampart::load_shed::{LoadShedHandle, LoadShedLayer};
use tower_rampart::rate_limit::{RateLimitHandle, ThrottleLayer};
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::validate::{OpenApi, ValidateLayer};
use tower_rampart::{ConfigError, Refuser, RequestFacts, RequestView, ResponseBody, stack};

use crate::app::App;
use crate::config::Config;
use crate::fault::Fault;
use crate::http::{description, router, told};
use crate::marks::mark;
use crate::people::{AUDIENCE, ISSUER, SessionClaims};
use crate::upstream::Upstream;
use crate::{gauges, shown};

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
        let Counting { limiters, load_shed } = Counting::of(config, &client_ip)?;
        let Judging { headers, deadline, auth, authz, validate } = Judging::of(config, app, &client_ip)?;
        let tables = (config.cache.clone(), config.cache_store.clone());
        let cache = match running.filter(|running| running.cache_tables == tables) {
            Some(running) => running.cache.clone(),
            None => cache(&tables)?,
        };
        let caching = cache.as_ref().map_or_else(CacheLayer::empty, Cache::layer);
        let upstream =
            app.upstream.clone().map(|address| Upstream::new(address, config, running.and_then(Self::upstream)));
        let upstream = upstream.transpose()?;
        let refuser = app.refuser.clone();
        let panics = CatchPanicLayer::custom(move |panic: Box<dyn Any + Send>| caught(&refuser, &*panic));
        let build = |strangers: ThrottleLayer, callers: ThrottleLayer, load_shed: LoadShedLayer| {
            stack::Stack::new()
                // What panics in a layer. What panics in a handler is answered further in, with all that answers have.
                .catch_panic(panics.clone())
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

        let service = layer.layer(told(router(app, logins), app.refuser.clone()));
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

    /// Sets the metrics that are shown as they are, for whoever is about to read them.
    pub fn set_gauges(&self) {
        if let Some(cache) = &self.cache {
            gauges::cache(cache);
        }
        if let Some(circuit) = self.upstream.as_ref().and_then(Upstream::circuit) {
            gauges::circuit(&circuit);
        }
        gauges::rate_limits(self.limits.iter().cloned());
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

/// Layers that go on with what those have counted that run.
struct Counting {
    /// Of strangers, of callers, and of logins that failed.
    limiters: [ThrottleLayer; 3],
    load_shed: LoadShedLayer,
}

impl Counting {
    fn of(config: &Config, client_ip: &ClientIp) -> Result<Self, ConfigError> {
        let (outside, inside) = config.rate_limit.split_by_identity();
        // One connection for all.
        let counts = config.rate_limit_store.as_ref().map(RateLimitStoreConfig::to_counts).transpose()?;
        let limit = |tables: &RateLimitConfig| match &counts {
            Some(counts) => tables.to_shared_layer(client_ip, counts.clone()),
            None => tables.to_layer(client_ip),
        };
        let load_shed = config.load_shed.as_ref().map(LoadShedConfig::to_layer).transpose()?;
        Ok(Self {
            limiters: [limit(&outside)?, limit(&inside)?, limit(&config.login_failures)?],
            load_shed: load_shed.unwrap_or_else(LoadShedLayer::empty),
        })
    }
}

/// Layers that begin anew with each configuration.
struct Judging {
    headers: SecurityHeadersLayer,
    deadline: DeadlineLayer,
    auth: AuthLayer,
    authz: AuthzLayer,
    validate: ValidateLayer,
}

impl Judging {
    fn of(config: &Config, app: &App, client_ip: &ClientIp) -> Result<Self, ConfigError> {
        let headers = match &config.security_headers {
            Some(table) => table.to_layer(client_ip)?,
            None => SecurityHeadersLayer::empty(),
        };
        let deadline = match &config.timeouts {
            Some(table) => table.to_deadline_layer()?,
            None => DeadlineLayer::empty(),
        };
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
                builder.build().map_err(|error| error.within("validate"))?
            }
            None => ValidateLayer::empty(),
        };
        Ok(Self { headers, deadline, auth, authz, validate })
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
    builder.build().map(Some).map_err(|error| error.within("cache"))
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
    let verifier = JwtVerifier::new([issuer])?.with_claims::<SessionClaims>().revocation(app.people.revoked());
    Auth::new().jwt(verifier).optional(true).build()
}

/// The description's name for what the authentication layer checks.
const TOKEN_SCHEME: &str = "token";

/// A layer that panicked. Nothing is known of the request any more.
fn caught(refuser: &Refuser, panic: &(dyn Any + Send)) -> Response<ResponseBody<Body>> {
    let facts = RequestFacts::of(RequestView::of(&Request::new(())));
    refuser.refuse(Fault::panicked("a layer panicked", panic).to_rejection(), &facts)
}
