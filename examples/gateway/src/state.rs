//! What the running gateway shares: the current pipeline, and how it is doing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
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
        if !self.keys_were_there.load(Ordering::Acquire) && self.pipeline().auth.is_ready() {
            self.keys_were_there.store(true, Ordering::Release);
        }
        self.keys_were_there.load(Ordering::Acquire)
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
        let policies = pipeline.limits.iter().flat_map(|limits| limits.policies().map(move |name| (limits, name)));
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
        let cache = pipeline.cache.as_ref().map(|cache| {
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
            "cache": cache,
            "circuit_breaker": circuits,
            "rate_limit": rate_limit,
            "config": {
                "reloads": self.reloads.load(Ordering::Relaxed),
                "failed_reloads": self.failed_reloads.load(Ordering::Relaxed),
                "last_reload_failed": self.last_reload_failed.load(Ordering::Relaxed),
            },
        })
    }
}
