//! How layers are doing, as JSON: what `/-/state` shows, and what the poll API's `/v1/admin/state` does.

use serde_json::{Map, Value, json};
use tower_rampart::bulkhead::BulkheadHandle;
use tower_rampart::cache::Cache;
use tower_rampart::circuit_breaker::CircuitBreakerHandle;
use tower_rampart::load_shed::LoadShedHandle;
use tower_rampart::rate_limit::RateLimitHandle;
use tower_rampart::retry::RetryPolicy;

/// Policies, by their names.
pub fn rate_limits(limiters: impl Iterator<Item = RateLimitHandle>) -> Value {
    let mut shown = Map::new();
    for limiter in limiters {
        for name in limiter.policies() {
            let Some(policy) = limiter.snapshot(name) else { continue };
            let policy = json!({
                "keys": policy.keys,
                "overflowed": policy.overflowed,
                "shadowed": policy.shadowed,
            });
            shown.insert(name.to_owned(), policy);
        }
    }
    Value::Object(shown)
}

pub fn cache(cache: &Cache) -> Value {
    let stats = cache.stats();
    json!({
        "entries": stats.entries,
        "bytes": stats.bytes,
        "hits": stats.hits,
        "misses": stats.misses,
        "stores": stats.stores,
        "collapsed": stats.collapsed,
        "in_flight": stats.in_flight,
    })
}

pub fn load_shed(load_shed: &LoadShedHandle) -> Value {
    let shed = load_shed.snapshot();
    json!({
        "limit": shed.limit,
        "in_flight": shed.in_flight,
        "shed": shed.shed(),
        "expected_latency_ms": shed.expected_latency.map(|latency| latency.as_secs_f64() * 1000.0),
    })
}

/// The circuit by its name; an empty object without one.
pub fn circuit(circuit: Option<&CircuitBreakerHandle>) -> Value {
    let Some(circuit) = circuit else { return json!({}) };
    let snapshot = circuit.snapshot();
    json!({ circuit.name(): {
        "state": snapshot.state.name(),
        "opens_in_ms": snapshot.open_for.map(|wait| wait.as_millis()),
        "attempts": snapshot.openings_in_a_row,
        "calls": snapshot.calls,
        "failures": snapshot.failures,
        "slow": snapshot.slow,
        "refused": snapshot.totals.refused,
        "opened": snapshot.totals.opened,
    }})
}

/// What is left to try again, by the upstream's name.
pub fn retry(upstream: &str, policy: &RetryPolicy) -> Value {
    let budget = policy.budget();
    json!({ upstream: { "requests": budget.requests, "retries": budget.retries, "left": budget.left } })
}

/// Places, by the upstream's name.
pub fn bulkhead(upstream: &str, bulkhead: &BulkheadHandle) -> Value {
    let bulkhead = bulkhead.snapshot();
    json!({ upstream: {
        "in_flight": bulkhead.in_flight,
        "max_concurrent": bulkhead.max_concurrent,
        "queued": bulkhead.queued,
        "max_queued": bulkhead.max_queued,
        "refused": bulkhead.refused,
    }})
}
