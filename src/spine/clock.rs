//! Time. This is the only file of the crate that reads it.

#[cfg(feature = "_sleep")]
use std::collections::BTreeMap;
use std::sync::Arc;
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "rate-limit", feature = "retry"))]
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "_sleep")]
use std::sync::{Mutex, MutexGuard, PoisonError};
#[cfg(feature = "_sleep")]
use std::task::Waker;
use std::time::{Duration, Instant, SystemTime};

#[cfg(feature = "_sleep")]
mod sleep;
#[cfg(feature = "_sleep")]
#[allow(unused_imports, reason = "not everybody who waits names it")]
pub(crate) use self::sleep::Sleep;

/// Where a layer takes the time from: the system, or a clock that a test moves by hand.
///
/// It is one concrete type, so that no layer carries a type parameter for it. Clones of a manual clock show the same
/// time.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::Clock;
///
/// let (clock, hand) = Clock::manual();
/// let before = clock.now();
/// hand.advance(Duration::from_secs(60 * 60 * 24));
/// assert_eq!(clock.now() - before, Duration::from_secs(86_400));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Clock(Source);

#[derive(Debug, Clone, Default)]
enum Source {
    #[default]
    System,
    Manual(Arc<Manual>),
}

#[derive(Debug)]
struct Manual {
    start: Instant,
    start_wall: SystemTime,
    elapsed_nanos: AtomicU64,
    /// Who waits for which time, in nanoseconds since `start`, by the number of the wait.
    #[cfg(feature = "_sleep")]
    sleepers: Mutex<BTreeMap<u64, (u64, Waker)>>,
    #[cfg(feature = "_sleep")]
    sleeps: AtomicU64,
}

/// Where [`Clock::ticks`] begin.
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "rate-limit", feature = "retry"))]
static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The tick of [`ORIGIN`]: above zero, which is free to stand for "never".
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "rate-limit", feature = "retry"))]
const FIRST_TICK: u64 = 1_000_000_000;
/// Where ticks end, after 146 years: what is added to one does not overflow.
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "rate-limit", feature = "retry"))]
const LAST_TICK: u64 = 1 << 62;

impl Clock {
    /// The system's monotonic and wall clocks.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until its hand moves it. Its wall time starts at the present.
    #[must_use]
    pub fn manual() -> (Self, ClockHand) {
        // The origin of ticks is no later than the clock's start.
        #[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "rate-limit", feature = "retry"))]
        LazyLock::force(&ORIGIN);
        let manual = Arc::new(Manual {
            start: Instant::now(),
            start_wall: SystemTime::now(),
            elapsed_nanos: AtomicU64::new(0),
            #[cfg(feature = "_sleep")]
            sleepers: Mutex::default(),
            #[cfg(feature = "_sleep")]
            sleeps: AtomicU64::new(0),
        });
        (Self(Source::Manual(Arc::clone(&manual))), ClockHand(manual))
    }

    /// Monotonic time, for durations.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => manual.start + manual.passed(),
        }
    }

    /// Monotonic time as nanoseconds since a moment of this process, never zero: what fits into one word of a table.
    #[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "rate-limit", feature = "retry"))]
    #[inline]
    pub(crate) fn ticks(&self) -> u64 {
        // The origin first, so that it is not the later of the two.
        let origin = *ORIGIN;
        let since = self.now().saturating_duration_since(origin);
        let nanos = since.as_secs().saturating_mul(1_000_000_000).saturating_add(u64::from(since.subsec_nanos()));
        nanos.saturating_add(FIRST_TICK).min(LAST_TICK)
    }

    /// Wall time, for dates such as a token's expiry. It may jump.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Manual(manual) => manual.start_wall + manual.passed(),
        }
    }
}

impl Manual {
    fn passed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_nanos.load(Ordering::Acquire))
    }

    #[cfg(feature = "_sleep")]
    fn sleepers(&self) -> MutexGuard<'_, BTreeMap<u64, (u64, Waker)>> {
        // A waker that panicked left the list whole.
        self.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes everybody whose time has come; outside the lock, since a waker may run anything.
    #[cfg(feature = "_sleep")]
    fn wake_due(&self) {
        let elapsed_nanos = self.elapsed_nanos.load(Ordering::Acquire);
        let due = |(until_nanos, _): &(u64, Waker)| *until_nanos <= elapsed_nanos;
        let wakers: Vec<_> =
            self.sleepers().values().filter(|sleeper| due(sleeper)).map(|(_, waker)| waker.clone()).collect();
        wakers.into_iter().for_each(Waker::wake);
    }
}

/// Moves a manual [`Clock`].
#[derive(Debug, Clone)]
pub struct ClockHand(Arc<Manual>);

impl ClockHand {
    /// Moves the clock forward; it never goes back. 584 years are the most it can move in all.
    pub fn advance(&self, by: Duration) {
        let by_nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        // The closure always returns `Some`, so the update cannot fail.
        let _ = self.0.elapsed_nanos.fetch_update(Ordering::AcqRel, Ordering::Acquire, |elapsed_nanos| {
            Some(elapsed_nanos.saturating_add(by_nanos))
        });
        #[cfg(feature = "_sleep")]
        self.0.wake_due();
    }
}
