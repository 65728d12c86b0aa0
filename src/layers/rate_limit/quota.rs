//! How much is allowed.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::spine::config::ConfigError;

/// How many requests a key may make in how much time.
///
/// A token bucket (GCRA): `limit` tokens come back evenly over `window`, and up to `burst` of them can be saved up.
/// With [`fixed_window`](QuotaBuilder::fixed_window), `limit` requests in each window instead, which begins with a
/// key's first request; up to twice the limit can then pass around the edge of two windows.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::rate_limit::Quota;
///
/// let a_minute = Duration::from_secs(60);
/// // One token each 600 ms; a rested client may send 20 at once.
/// let quota = Quota::new(100).per(a_minute).burst(20).build()?;
/// assert_eq!(quota.burst(), 20);
///
/// // As express-rate-limit counts.
/// let window = Quota::new(100).per(15 * a_minute).fixed_window().build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    limit: NonZeroU32,
    window: Duration,
    burst: NonZeroU32,
    kind: QuotaKind,
}

/// How a quota comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum QuotaKind {
    TokenBucket,
    FixedWindow,
}

/// The longest time in which a bucket may refill, or a window may last: 73 years. Times of this length can be added
/// to a process's uptime without leaving the 63 bits that a table's slot has for them.
const MAX_NANOS: u64 = 1 << 61;
/// The longest fixed window: ten years.
const MAX_WINDOW: Duration = Duration::from_secs(3650 * 86_400);
/// What a slot has room to count.
const MAX_WINDOW_LIMIT: u32 = (1 << 24) - 2;

impl Quota {
    /// So many requests; [`per`](QuotaBuilder::per) says in how much time.
    #[allow(clippy::new_ret_no_self, reason = "a number alone is no quota yet")]
    pub const fn new(limit: u32) -> QuotaBuilder {
        QuotaBuilder { limit, window: None, burst: None, kind: QuotaKind::TokenBucket }
    }

    /// How many requests in each [`window`](Self::window).
    #[must_use]
    pub const fn limit(&self) -> u32 {
        self.limit.get()
    }

    /// The time in which the limit comes back.
    #[must_use]
    pub const fn window(&self) -> Duration {
        self.window
    }

    /// How many requests a rested client may make at once.
    #[must_use]
    pub const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// What one of several instances lets through by itself: the rate divided among them, and at least one request.
    /// What is used of a bucket stays the same part of it.
    pub(super) fn share(&self, instances: NonZeroU32) -> Self {
        let part = |number: NonZeroU32| NonZeroU32::new(number.get() / instances).unwrap_or(NonZeroU32::MIN);
        match self.kind {
            QuotaKind::FixedWindow => Self { limit: part(self.limit), burst: part(self.limit), ..*self },
            QuotaKind::TokenBucket => {
                let shared =
                    Self { window: self.window.saturating_mul(instances.get()), burst: part(self.burst), ..*self };
                // A bucket that would take ages to fill is shared no further.
                if check_bucket(shared.window, shared.limit, shared.burst).is_ok() { shared } else { *self }
            }
        }
    }

    /// Whether it is counted in windows, instead of coming back evenly.
    #[must_use]
    pub const fn is_fixed_window(&self) -> bool {
        matches!(self.kind, QuotaKind::FixedWindow)
    }

    pub(super) const fn kind(&self) -> QuotaKind {
        self.kind
    }

    pub(super) const fn burst_cells(&self) -> NonZeroU32 {
        self.burst
    }

    /// The time in which an empty bucket fills.
    pub(super) fn refill_nanos(&self) -> u64 {
        let refill = (self.window.as_nanos() * u128::from(self.burst.get())).div_ceil(u128::from(self.limit.get()));
        u64::try_from(refill).unwrap_or(u64::MAX)
    }

    /// The time that one token takes, rounded up to whole nanoseconds: never a token too many.
    pub(super) fn interval_nanos(&self) -> u64 {
        interval_nanos(self.window, self.limit)
    }
}

fn interval_nanos(window: Duration, limit: NonZeroU32) -> u64 {
    let interval = window.as_nanos().div_ceil(u128::from(limit.get()));
    u64::try_from(interval).unwrap_or(u64::MAX).max(1)
}

/// A [`Quota`] in the making. Whatever takes a quota takes this too, and reports its faults when it is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a quota limits nothing until it is given to a policy"]
pub struct QuotaBuilder {
    limit: u32,
    window: Option<Duration>,
    burst: Option<u32>,
    kind: QuotaKind,
}

impl QuotaBuilder {
    /// The time in which the limit comes back.
    pub const fn per(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// How many requests a rested client may make at once; the limit, unless it is given.
    pub const fn burst(mut self, burst: u32) -> Self {
        self.burst = Some(burst);
        self
    }

    /// Counts in windows that begin with a key's first request, instead of letting tokens come back evenly.
    pub const fn fixed_window(mut self) -> Self {
        self.kind = QuotaKind::FixedWindow;
        self
    }

    /// The quota.
    ///
    /// # Errors
    ///
    /// A limit, window or burst of zero, a missing window, a burst beside a fixed window, and quotas beyond what can
    /// be counted: buckets that take more than 73 years to fill, windows of more than ten years or 16 million requests.
    pub fn build(self) -> Result<Quota, ConfigError> {
        const LIMIT_MEND: &str = "write 1 or more; to refuse everything, use a policy's `add_denied_key` or no route";
        let limit = NonZeroU32::new(self.limit)
            .ok_or_else(|| ConfigError::new("quota", self.limit, "lets nothing through", LIMIT_MEND))?;
        let window = match self.window {
            None => return Err(ConfigError::new("window", "", "is missing", "say how long with `.per(duration)`")),
            Some(window) if window.is_zero() => {
                return Err(ConfigError::new("window", "0s", "is no time", "write how long the quota lasts"));
            }
            Some(window) => window,
        };
        let burst = NonZeroU32::new(self.burst.unwrap_or(self.limit))
            .ok_or_else(|| ConfigError::new("burst", 0, "lets nothing through", "write 1 or more"))?;
        match self.kind {
            QuotaKind::TokenBucket => check_bucket(window, limit, burst)?,
            QuotaKind::FixedWindow => check_window(window, limit, self.burst)?,
        }
        Ok(Quota { limit, window, burst, kind: self.kind })
    }
}

fn check_bucket(window: Duration, limit: NonZeroU32, burst: NonZeroU32) -> Result<(), ConfigError> {
    let refill = interval_nanos(window, limit).checked_mul(burst.get().into());
    if refill.is_some_and(|nanos| nanos <= MAX_NANOS) {
        return Ok(());
    }
    const MEND: &str = "write a smaller burst, or a shorter window";
    Err(ConfigError::new("burst", burst, "takes more than 73 years to come back at this rate", MEND))
}

fn check_window(window: Duration, limit: NonZeroU32, burst: Option<u32>) -> Result<(), ConfigError> {
    if let Some(burst) = burst.filter(|burst| *burst != limit.get()) {
        const MEND: &str = "leave it out, or use a token bucket";
        return Err(ConfigError::new("burst", burst, "means nothing beside a fixed window", MEND));
    }
    if limit.get() > MAX_WINDOW_LIMIT {
        const MEND: &str = "write 16777214 or less, or use a token bucket";
        return Err(ConfigError::new("quota", limit, "is more than a fixed window can count", MEND));
    }
    if window > MAX_WINDOW {
        let days = window.as_secs() / 86_400;
        return Err(ConfigError::new("window", format!("{days}d"), "is more than ten years", "write a shorter one"));
    }
    Ok(())
}

impl TryFrom<QuotaBuilder> for Quota {
    type Error = ConfigError;

    fn try_from(builder: QuotaBuilder) -> Result<Self, ConfigError> {
        builder.build()
    }
}
