//! One configuration at work: the layers, and the proxy behind them. It never changes; a reload makes another.

use std::convert::Infallible;
use std::sync::Arc;

use http::{HeaderName, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use metrics::counter;
use rustls::ServerConfig;
use tower::{Layer, Service, ServiceExt};
use tower_rampart::bulkhead::BulkheadHandle;
use tower_rampart::cache::{CacheBypass, EmptyBody};
use tower_rampart::circuit_breaker::CircuitBreakerHandle;
use tower_rampart::config::StackLayers;
use tower_rampart::retry::RetryPolicy;
use tower_rampart::stack::ConfiguredLayer;
use tower_rampart::validate::CheckedBody;
use tower_rampart::{Refuser, RequestId, RequestView};
use uuid::Uuid;

use crate::config::{Config, Loaded};
use crate::proxy::{Breaker, Proxy, arrival};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The proxy, and what the configuration puts around it.
type Stack = <ConfiguredLayer as Layer<Proxy>>::Service;
type Answer = <Stack as Service<Request<Incoming>>>::Response;

/// The body of answers.
pub type Body = <Answer as HasBody>::Body;

/// Names what the layers make of a body.
pub trait HasBody {
    type Body;
}

impl<B> HasBody for Response<B> {
    type Body = B;
}

/// See the module.
pub struct Pipeline {
    pub config: Config,
    pub tls: Option<Arc<ServerConfig>>,
    pub layers: StackLayers,
    breaker: Breaker,
    pub bulkhead: BulkheadHandle,
    pub retry: RetryPolicy,
    stack: Stack,
}

impl Pipeline {
    /// A pipeline that begins anew, or goes on with the counts and the fetched keys of one that runs.
    pub fn new(loaded: Loaded, refuser: Refuser, running: Option<&Self>) -> Self {
        let Loaded { config, tls, mut stack, mut layers } = loaded;
        if let Some(running) = running {
            stack = stack.adopt(&running.layers);
            // Places belong to the upstream that is behind them.
            if running.config.upstream == config.upstream {
                layers.bulkhead = layers.bulkhead.adopt_places(&running.bulkhead);
            }
        }
        // The configuration may have been read where there was no runtime to fetch by.
        stack.start();
        // What is stored, tried again and judged is another upstream's, or by other rules, when either has changed.
        let same_upstream = running.filter(|running| {
            let (before, now) = (&running.config, &config);
            (&before.upstream, before.upstream_http2) == (&now.upstream, now.upstream_http2)
        });
        if let Some(running) = same_upstream {
            stack = stack.adopt_cache(&running.layers);
            if running.config.retry == config.retry {
                layers.retry = running.retry.clone();
            }
            if running.config.circuit_breaker == config.circuit_breaker {
                layers.circuit_breaker = running.breaker.clone();
            }
        }
        let breaker = layers.circuit_breaker.clone();
        let (retry, bulkhead) = (layers.retry.clone(), layers.bulkhead.handle());
        let proxy = Proxy::new(&config, layers, refuser);
        Self { config, tls, stack: stack.layer().layer(proxy), layers: stack, breaker, bulkhead, retry }
    }

    /// The upstream's circuit, if it has one.
    pub fn circuit(&self) -> Option<CircuitBreakerHandle> {
        self.config.circuit_breaker.as_ref().map(|_| self.breaker.handle())
    }

    /// Answers one request. Every answer carries the request's id.
    pub async fn answer(&self, mut request: Request<Incoming>) -> Result<Answer, Infallible> {
        let id = RequestId::of(RequestView::of(&request)).unwrap_or_else(|| RequestId::from(Uuid::now_v7().as_u128()));
        arrival::receive(&mut request, self.layers.client_ip());
        request.headers_mut().insert(REQUEST_ID, id.as_header_value().clone());
        request.extensions_mut().insert(id.clone());
        // Over HTTP/2 no field tells of a body: what answers a GET with one answers that body. And what is asked for in a
        // hurry answers whoever is in one, and nobody who waits beside.
        if !request.body().is_end_stream() || request.headers().contains_key("grpc-timeout") {
            request.extensions_mut().insert(CacheBypass);
        }
        if self.config.cache.is_some() {
            request.extensions_mut().insert(EmptyBody::new(CheckedBody::<Incoming>::default));
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
