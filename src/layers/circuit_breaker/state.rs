//! What users see of a circuit.

use std::fmt;

use super::word::{Phase, Word};

/// What a circuit does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Calls pass and are counted.
    Closed,
    /// Calls are refused.
    Open,
    /// A few calls pass, and decide.
    HalfOpen,
    /// A growing share of calls passes.
    RampUp,
    /// Calls are refused, since somebody said so.
    ForcedOpen,
    /// Calls pass and are not counted, since somebody said so.
    Disabled,
}

impl State {
    pub(super) const fn of(phase: Phase) -> Self {
        match phase {
            Phase::Closed => Self::Closed,
            Phase::Open => Self::Open,
            Phase::HalfOpen => Self::HalfOpen,
            Phase::RampUp => Self::RampUp,
            Phase::ForcedOpen => Self::ForcedOpen,
            Phase::Disabled => Self::Disabled,
        }
    }

    /// The name in events, metrics and state documents.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half-open",
            Self::RampUp => "ramp-up",
            Self::ForcedOpen => "forced-open",
            Self::Disabled => "disabled",
        }
    }

    /// Whether calls pass, all or most of them.
    #[must_use]
    pub const fn is_passing(self) -> bool {
        matches!(self, Self::Closed | Self::RampUp | Self::Disabled)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a circuit went from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// So many failures came in a row.
    ConsecutiveFailures,
    /// Too many of the calls failed.
    FailureRate,
    /// Too many of the calls were slow.
    SlowRate,
    /// Too many probes failed for the rest to make up for.
    ProbeFailed,
    /// A probe gave no answer in time.
    ProbeExpired,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// The time of the state was over.
    IntervalPassed,
    /// All calls pass again.
    RampedUp,
    /// Somebody said so.
    Forced,
    /// Somebody let it begin anew.
    Reset,
}

impl Reason {
    /// The name in events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ConsecutiveFailures => "consecutive_failures",
            Self::FailureRate => "failure_rate",
            Self::SlowRate => "slow_rate",
            Self::ProbeFailed => "probe_failed",
            Self::ProbeExpired => "probe_expired",
            Self::ProbesSucceeded => "probes_succeeded",
            Self::IntervalPassed => "interval_passed",
            Self::RampedUp => "ramped_up",
            Self::Forced => "forced",
            Self::Reset => "reset",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A transition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

impl Change {
    pub(super) const fn new(from: Word, to: Word, reason: Reason) -> Self {
        Self { from: State::of(from.phase()), to: State::of(to.phase()), reason }
    }
}
