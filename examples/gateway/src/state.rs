//! What the running gateway shares: the current pipeline, and how it is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use metrics::gauge;
use metrics_exporter_prometheus::PrometheusHandle;
use tower_rampart::Refuser;

use crate::config::Loaded;
use crate::pipeline::Pipeline;

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
        if pipeline.config.bulkhead.is_some() {
            let bulkhead = pipeline.bulkhead.snapshot();
            gauge!("rampart_bulkhead_in_flight", "bulkhead" => "upstream").set(bulkhead.in_flight() as f64);
            gauge!("rampart_bulkhead_queued", "bulkhead" => "upstream").set(bulkhead.queued() as f64);
        }
        if pipeline.config.load_shed.is_some() {
            let shed = pipeline.layers.load_shed().snapshot();
            gauge!("rampart_load_shed_limit").set(shed.limit() as f64);
            gauge!("rampart_load_shed_in_flight").set(shed.in_flight() as f64);
        }
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
        let limits: Vec<_> = pipeline.layers.rate_limits().collect();
        let policies = limits.iter().flat_map(|limits| limits.policies().map(move |name| (limits, name)));
        let rate_limit: serde_json::Map<_, _> = policies
            .map(|(limits, name)| {
                let policy = serde_json::json!({
                    "keys": limits.keys(name),
                    "overflowed": limits.overflowed(name),
                    "shadowed": limits.shadowed(name),
                });
                (name.to_owned(), policy)
            })
            .collect();
        let cache = pipeline.layers.cache().map(|cache| {
            let stats = cache.stats();
            serde_json::json!({
                "entries": stats.entries,
                "bytes": stats.bytes,
                "hits": stats.hits,
                "misses": stats.misses,
                "stores": stats.stores,
                "collapsed": stats.collapsed,
                "in_flight": stats.in_flight,
            })
        });
        let timeouts = pipeline.config.timeouts.as_ref().map(|timeouts| {
            serde_json::json!({
                "request_ms": timeouts.request().as_millis(),
                "upstream_ms": timeouts.upstream().as_millis(),
            })
        });
        let retry = pipeline.config.retry.as_ref().map(|_| {
            let budget = pipeline.retry.budget();
            let upstream = pipeline.config.upstream.as_str();
            serde_json::json!({
                upstream: { "requests": budget.requests, "retries": budget.retries, "left": budget.left },
            })
        });
        let bulkhead = pipeline.config.bulkhead.as_ref().map(|_| {
            let bulkhead = pipeline.bulkhead.snapshot();
            let state = serde_json::json!({
                "in_flight": bulkhead.in_flight(),
                "max_concurrent": bulkhead.max_concurrent(),
                "queued": bulkhead.queued(),
                "max_queued": bulkhead.max_queued(),
                "refused": bulkhead.refused(),
            });
            serde_json::Map::from_iter([(pipeline.config.upstream.to_string(), state)])
        });
        let load_shed = pipeline.config.load_shed.as_ref().map(|_| {
            let shed = pipeline.layers.load_shed().snapshot();
            serde_json::json!({
                "limit": shed.limit(),
                "in_flight": shed.in_flight(),
                "shed": shed.shed(),
                "expected_latency_ms": shed.expected_latency().map(|latency| latency.as_secs_f64() * 1000.0),
            })
        });
        let circuits: serde_json::Map<_, _> = pipeline
            .circuit()
            .map(|circuit| {
                let snapshot = circuit.snapshot();
                let described = serde_json::json!({
                    "state": snapshot.state.name(),
                    "opens_in_ms": snapshot.opens_in.map(|wait| wait.as_millis()),
                    "attempts": snapshot.attempts,
                    "calls": snapshot.calls,
                    "failures": snapshot.failures,
                    "slow": snapshot.slow,
                    "refused": snapshot.totals.refused,
                    "opened": snapshot.totals.opened,
                });
                (circuit.name().to_owned(), described)
            })
            .into_iter()
            .collect();
        serde_json::json!({
            "bulkhead": bulkhead,
            "load_shed": load_shed,
            "cache": cache,
            "circuit_breaker": circuits,
            "rate_limit": rate_limit,
            "retry": retry,
            "timeouts": timeouts,
            "config": {
                "reloads": self.reloads.load(Ordering::Relaxed),
                "failed_reloads": self.failed_reloads.load(Ordering::Relaxed),
                "last_reload_failed": self.last_reload_failed.load(Ordering::Relaxed),
            },
        })
    }
}
