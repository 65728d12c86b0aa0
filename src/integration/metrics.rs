//! Counters through the `metrics` facade.

#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "load-shed", feature = "rate-limit"))]
use std::sync::Arc;

#[cfg(feature = "_auth")]
use crate::spine::event::AuthzOutcome;
#[cfg(feature = "circuit-breaker")]
use crate::spine::event::CircuitEvent;
use crate::spine::event::Origin;
#[cfg(feature = "retry")]
use crate::spine::event::RetryEvent;
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
use crate::spine::event::{Label, PressureEvent};
#[cfg(feature = "rate-limit")]
use crate::spine::event::{PolicyEvent, StoreEvent};
use crate::spine::problem::ProblemKind;

/// `rampart_<layer>_refused_total{status}`; a custom layer's name is a label.
pub(crate) fn count_refusal(origin: Origin, kind: ProblemKind) {
    let status = kind.status().as_str().to_owned();
    match origin {
        Origin::Custom(layer) => {
            metrics::counter!(origin.refused_metric(), "layer" => layer, "status" => status).increment(1);
        }
        _ => metrics::counter!(origin.refused_metric(), "status" => status).increment(1),
    }
}

/// `rampart_authz_{allowed,denied,shadow_allowed,shadow_denied}_total`.
#[cfg(feature = "_auth")]
pub(crate) fn count_authorization(outcome: AuthzOutcome) {
    metrics::counter!(outcome.metric()).increment(1);
}

/// `rampart_rate_limit_<event>_total{policy}`. Policies are few and named in the configuration.
#[cfg(feature = "rate-limit")]
pub(crate) fn count_policy(event: PolicyEvent, policy: &Arc<str>) {
    metrics::counter!(event.metric(), "policy" => Arc::clone(policy)).increment(1);
}

/// `rampart_rate_limit_store_{asked,failed,leased,remembered}_total`: requests that asked the store, that it failed, whose
/// tokens a lease had, and that were refused by what was known.
#[cfg(feature = "rate-limit")]
pub(crate) fn count_limit_store(event: StoreEvent) {
    metrics::counter!(event.metric()).increment(1);
}

/// `rampart_retry_retries_total`, and `rampart_retry_stopped_total{reason}` for failures that are passed on.
#[cfg(feature = "retry")]
pub(crate) fn count_retry(event: RetryEvent) {
    match event.stopped_by() {
        None => metrics::counter!("rampart_retry_retries_total").increment(1),
        Some(reason) => metrics::counter!("rampart_retry_stopped_total", "reason" => reason).increment(1),
    }
}

/// `rampart_bulkhead_{waited,waited_in_vain}_total{bulkhead}`, `rampart_load_shed_shed_total{criticality}`.
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
pub(crate) fn count_pressure(event: PressureEvent, label: Label<'_>) {
    let (name, key) = event.metric();
    match label {
        Label::Fixed(label) => metrics::counter!(name, key => label).increment(1),
        Label::Named(label) => metrics::counter!(name, key => Arc::clone(label)).increment(1),
    }
}

/// `rampart_circuit_breaker_outcomes_total{circuit,outcome}`: all but plain successes, which would cost most and tell
/// least. Circuits are few and named in the configuration; those by key share a name.
#[cfg(feature = "circuit-breaker")]
pub(crate) fn count_circuit(event: CircuitEvent, circuit: &Arc<str>) {
    const NAME: &str = "rampart_circuit_breaker_outcomes_total";
    metrics::counter!(NAME, "circuit" => Arc::clone(circuit), "outcome" => event.name()).increment(1);
}

/// `rampart_circuit_breaker_transitions_total{circuit,from,to,reason}`.
#[cfg(feature = "circuit-breaker")]
pub(crate) fn count_circuit_change(circuit: &Arc<str>, [from, to, reason]: [&'static str; 3]) {
    const NAME: &str = "rampart_circuit_breaker_transitions_total";
    let circuit = Arc::clone(circuit);
    metrics::counter!(NAME, "circuit" => circuit, "from" => from, "to" => to, "reason" => reason).increment(1);
}

/// `rampart_circuit_breaker_state{circuit,state}`: one for the state that it is in, zero for the others.
#[cfg(feature = "circuit-breaker")]
pub(crate) fn show_circuit(circuit: &Arc<str>, state: &'static str) {
    const STATES: [&str; 6] = ["closed", "open", "half-open", "ramp-up", "forced-open", "disabled"];
    for name in STATES {
        let shown = if name == state { 1.0 } else { 0.0 };
        metrics::gauge!("rampart_circuit_breaker_state", "circuit" => Arc::clone(circuit), "state" => name).set(shown);
    }
}
