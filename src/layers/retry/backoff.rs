//! How long to wait before the next try.

use std::time::Duration;

use crate::spine::config::ConfigError;

/// Waits that double, up to a most, each anywhere between nothing and all of it.
///
/// That jitter is full: clients that failed together do not come again together, and of all ways to spread them it makes for
/// the fewest calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// No wait is longer.
    const LONGEST: Duration = Duration::from_secs(3600);

    pub(super) fn new(first: Duration, most: Duration) -> Result<Self, ConfigError> {
        let refuse =
            |value: Duration, breach, mend| Err(ConfigError::new("backoff", format_args!("{value:?}"), breach, mend));
        if first.is_zero() {
            return refuse(first, "is no wait", "write a first wait such as 50 milliseconds");
        }
        if most < first {
            return refuse(most, "is shorter than the first wait", "write a longest wait such as 2 seconds");
        }
        if most > Self::LONGEST {
            return refuse(most, "is longer than anybody waits", "write an hour at most");
        }
        Ok(Self { first, most })
    }

    /// The wait before the retry that so many have gone before. `random` is any number, each as likely as any other.
    pub(super) fn wait(self, retries: u32, random: u64) -> Duration {
        let doubled = 2_u32.checked_pow(retries).and_then(|times| self.first.checked_mul(times));
        let most = doubled.map_or(self.most, |wait| wait.min(self.most));
        // At most an hour: far below 2^64 nanoseconds.
        let nanos = (most.as_nanos() * u128::from(random)) >> 64;
        Duration::from_nanos(nanos as u64)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_backoff() {
        let (ms, hour) = (Duration::from_millis(1), Duration::from_secs(3600));
        assert!(Backoff::new(ms, hour).is_ok());
        for (first, most) in [(Duration::ZERO, ms), (ms * 2, ms), (ms, hour + ms), (ms, Duration::MAX)] {
            assert!(Backoff::new(first, most).is_err());
        }
    }

    #[test]
    fn it_doubles_up_to_the_most() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).unwrap();
        let most = |retries| backoff.wait(retries, u64::MAX).as_millis() + 1;
        assert_eq!([0, 1, 2, 3, 4, 40].map(most), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.wait(3, 0), Duration::ZERO);
        assert_eq!(backoff.wait(0, 1 << 63), Duration::from_millis(50));
    }

    proptest! {
        #[test]
        fn never_longer_than_the_naive_ceiling(first in 1_u64..10_000, more in 0_u64..3_590_000, retries: u32, random: u64) {
            let most = first + more;
            let backoff = Backoff::new(Duration::from_millis(first), Duration::from_millis(most)).unwrap();
            let ceiling = (0..retries.min(64)).fold(first as f64, |wait, _| wait * 2.0).min(most as f64);
            let wait = backoff.wait(retries, random);
            prop_assert!(wait.as_secs_f64() * 1000.0 <= ceiling * 1.000001);
            // The share of the ceiling is the share of all numbers.
            let share = random as f64 / 2_f64.powi(64);
            prop_assert!((wait.as_secs_f64() * 1000.0 - ceiling * share).abs() < 0.001 + ceiling * 1e-6);
        }
    }
}
