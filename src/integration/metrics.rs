//! Counters through the `metrics` facade.

#[cfg(feature = "rate-limit")]
use std::sync::Arc;

#[cfg(feature = "_auth")]
use crate::spine::event::AuthzOutcome;
use crate::spine::event::Origin;
#[cfg(feature = "rate-limit")]
use crate::spine::event::PolicyEvent;
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
use crate::spine::event::PressureEvent;
#[cfg(feature = "retry")]
use crate::spine::event::RetryEvent;
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
pub(crate) fn count_pressure(event: PressureEvent, label: &'static str) {
    let (name, key) = event.metric();
    metrics::counter!(name, key => label).increment(1);
}
