//! What layers report. This is the only file that names `tracing`.
//!
//! An event has a stable target (`tower_rampart::<layer>`), an `event` field from the OWASP logging vocabulary, and
//! fields of low cardinality: never input, keys, tokens or bodies.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::spine::clock::Clock;
use crate::spine::problem::ProblemKind;
use crate::spine::rejection::Rejection;
use crate::spine::request::{RequestFacts, RequestId};
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
    /// The rate limiting layers.
    RateLimit = "rate_limit";
    /// The security headers layer.
    SecurityHeaders = "security_headers";
    /// The validation layer.
    Validate = "validate";
}

/// Reports a refusal: always counted, logged as far as the sampler lets it.
pub(crate) fn refused(rejection: &Rejection, request: &RequestFacts, sampler: &Sampler, clock: &Clock) {
    let kind = rejection.problem().kind();
    wiring::count_refusal(rejection.origin(), kind);
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(
        warn,
        rejection.origin(),
        event = owasp_name(kind),
        status = kind.status().as_u16(),
        request_id = request.request_id().map(RequestId::as_str),
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

/// Says why a credential was refused, for whoever looks for it: the client is not told.
#[cfg(feature = "_auth")]
pub(crate) fn credential_refused(origin: Origin, reason: &dyn std::fmt::Display) {
    report!(debug, origin, event = "authn_token_refused", "{reason}");
}

/// Says why nobody can tell whether a credential is good, as far as the sampler lets it: strangers bring it about.
#[cfg(all(feature = "_auth", feature = "introspection"))]
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

/// What an authorization comes to, for counters.
#[cfg(feature = "_auth")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthzOutcome {
    Allowed,
    Denied,
    ShadowAllowed,
    ShadowDenied,
}

#[cfg(feature = "_auth")]
impl AuthzOutcome {
    pub(crate) const fn enforced(allowed: bool) -> Self {
        if allowed { Self::Allowed } else { Self::Denied }
    }

    pub(crate) const fn shadow(allowed: bool) -> Self {
        if allowed { Self::ShadowAllowed } else { Self::ShadowDenied }
    }

    /// The counter's name.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only metrics asks"))]
    pub(crate) const fn metric(self) -> &'static str {
        match self {
            Self::Allowed => "rampart_authz_allowed_total",
            Self::Denied => "rampart_authz_denied_total",
            Self::ShadowAllowed => "rampart_authz_shadow_allowed_total",
            Self::ShadowDenied => "rampart_authz_shadow_denied_total",
        }
    }
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
pub(crate) fn store_failed(sampler: &Sampler, clock: &Clock) {
    let Some(suppressed) = sampler.admit(clock.now()) else { return };
    report!(warn, Origin::Cache, event = "cache_store_failed", suppressed, "the second tier failed, which is a miss");
}

/// The same, with a text that is made only when it is said.
#[cfg(feature = "rate-limit")]
pub(crate) fn fault_once_with(said: &AtomicBool, origin: Origin, event: &'static str, mend: impl FnOnce() -> String) {
    if !said.load(Ordering::Relaxed) {
        fault_once(said, origin, event, &mend());
    }
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

/// What happens to a limiter's policy beside refusals.
#[cfg(feature = "rate-limit")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PolicyEvent {
    /// A shadow policy would have refused.
    Shadowed,
    /// A key found no place of its own.
    Overflowed,
    /// A request was made to wait.
    Paced,
}

#[cfg(feature = "rate-limit")]
impl PolicyEvent {
    /// The counter's name.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only metrics asks"))]
    pub(crate) const fn metric(self) -> &'static str {
        match self {
            Self::Shadowed => "rampart_rate_limit_shadowed_total",
            Self::Overflowed => "rampart_rate_limit_overflowed_total",
            Self::Paced => "rampart_rate_limit_paced_total",
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Shadowed => "rate_limit_shadowed",
            Self::Overflowed => "rate_limit_keys_overflowed",
            Self::Paced => "rate_limit_paced",
        }
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

/// Lets the first events of every second through and counts the rest, so that a flood of refusals is no flood of
/// log lines.
#[derive(Debug, Default)]
pub(crate) struct Sampler {
    start: OnceLock<Instant>,
    /// The second since `start` in the upper bits, the events let through in it in the lower ones.
    window: AtomicU64,
    suppressed: AtomicU64,
}

impl Sampler {
    /// Events of one layer that are logged each second.
    pub(crate) const PER_SECOND: u64 = 10;
    const COUNT_BITS: u32 = 8;

    /// `Some` when the event is to be logged, with the number of those left out since the last one.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let start = *self.start.get_or_init(|| now);
        let second = now.saturating_duration_since(start).as_secs();
        let admitted = self.window.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |window| {
            let (held_second, count) = (window >> Self::COUNT_BITS, window & ((1 << Self::COUNT_BITS) - 1));
            if second > held_second {
                Some((second << Self::COUNT_BITS) | 1)
            } else {
                (count < Self::PER_SECOND).then_some(window + 1)
            }
        });
        if admitted.is_ok() {
            Some(self.suppressed.swap(0, Ordering::Relaxed))
        } else {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            None
        }
    }
}
