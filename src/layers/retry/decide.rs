//! Whether a call is tried again, and after which wait.

use std::time::Duration;

use super::asked::Asked;
use super::backoff::Backoff;

/// What bounds retries of one call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Tries in all.
    pub(super) attempts: u32,
    pub(super) backoff: Backoff,
    /// The longest wait that a server may ask for.
    pub(super) max_wait: Duration,
}

/// Why there is no further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// There were enough.
    Attempts,
    /// The server asks for a longer wait than we are ready for.
    Asked,
    /// It would be too late.
    Deadline,
}

impl Bounds {
    /// The wait before the next try, when so many were made, `left` is left until the deadline, and the answer asked so.
    pub(super) fn wait(&self, tries: u32, asked: Asked, left: Option<Duration>, random: u64) -> Result<Duration, Stop> {
        if tries >= self.attempts {
            return Err(Stop::Attempts);
        }
        let own = self.backoff.wait(tries.saturating_sub(1), random);
        let (wait, is_own) = match asked {
            Asked::Freely => (own, true),
            Asked::AtLeast(least) => (own.max(least), least <= own),
            Asked::Exactly(wait) => (wait, false),
        };
        if !is_own && wait > self.max_wait {
            return Err(Stop::Asked);
        }
        // At the deadline itself it is too late, too.
        if left.is_some_and(|left| wait >= left) {
            return Err(Stop::Deadline);
        }
        Ok(wait)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn bounds(attempts: u32) -> Bounds {
        Bounds { attempts, backoff: Backoff::new(secs(1), secs(8)).unwrap(), max_wait: secs(30) }
    }

    #[test]
    fn tries_in_all() {
        let tried = |attempts, tries| bounds(attempts).wait(tries, Asked::Freely, None, 0);
        assert_eq!(tried(1, 1), Err(Stop::Attempts));
        assert_eq!(tried(3, 2), Ok(Duration::ZERO));
        assert_eq!(tried(3, 3), Err(Stop::Attempts));
    }

    #[test]
    fn what_the_server_asks_for() {
        let wait = |asked, random| bounds(9).wait(1, asked, None, random);
        assert_eq!(wait(Asked::AtLeast(secs(5)), 0), Ok(secs(5)));
        // Longer than asked is no fault.
        assert_eq!(wait(Asked::AtLeast(Duration::ZERO), 1 << 63), Ok(Duration::from_millis(500)));
        assert_eq!(wait(Asked::Exactly(secs(5)), 1 << 63), Ok(secs(5)));
        assert_eq!(wait(Asked::Exactly(Duration::ZERO), 1 << 63), Ok(Duration::ZERO));
        assert_eq!(wait(Asked::AtLeast(secs(31)), 0), Err(Stop::Asked));
        assert_eq!(wait(Asked::Exactly(Duration::MAX), 0), Err(Stop::Asked));
    }

    #[test]
    fn never_past_the_deadline() {
        let wait = |asked, left| bounds(9).wait(1, asked, Some(left), 1 << 63);
        assert_eq!(wait(Asked::Freely, Duration::from_millis(501)), Ok(Duration::from_millis(500)));
        assert_eq!(wait(Asked::Freely, Duration::from_millis(500)), Err(Stop::Deadline));
        assert_eq!(wait(Asked::AtLeast(secs(5)), secs(5)), Err(Stop::Deadline));
        assert_eq!(wait(Asked::Exactly(Duration::ZERO), Duration::ZERO), Err(Stop::Deadline));
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let wait = || (0_u64..60_000).prop_map(Duration::from_millis);
        prop_oneof![Just(Asked::Freely), wait().prop_map(Asked::AtLeast), wait().prop_map(Asked::Exactly)]
    }

    proptest! {
        #[test]
        fn a_wait_keeps_every_promise(attempts in 1_u32..12, tries in 1_u32..12, asked in asked(),
            left in proptest::option::of(0_u64..60_000), random: u64)
        {
            let left = left.map(Duration::from_millis);
            let bounds = bounds(attempts);
            match bounds.wait(tries, asked, left, random) {
                Ok(wait) => {
                    prop_assert!(tries < attempts);
                    prop_assert!(left.is_none_or(|left| wait < left));
                    match asked {
                        Asked::Freely => prop_assert!(wait <= secs(8)),
                        Asked::AtLeast(least) => prop_assert!(wait >= least && wait <= least.max(secs(8)) && wait <= secs(30)),
                        Asked::Exactly(exactly) => prop_assert!(wait == exactly && wait <= secs(30)),
                    }
                }
                Err(Stop::Attempts) => prop_assert!(tries >= attempts),
                Err(Stop::Asked) => prop_assert!(
                    matches!(asked, Asked::AtLeast(wait) | Asked::Exactly(wait) if wait > secs(30))
                ),
                Err(Stop::Deadline) => prop_assert!(left.is_some()),
            }
        }
    }
}
