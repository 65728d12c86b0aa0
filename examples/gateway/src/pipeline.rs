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
use tower_rampart::cache::{Cache, CacheBypass, CacheLayer, CacheService};
use tower_rampart::circuit_breaker::CircuitBreakerHandle;
use tower_rampart::rate_limit::{RateLimitHandle, ThrottleService};
use tower_rampart::security_headers::SecurityHeadersService;
use tower_rampart::validate::ValidateService;
use tower_rampart::{Refuser, RequestId, RequestView, ResponseBody, SharedBody};
use uuid::Uuid;

use crate::config::{Config, Loaded};
use crate::proxy::{self, Breaker, Proxy};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What the cache passes on, and six layers around it.
type Body = ResponseBody<ResponseBody<ResponseBody<ResponseBody<ResponseBody<ResponseBody<Cached>>>>>>;
type Cached = ResponseBody<SharedBody<proxy::Body>>;
type Stack<S> = SecurityHeadersService<ThrottleService<AuthService<ThrottleService<AuthzService<ValidateService<S>>>>>>;

/// See the module.
pub struct Pipeline {
    pub config: Config,
    pub tls: Option<Arc<ServerConfig>>,
    pub limits: [RateLimitHandle; 2],
    pub auth: AuthLayer,
    pub cache: Option<Cache>,
    breaker: Breaker,
    stack: Stack<CacheService<Proxy>>,
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
            cache,
            mut breaker,
        } = loaded;
        if let Some(running) = running {
            auth = auth.adopt_keys(&running.auth);
            // A table may have moved from one place to the other, by a key that asks for the caller.
            for handle in &running.limits {
                strangers = strangers.adopt_counts(handle);
                callers = callers.adopt_counts(handle);
            }
        }
        // The configuration may have been read where there was no runtime to fetch by.
        auth.start();
        // What is stored is another upstream's, or was stored by other rules, when either has changed.
        let kept = running.filter(|running| {
            let (before, now) = (&running.config, &config);
            before.cache == now.cache
                && (&before.upstream, before.upstream_http2) == (&now.upstream, now.upstream_http2)
        });
        let cache = kept.and_then(|running| running.cache.clone()).or(cache);
        let caching = cache.as_ref().map_or_else(CacheLayer::empty, Cache::layer);
        let limits = [strangers.handle(), callers.handle()];
        // A circuit is its upstream's, and judges by its table.
        if let Some(running) = running
            && running.config.upstream == config.upstream
            && running.config.circuit_breaker == config.circuit_breaker
        {
            breaker = running.breaker.clone();
        }
        let proxy = Proxy::new(&config, client_ip, refuser, &breaker);
        Self {
            config,
            tls,
            limits,
            cache,
            breaker,
            stack: headers
                .layer(strangers.layer(auth.layer(callers.layer(authz.layer(validate.layer(caching.layer(proxy))))))),
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
        if !request.body().is_end_stream() {
            // Over HTTP/2 no field says so. What answers a GET with a body answers that body.
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
