//! What happens in a layer beside refusals, with the names that metrics and events have for it.

#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
use std::sync::Arc;

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

/// What becomes of a call that failed and might be tried again.
#[cfg(feature = "retry")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryEvent {
    Retried,
    /// There were enough tries.
    Exhausted,
    BudgetSpent,
    /// The deadline comes before the next try.
    TooLate,
    /// The server asks for too long a wait.
    AskedTooLong,
    /// The body was too long to be kept, or broke off itself.
    BodyGone,
    NoTimer,
}

#[cfg(feature = "retry")]
impl RetryEvent {
    /// The label in metrics and events: why there is no further try; `None` when there is one.
    pub(crate) const fn stopped_by(self) -> Option<&'static str> {
        match self {
            Self::Retried => None,
            Self::Exhausted => Some("attempts"),
            Self::BudgetSpent => Some("budget"),
            Self::TooLate => Some("deadline"),
            Self::AskedTooLong => Some("retry_after"),
            Self::BodyGone => Some("body"),
            Self::NoTimer => Some("timer"),
        }
    }
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

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Shadowed => "rate_limit_shadowed",
            Self::Overflowed => "rate_limit_keys_overflowed",
            Self::Paced => "rate_limit_paced",
        }
    }
}

/// What happens with the store that limiters share.
#[cfg(feature = "rate-limit")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoreEvent {
    /// A request asked it.
    Asked,
    /// It did not answer in time, or not at all.
    Failed,
    /// A lease had a policy's tokens.
    Leased,
    /// A request was refused by what was known.
    Remembered,
}

#[cfg(feature = "rate-limit")]
impl StoreEvent {
    /// The counter's name.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only metrics asks"))]
    pub(crate) const fn metric(self) -> &'static str {
        match self {
            Self::Asked => "rampart_rate_limit_store_asked_total",
            Self::Failed => "rampart_rate_limit_store_failed_total",
            Self::Leased => "rampart_rate_limit_store_leased_total",
            Self::Remembered => "rampart_rate_limit_store_remembered_total",
        }
    }
}

/// What a counter is told apart by.
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
#[derive(Debug, Clone, Copy)]
#[cfg_attr(
    not(all(feature = "bulkhead", feature = "load-shed", feature = "metrics")),
    allow(dead_code, reason = "each layer has one kind, and only metrics ask")
)]
pub(crate) enum Label<'a> {
    Fixed(&'static str),
    Named(&'a Arc<str>),
}

/// What happens to bulkheads and to what sheds load, beside refusals.
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PressureEvent {
    /// A request had to wait for a place.
    #[cfg(feature = "bulkhead")]
    Waited,
    /// It waited in vain.
    #[cfg(feature = "bulkhead")]
    WaitedInVain,
    /// A request of a class was shed.
    #[cfg(feature = "load-shed")]
    Shed,
}

#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
impl PressureEvent {
    /// The counter's name, and its label's.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only metrics asks"))]
    pub(crate) const fn metric(self) -> (&'static str, &'static str) {
        match self {
            #[cfg(feature = "bulkhead")]
            Self::Waited => ("rampart_bulkhead_waited_total", "bulkhead"),
            #[cfg(feature = "bulkhead")]
            Self::WaitedInVain => ("rampart_bulkhead_waited_in_vain_total", "bulkhead"),
            #[cfg(feature = "load-shed")]
            Self::Shed => ("rampart_load_shed_shed_total", "criticality"),
        }
    }
}

/// What a circuit's call came to, beside a plain success.
#[cfg(feature = "circuit-breaker")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CircuitEvent {
    Failure,
    Overload,
    Neutral,
    Stale,
    Refused,
    Shadowed,
}

#[cfg(feature = "circuit-breaker")]
impl CircuitEvent {
    /// The label of the counter.
    #[cfg_attr(not(feature = "metrics"), expect(dead_code, reason = "only metrics asks"))]
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Failure => "failure",
            Self::Overload => "overload",
            Self::Neutral => "neutral",
            Self::Stale => "stale",
            Self::Refused => "refused",
            Self::Shadowed => "shadowed",
        }
    }
}
