//! Time. This is the only file of the crate that reads it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

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
}

impl Clock {
    /// The system's monotonic and wall clocks.
    #[must_use]
    pub const fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that stands still until its hand moves it. Its wall time starts at the present.
    #[must_use]
    pub fn manual() -> (Self, ClockHand) {
        let manual =
            Arc::new(Manual { start: Instant::now(), start_wall: SystemTime::now(), elapsed_nanos: AtomicU64::new(0) });
        (Self(Source::Manual(Arc::clone(&manual))), ClockHand(manual))
    }

    /// Monotonic time, for durations.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::System => Instant::now(),
            Source::Manual(manual) => manual.start + manual.elapsed(),
        }
    }

    /// Wall time, for dates such as a token's expiry. It may jump.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::System => SystemTime::now(),
            Source::Manual(manual) => manual.start_wall + manual.elapsed(),
        }
    }
}

impl Manual {
    fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.elapsed_nanos.load(Ordering::Acquire))
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
    }
}
