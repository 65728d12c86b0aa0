//! One configuration at work: the layers, and the proxy behind them. It never changes; a reload makes another.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderName, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use metrics::counter;
use rustls::ServerConfig;
use tower::{Layer, ServiceExt};
use tower_rampart::auth::{AuthLayer, AuthService};
use tower_rampart::authz::AuthzService;
use tower_rampart::bulkhead::BulkheadHandle;
use tower_rampart::cache::{Cache, CacheBypass, CacheLayer, CacheService};
use tower_rampart::circuit_breaker::CircuitBreakerHandle;
use tower_rampart::classify::ObservedBody;
use tower_rampart::deadline::DeadlineService;
use tower_rampart::load_shed::{InFlight, LoadShedHandle, LoadShedService};
use tower_rampart::rate_limit::{RateLimitHandle, ThrottleService};
use tower_rampart::retry::RetryPolicy;
use tower_rampart::security_headers::SecurityHeadersService;
use tower_rampart::validate::{JudgedBody, ValidateResponsesService, ValidateService};
use tower_rampart::{Refuser, RequestId, RequestView, ResponseBody, SharedBody};
use uuid::Uuid;

use crate::config::{Config, Loaded};
use crate::proxy::{self, Breaker, Proxy};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the cache passes on, and eight layers around it.
type Body = ResponseBody<ResponseBody<ObservedBody<Shed, InFlight>>>;
type Shed = ResponseBody<ResponseBody<ResponseBody<ResponseBody<ResponseBody<ResponseBody<Cached>>>>>>;
type Cached = ResponseBody<SharedBody<ResponseBody<JudgedBody<proxy::Body>>>>;
type Stack<S> = SecurityHeadersService<LoadShedService<DeadlineService<Checked<S>>>>;
type Checked<S> = ThrottleService<AuthService<ThrottleService<AuthzService<ValidateService<S>>>>>;

/// See the module.
pub struct Pipeline {
    pub config: Config,
    pub tls: Option<Arc<ServerConfig>>,
    pub limits: [RateLimitHandle; 2],
    pub auth: AuthLayer,
    pub cache: Option<Cache>,
    breaker: Breaker,
    pub bulkhead: BulkheadHandle,
    pub load_shed: LoadShedHandle,
    pub retry: RetryPolicy,
    stack: Stack<CacheService<ValidateResponsesService<Proxy>>>,
}

impl Pipeline {
    /// A pipeline that begins anew, or goes on with the counts and the fetched keys of one that runs.
    pub fn new(loaded: Loaded, refuser: Refuser, running: Option<&Self>) -> Self {
        let Loaded {
            config,
            tls,
            client_ip,
            headers,
            limits: [mut strangers, mut callers],
            mut auth,
            authz,
            validate,
            responses,
            cache,
            mut load_shed,
            deadline,
            mut layers,
        } = loaded;
        if let Some(running) = running {
            auth = auth.adopt_keys(&running.auth);
            load_shed = load_shed.adopt_limit(&running.load_shed);
            // Places belong to the upstream that is behind them.
            if running.config.upstream == config.upstream {
                layers.bulkhead = layers.bulkhead.adopt_places(&running.bulkhead);
            }
            // A table may have moved from one place to the other, by a key that asks for the caller.
            for handle in &running.limits {
                strangers = strangers.adopt_counts(handle);
                callers = callers.adopt_counts(handle);
            }
        }
        // The configuration may have been read where there was no runtime to fetch by.
        auth.start();
        // What is stored is another upstream's, or was stored by other rules, when either has changed.
        let same_upstream = running.filter(|running| {
            let (before, now) = (&running.config, &config);
            (&before.upstream, before.upstream_http2) == (&now.upstream, now.upstream_http2)
        });
        let kept = same_upstream.filter(|running| {
            let (before, now) = (&running.config, &config);
            (&before.cache, &before.cache_store) == (&now.cache, &now.cache_store)
        });
        // So are the retries that were counted.
        if let Some(running) = same_upstream.filter(|running| running.config.retry == config.retry) {
            layers.retry = running.retry.clone();
        }
        let cache = kept.and_then(|running| running.cache.clone()).or(cache);
        let caching = cache.as_ref().map_or_else(CacheLayer::empty, Cache::layer);
        let limits = [strangers.handle(), callers.handle()];
        // A circuit is its upstream's, and judges by its table.
        if let Some(running) = same_upstream.filter(|running| running.config.circuit_breaker == config.circuit_breaker)
        {
            layers.breaker = running.breaker.clone();
        }
        let breaker = layers.breaker.clone();
        let (retry, bulkhead) = (layers.retry.clone(), layers.bulkhead.handle());
        // What is stored was judged.
        let proxy = responses.layer(Proxy::new(&config, layers, client_ip, refuser));
        let checked = strangers.layer(auth.layer(callers.layer(authz.layer(validate.layer(caching.layer(proxy))))));
        Self {
            config,
            tls,
            limits,
            cache,
            breaker,
            retry,
            bulkhead,
            load_shed: load_shed.handle(),
            stack: headers.layer(load_shed.layer(deadline.layer(checked))),
            auth,
        }
    }

    /// The upstream's circuit, if it has one.
    pub fn circuit(&self) -> Option<CircuitBreakerHandle> {
        self.config.circuit_breaker.as_ref().map(|_| self.breaker.handle())
    }

    /// Answers one request. Every answer carries the request's id.
    pub async fn answer(&self, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
        let id = RequestId::of(RequestView::of(&request)).unwrap_or_else(|| RequestId::from(Uuid::now_v7().as_u128()));
        request.headers_mut().insert(REQUEST_ID, id.as_header_value().clone());
        request.extensions_mut().insert(id.clone());
        // Over HTTP/2 no field tells of a body: what answers a GET with one answers that body. And what is asked for in a
        // hurry answers whoever is in one, and nobody who waits beside.
        if !request.body().is_end_stream() || request.headers().contains_key("grpc-timeout") {
            request.extensions_mut().insert(CacheBypass);
        }
        let mut response = self.stack.clone().oneshot(request).await?;
        response.headers_mut().insert(REQUEST_ID, id.as_header_value().clone());
        counter!("rampart_gateway_requests_total", "status" => class(response.status().as_u16())).increment(1);
        Ok(response)
    }
}

const fn class(status: u16) -> &'static str {
    match status / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
