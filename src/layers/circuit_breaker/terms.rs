//! What a circuit opens at, and for how long, in numbers that were checked.

/// Parts of a whole, in millionths: rates are compared without fractions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rate(u32);

const WHOLE: u32 = 1_000_000;

impl Rate {
    /// A share above zero and no more than one.
    pub(super) fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share <= 1.0).then(|| Self(((share * f64::from(WHOLE)).round() as u32).max(1)))
    }

    /// Whether so many of all are this share or more.
    pub(super) const fn is_reached(self, some: u32, all: u32) -> bool {
        some as u64 * WHOLE as u64 >= self.0 as u64 * all as u64
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} %", f64::from(self.0) / f64::from(WHOLE / 100))
    }
}

/// Where a window slides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Span {
    Calls(u32),
    Millis(u64),
}

/// See the module. Times are in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) span: Span,
    pub(super) min_calls: u32,
    pub(super) consecutive: Option<u32>,
    pub(super) failure_rate: Option<Rate>,
    pub(super) slow_rate: Option<Rate>,
    pub(super) open_for: u64,
    pub(super) max_open: u64,
    /// The share by which an interval may be longer or shorter, in millionths.
    pub(super) jitter: u32,
    /// The time of health after which one opening is forgotten.
    pub(super) decay: u64,
    pub(super) probes: u32,
    pub(super) needed: u32,
    pub(super) lease: u64,
    /// Zero: no ramp.
    pub(super) ramp: u64,
}

/// The share of calls that a ramp begins with, in millionths.
const RAMP_FROM: u64 = 100_000;

impl Terms {
    /// Those of a circuit that is never asked.
    pub(super) const NOTHING: Self = Self {
        span: Span::Calls(1),
        min_calls: 1,
        consecutive: None,
        failure_rate: None,
        slow_rate: None,
        open_for: 1,
        max_open: 1,
        jitter: 0,
        decay: 1,
        probes: 1,
        needed: 1,
        lease: 1,
        ramp: 0,
    };

    /// How long to stay open for the nth time in a row: doubling, spread by the dice, and never beyond the cap.
    pub(super) fn interval(&self, attempts: u32, dice: u64) -> u64 {
        let doublings = attempts.saturating_sub(1).min(62);
        let base = self.open_for.saturating_mul(1 << doublings).min(self.max_open);
        let spread = u128::from(base) * u128::from(self.jitter) / u128::from(WHOLE);
        let offset = (u128::from(dice) * (2 * spread + 1)) >> 64;
        let jittered = u128::from(base) + offset - spread;
        u64::try_from(jittered).unwrap_or(u64::MAX).clamp(1, self.max_open)
    }

    /// The openings that still count after a time of health.
    pub(super) fn remembered(&self, attempts: u32, healthy: u64) -> u32 {
        let forgotten = healthy.checked_div(self.decay).unwrap_or(0);
        attempts.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    /// Whether a ramp lets a call through, so long after it began.
    pub(super) const fn ramp_admits(&self, passed: u64, dice: u64) -> bool {
        if passed >= self.ramp {
            return true;
        }
        let share = passed as u128 * WHOLE as u128 / self.ramp as u128;
        let share = if share < RAMP_FROM as u128 { RAMP_FROM as u128 } else { share };
        (dice as u128 * WHOLE as u128) >> 64 < share
    }

    pub(super) const fn counts_slow(&self) -> bool {
        self.slow_rate.is_some()
    }

    pub(super) const fn slides(&self) -> bool {
        self.failure_rate.is_some() || self.slow_rate.is_some()
    }
}
