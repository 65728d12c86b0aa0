//! What layers know and do not count through the facade, as metrics: set when somebody is about to read them.

use metrics::{counter, gauge};
use tower_rampart::cache::Cache;
use tower_rampart::circuit_breaker::CircuitBreakerHandle;
use tower_rampart::rate_limit::RateLimitHandle;

/// Shown from the start, not only after the first change.
pub fn circuit(circuit: &CircuitBreakerHandle) {
    const STATES: [&str; 6] = ["closed", "open", "half-open", "ramp-up", "forced-open", "disabled"];
    let (name, now) = (circuit.name().to_owned(), circuit.snapshot().state.name());
    for state in STATES {
        let is_so = if state == now { 1.0 } else { 0.0 };
        gauge!("rampart_circuit_breaker_state", "circuit" => name.clone(), "state" => state).set(is_so);
    }
}

pub fn cache(cache: &Cache) {
    let stats = cache.stats();
    gauge!("rampart_cache_entries").set(stats.entries as f64);
    gauge!("rampart_cache_bytes").set(stats.bytes as f64);
    counter!("rampart_cache_hits_total").absolute(stats.hits);
    counter!("rampart_cache_misses_total").absolute(stats.misses);
    counter!("rampart_cache_stores_total").absolute(stats.stores);
    counter!("rampart_cache_collapsed_total").absolute(stats.collapsed);
}

pub fn rate_limits(limiters: impl Iterator<Item = RateLimitHandle>) {
    for limiter in limiters {
        for name in limiter.policies() {
            let Some(policy) = limiter.snapshot(name) else { continue };
            gauge!("rampart_rate_limit_keys", "policy" => name.to_owned()).set(policy.keys as f64);
        }
    }
}
