//! What the running gateway shares: the current pipeline, and how it is doing.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use http::{Request, Response};
use hyper::body::Incoming;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusHandle;
use rustls::ServerConfig;
use tower_rampart::Refuser;

use crate::config::Loaded;
use crate::connections::{Answers, Patience};
use crate::pipeline::{self, Pipeline};
use crate::{gauges, shown};

/// Shared by connections, the admin address and reloads.
pub struct State {
    pipeline: ArcSwap<Pipeline>,
    refuser: Refuser,
    metrics: PrometheusHandle,
    ready: AtomicBool,
    /// Whether tokens could be checked since the start: what ends later is no reason to take the gateway out of service.
    keys_were_there: AtomicBool,
    reloads: AtomicU64,
    failed_reloads: AtomicU64,
    last_reload_failed: AtomicBool,
}

impl State {
    pub fn new(loaded: Loaded, metrics: PrometheusHandle) -> Self {
        let refuser = Refuser::new();
        Self {
            pipeline: ArcSwap::from_pointee(Pipeline::new(loaded, refuser.clone(), None)),
            refuser,
            metrics,
            ready: AtomicBool::new(false),
            keys_were_there: AtomicBool::new(false),
            reloads: AtomicU64::new(0),
            failed_reloads: AtomicU64::new(0),
            last_reload_failed: AtomicBool::new(false),
        }
    }

    /// The pipeline of this moment. A request keeps the one it began with.
    pub fn pipeline(&self) -> Arc<Pipeline> {
        self.pipeline.load_full()
    }

    /// Puts another configuration to work: new requests see all of it, running ones none.
    pub fn replace(&self, loaded: Loaded) {
        let running = self.pipeline();
        self.pipeline.store(Arc::new(Pipeline::new(loaded, self.refuser.clone(), Some(&*running))));
        self.reloads.fetch_add(1, Ordering::Relaxed);
        self.last_reload_failed.store(false, Ordering::Relaxed);
    }

    pub fn reload_failed(&self) {
        self.failed_reloads.fetch_add(1, Ordering::Relaxed);
        self.last_reload_failed.store(true, Ordering::Relaxed);
    }

    pub fn refuser(&self) -> &Refuser {
        &self.refuser
    }

    pub fn metrics(&self) -> &PrometheusHandle {
        &self.metrics
    }

    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && self.has_keys()
    }

    fn has_keys(&self) -> bool {
        if !self.keys_were_there.load(Ordering::Acquire) && self.pipeline().layers.auth().is_ready() {
            self.keys_were_there.store(true, Ordering::Release);
        }
        self.keys_were_there.load(Ordering::Acquire)
    }

    /// Sets the gauges to what is true now, for whoever is about to read them.
    pub fn set_gauges(&self) {
        let pipeline = self.pipeline();
        // A counter appears with its first event, and `rate()` does not see that one.
        for class in ["2xx", "3xx", "4xx", "5xx"] {
            counter!("rampart_gateway_requests_total", "status" => class).increment(0);
        }
        if pipeline.config.bulkhead.is_some() {
            let bulkhead = pipeline.bulkhead.snapshot();
            gauge!("rampart_bulkhead_in_flight", "bulkhead" => pipeline.bulkhead.name().to_owned())
                .set(bulkhead.in_flight as f64);
            gauge!("rampart_bulkhead_queued", "bulkhead" => pipeline.bulkhead.name().to_owned())
                .set(bulkhead.queued as f64);
        }
        if pipeline.config.load_shed.is_some() {
            let shed = pipeline.layers.load_shed().snapshot();
            gauge!("rampart_load_shed_limit").set(shed.limit as f64);
            gauge!("rampart_load_shed_in_flight").set(shed.in_flight as f64);
        }
        if let Some(circuit) = pipeline.circuit() {
            gauges::circuit(&circuit);
        }
        if let Some(cache) = pipeline.layers.cache() {
            gauges::cache(cache);
        }
        gauges::rate_limits(pipeline.layers.rate_limits());
    }

    /// The document of `/-/readyz`. An open circuit is shown, and is no reason to take the gateway out of service: its
    /// siblings would see the same.
    pub fn describe_readiness(&self) -> serde_json::Value {
        let status = if self.is_ready() { "ready" } else { "not ready" };
        let circuit = self.pipeline().circuit();
        let circuits: serde_json::Map<_, _> = circuit
            .map(|circuit| (circuit.name().to_owned(), circuit.snapshot().state.name().into()))
            .into_iter()
            .collect();
        serde_json::json!({ "status": status, "circuit_breaker": circuits })
    }

    /// The document of `/-/state`.
    pub fn describe(&self) -> serde_json::Value {
        let pipeline = self.pipeline();
        let config = &pipeline.config;
        let upstream = config.upstream.as_str();
        let timeouts = config.timeouts.as_ref().map(|timeouts| {
            serde_json::json!({
                "request_ms": timeouts.request().as_millis(),
                "upstream_ms": timeouts.upstream().as_millis(),
            })
        });
        serde_json::json!({
            "bulkhead": config.bulkhead.as_ref().map(|_| shown::bulkhead(upstream, &pipeline.bulkhead)),
            "load_shed": config.load_shed.as_ref().map(|_| shown::load_shed(&pipeline.layers.load_shed())),
            "cache": pipeline.layers.cache().map(shown::cache),
            "circuit_breaker": shown::circuit(pipeline.circuit().as_ref()),
            "rate_limit": shown::rate_limits(pipeline.layers.rate_limits()),
            "retry": config.retry.as_ref().map(|_| shown::retry(upstream, &pipeline.retry)),
            "timeouts": timeouts,
            "config": {
                "reloads": self.reloads.load(Ordering::Relaxed),
                "failed_reloads": self.failed_reloads.load(Ordering::Relaxed),
                "last_reload_failed": self.last_reload_failed.load(Ordering::Relaxed),
            },
        })
    }
}

impl Answers for State {
    type Body = pipeline::Body;

    fn tls(&self) -> Option<Arc<ServerConfig>> {
        self.pipeline().tls.clone()
    }

    fn patience(&self) -> Patience {
        self.pipeline().config.connections.patience()
    }

    fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Self::Body>, Infallible>> + Send + 'static {
        let pipeline = self.pipeline();
        async move { pipeline.answer(request).await }
    }
}
