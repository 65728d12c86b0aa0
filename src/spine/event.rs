//! What layers report. This is the only file that names `tracing`.
//!
//! An event has a stable target (`tower_rampart::<layer>`), an `event` field from the OWASP logging vocabulary, and
//! fields of low cardinality: never input, keys, tokens or bodies.

mod kinds;
mod sampler;

use std::sync::atomic::{AtomicBool, Ordering};

#[cfg(feature = "_auth")]
pub(crate) use self::kinds::AuthzOutcome;
#[cfg(feature = "circuit-breaker")]
pub(crate) use self::kinds::CircuitEvent;
#[cfg(feature = "retry")]
pub(crate) use self::kinds::RetryEvent;
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
pub(crate) use self::kinds::{Label, PressureEvent};
#[cfg(feature = "rate-limit")]
pub(crate) use self::kinds::{PolicyEvent, StoreEvent};
pub(crate) use self::sampler::Sampler;
use crate::spine::clock::Clock;
use crate::spine::problem::ProblemKind;
use crate::spine::request::RequestId;
use crate::wiring;

// The first token is a `$`, which lets this macro write another one.
macro_rules! origins {
    ($d:tt $($(#[$doc:meta])* $origin:ident = $name:literal;)*) => {
        /// The part of the stack that reports or refuses. It decides the `tracing` target and the metric's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum Origin {
            $($(#[$doc])* $origin,)*
            /// A layer of your own, by a name of low cardinality. Its target is `tower_rampart::custom`.
            Custom(&'static str),
        }

        impl Origin {
            /// The name in events and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$origin => $name,)*
                    Self::Custom(name) => name,
                }
            }

            /// The counter of this origin's refusals.
            #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only metrics asks"))]
            pub(crate) const fn refused_metric(self) -> &'static str {
                match self {
                    $(Self::$origin => concat!("rampart_", $name, "_refused_total"),)*
                    Self::Custom(_) => "rampart_custom_refused_total",
                }
            }
        }

        impl std::fmt::Display for Origin {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }

        /// A target is a constant of its call site, so each origin needs a call site.
        macro_rules! report {
            ($d level:ident, $d origin:expr, $d($d fields:tt)*) => {
                match $d origin {
                    $(Origin::$origin => {
                        tracing::$d level!(target: concat!("tower_rampart::", $name), $d($d fields)*);
                    })*
                    Origin::Custom(layer) => {
                        tracing::$d level!(target: "tower_rampart::custom", layer, $d($d fields)*);
                    }
                }
            };
        }
    };
}

origins! { $
    /// Client address resolution.
    ClientIp = "client_ip";
    /// The authentication layer.
    Auth = "auth";
    /// The authorization layer.
    Authz = "authz";
    /// The response cache.
    Cache = "cache";
    /// The circuit breaker.
    CircuitBreaker = "circuit_breaker";
    /// The layers that keep deadlines.
    Deadline = "deadline";
    /// The bulkhead layer.
    Bulkhead = "bulkhead";
    /// The load shedding layer.
    LoadShed = "load_shed";
    /// The client's adaptive throttle.
    AdaptiveThrottle = "adaptive_throttle";
    /// The rate limiting layers.
    RateLimit = "rate_limit";
    /// The policy for retries.
    Retry = "retry";
    /// The security headers layer.
    SecurityHeaders = "security_headers";
    /// The validation layer.
    Validate = "validate";
}

/// Reports a refusal: always counted, logged as far as the sampler lets it.
pub(crate) fn refused(
    (origin, kind): (Origin, ProblemKind),
    request_id: Option<&RequestId>,
    sampler: &Sampler,
    clock: &Clock,
) {
    wiring::count_refusal(origin, kind);
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(
        warn,
        origin,
        event = owasp_name(kind),
        status = kind.status().as_u16(),
        request_id = request_id.map(RequestId::as_str),
        suppressed,
        "{}",
        kind.title()
    );
}

/// Reports something about the layer itself that an operator must mend: once, since it would be said on every request.
pub(crate) fn fault_once(said: &AtomicBool, origin: Origin, event: &'static str, mend: &str) {
    if !said.swap(true, Ordering::Relaxed) {
        report!(error, origin, event, "{mend}");
    }
}

/// The same, with a text that is made only when it is said.
#[cfg(any(feature = "bulkhead", feature = "rate-limit"))]
pub(crate) fn fault_once_with(said: &AtomicBool, origin: Origin, event: &'static str, mend: impl FnOnce() -> String) {
    if !said.load(Ordering::Relaxed) {
        fault_once(said, origin, event, &mend());
    }
}

/// Says why a credential was refused, for whoever looks for it: the client is not told.
#[cfg(feature = "_auth")]
pub(crate) fn credential_refused(origin: Origin, reason: &dyn std::fmt::Display) {
    report!(debug, origin, event = "authn_token_refused", "{reason}");
}

/// Says once that tokens may be of another kind than the issuer is said to send. Any stranger can bring it about.
#[cfg(feature = "_auth")]
pub(crate) fn token_of_another_kind(said: &AtomicBool, origin: Origin, fault: &dyn std::fmt::Display) {
    if !said.swap(true, Ordering::Relaxed) {
        report!(
            warn,
            origin,
            event = "token_of_another_kind",
            "a token was refused: {fault}. Unless it is said, tokens are access tokens of RFC 9068, with `typ: at+jwt`, \
             `client_id`, `iat` and `jti`; for an issuer that sends others say `.profile(Profile::AnyJwt)`. This is said once"
        );
    }
}

/// Says why nobody can tell whether a credential is good, as far as the sampler lets it: strangers bring it about.
#[cfg(all(feature = "_auth", feature = "auth-introspection"))]
pub(crate) fn credential_unverifiable(
    origin: Origin,
    reason: &dyn std::fmt::Display,
    sampler: &Sampler,
    clock: &Clock,
) {
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(warn, origin, event = "authn_unavailable", suppressed, "{reason}");
}

/// Says that keys were fetched which are others than before.
#[cfg(feature = "_auth")]
pub(crate) fn keys_fetched(origin: Origin, usable: usize, skipped: usize) {
    report!(info, origin, event = "keys_fetched", usable, skipped, "");
}

/// Says that keys share name and algorithm, and that none of them is used: tokens that name one are refused.
#[cfg(feature = "_auth")]
pub(crate) fn keys_ambiguous(origin: Origin, skipped: usize) {
    report!(warn, origin, event = "keys_ambiguous", skipped, "keys that share name and algorithm are not used");
}

/// Says why keys could not be fetched. Fetches keep their distance, so there is no flood of these.
#[cfg(feature = "_auth")]
pub(crate) fn keys_not_fetched(origin: Origin, reason: &dyn std::fmt::Display) {
    report!(warn, origin, event = "keys_not_fetched", "{reason}");
}

/// Says which rule refused a request, for whoever looks for it.
#[cfg(feature = "_auth")]
pub(crate) fn authorization_refused(origin: Origin, rule: Option<&str>) {
    report!(debug, origin, event = "authz_fail", rule = rule.unwrap_or_default(), "");
}

/// Counts a decision of a policy.
#[cfg(feature = "_auth")]
pub(crate) fn authorized(outcome: AuthzOutcome) {
    wiring::count_authorization(outcome);
}

/// Reports the decision of a rule that asks for it, each time.
#[cfg(feature = "_auth")]
pub(crate) fn authorization_audited(rule: &str, allowed: bool, request_id: Option<&RequestId>) {
    let request_id = request_id.map(RequestId::as_str);
    report!(info, Origin::Authz, event = "authz_audit", rule, allowed, request_id, "");
}

/// Says that a policy that decides nothing would have decided otherwise, as far as the sampler lets it.
#[cfg(feature = "_auth")]
pub(crate) fn shadow_differs(rule: Option<&str>, would_allow: bool, sampler: &Sampler, clock: &Clock) {
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    let rule = rule.unwrap_or_default();
    report!(warn, Origin::Authz, event = "authz_shadow_differs", rule, would_allow, suppressed, "");
}

/// Says that a cache's second tier failed, as far as the sampler lets it. The store's own message stays out: it may name
/// keys, and keys are clients'.
#[cfg(feature = "cache")]
pub(crate) fn store_failed(cause: &'static str, sampler: &Sampler, clock: &Clock) {
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(
        warn,
        Origin::Cache,
        event = "cache_store_failed",
        cause,
        suppressed,
        "the second tier failed, which is a miss"
    );
}

/// Says, once until it is heard again, that a cache does not hear what other instances purge.
#[cfg(feature = "cache")]
pub(crate) fn store_is_unheard(said: &AtomicBool) {
    const MEND: &str =
        "purges of other instances are not heard; what is in memory is dropped when they are heard again";
    fault_once(said, Origin::Cache, "cache_store_unheard", MEND);
}

/// Says which check a request failed: as far as the sampler lets it where that is only reported, at debug where it is
/// refused, which is reported by itself.
#[cfg(feature = "validate")]
pub(crate) fn validation_failed(check: &str, pointer: Option<&str>, reported: bool, sampler: &Sampler, clock: &Clock) {
    if !reported {
        report!(debug, Origin::Validate, event = "input_validation_fail", check, pointer, "");
        return;
    }
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(warn, Origin::Validate, event = "input_validation_reported", check, pointer, suppressed, "");
}

/// Says what of a description is not judged by, once for each layer that is built of it.
#[cfg(feature = "openapi")]
pub(crate) fn description_not_judged(what: &str) {
    report!(info, Origin::Validate, event = "description_not_judged", what, "");
}

/// Says that a response is not as its description has it, as far as the sampler lets it.
#[cfg(feature = "openapi")]
pub(crate) fn response_invalid((route, keyword, pointer): (&str, &str, &str), sampler: &Sampler, clock: &Clock) {
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(warn, Origin::Validate, event = "response_validation_fail", route, keyword, pointer, suppressed, "");
}

/// Reports a try that failed, `attempt` counting those of its call: always counted, logged at debug; a budget that is spent is for
/// operators, as far as the sampler lets it.
#[cfg(feature = "retry")]
pub(crate) fn retry(event: RetryEvent, attempt: u32, sampler: &Sampler, clock: &Clock) {
    wiring::count_retry(event);
    match (event, event.stopped_by()) {
        (RetryEvent::BudgetSpent, _) => {
            let Some(suppressed) = sampler.admit(clock.now()) else { return };
            report!(warn, Origin::Retry, event = "retry_budget_spent", attempt, suppressed, "");
        }
        (_, None) => report!(debug, Origin::Retry, event = "retry", attempt, ""),
        (_, Some(reason)) => report!(debug, Origin::Retry, event = "retry_stopped", attempt, reason, ""),
    }
}

/// Reports what happened to a policy: always counted, logged as far as the sampler lets it.
#[cfg(feature = "rate-limit")]
pub(crate) fn policy(event: PolicyEvent, policy: &std::sync::Arc<str>, sampler: &Sampler, clock: &Clock) {
    wiring::count_policy(event, policy);
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    match event {
        PolicyEvent::Shadowed | PolicyEvent::Overflowed => {
            report!(warn, Origin::RateLimit, event = event.name(), policy = &**policy, suppressed, "");
        }
        PolicyEvent::Paced => {
            report!(debug, Origin::RateLimit, event = event.name(), policy = &**policy, suppressed, "");
        }
    }
}

/// Counts something of the store that limiters share.
#[cfg(feature = "rate-limit")]
pub(crate) fn limit_store(event: StoreEvent) {
    wiring::count_limit_store(event);
}

/// Says that the store has begun to fail, and what becomes of requests meanwhile. Its own message stays out: it may name
/// keys, and keys are clients'.
#[cfg(feature = "rate-limit")]
pub(crate) fn limit_store_failed(cause: &'static str, meanwhile: &'static str) {
    report!(
        warn,
        Origin::RateLimit,
        event = "rate_limit_store_failed",
        cause,
        "the store of shared counts fails: {meanwhile}"
    );
}

/// Says that it answers again.
#[cfg(feature = "rate-limit")]
pub(crate) fn limit_store_is_back() {
    report!(info, Origin::RateLimit, event = "rate_limit_store_is_back", "the store of shared counts answers again");
}

/// Counts what happens under pressure. Refusals are logged as such.
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
pub(crate) fn pressure(event: PressureEvent, label: Label<'_>) {
    wiring::count_pressure(event, label);
}

/// Says that a limit that finds itself has moved far.
#[cfg(feature = "load-shed")]
pub(crate) fn limit_moved(from: usize, to: usize) {
    report!(debug, Origin::LoadShed, event = "limit_moved", from, to, "");
}

/// Counts what a call came to; what would have been refused is logged too, as far as the sampler lets it.
#[cfg(feature = "circuit-breaker")]
#[inline]
pub(crate) fn circuit(event: CircuitEvent, circuit: &std::sync::Arc<str>, sampler: &Sampler, clock: &Clock) {
    // One without a name stands in the place of one that a configuration left out.
    if circuit.is_empty() {
        return;
    }
    wiring::count_circuit(event, circuit);
    if event != CircuitEvent::Shadowed {
        return;
    }
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(warn, Origin::CircuitBreaker, event = "circuit_shadow_refused", circuit = &**circuit, suppressed, "");
}

/// Reports a circuit's transition; circuits by key share a name, and no gauge could show them.
#[cfg(feature = "circuit-breaker")]
pub(crate) fn circuit_changed(circuit: &std::sync::Arc<str>, names: [&'static str; 3], opened: bool, is_keyed: bool) {
    let [from, to, reason] = names;
    wiring::count_circuit_change(circuit, names);
    if !is_keyed {
        wiring::show_circuit(circuit, to);
    }
    if opened {
        report!(warn, Origin::CircuitBreaker, event = "circuit_opened", circuit = &**circuit, from, to, reason, "");
    } else {
        report!(info, Origin::CircuitBreaker, event = "circuit_changed", circuit = &**circuit, from, to, reason, "");
    }
}

/// Shows a circuit's state to metrics.
#[cfg(feature = "circuit-breaker")]
pub(crate) fn circuit_is(circuit: &std::sync::Arc<str>, state: &'static str) {
    wiring::show_circuit(circuit, state);
}

/// The OWASP logging vocabulary's name for a refusal of this kind.
const fn owasp_name(kind: ProblemKind) -> &'static str {
    use ProblemKind as Kind;
    match kind {
        Kind::Unauthenticated => "authn_login_fail",
        Kind::Forbidden => "authz_fail",
        Kind::QuotaExceeded | Kind::AbnormalUsage | Kind::TemporaryReducedCapacity => "excess_rate_limit_exceeded",
        Kind::BadRequest
        | Kind::ContentTooLarge
        | Kind::UriTooLong
        | Kind::UnsupportedMediaType
        | Kind::UnprocessableContent
        | Kind::HeaderFieldsTooLarge => "input_validation_fail",
        _ => "request_refused",
    }
}
