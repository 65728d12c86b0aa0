//! How many retries there may be: a share of recent requests, and a few in any case.
//!
//! When everything fails, retries multiply the load on what is down. A share keeps them an addition: of 100 requests in the
//! window, 20 are tried again, and the next failure is told to its client.

use std::sync::PoisonError;

use super::sync::{AtomicU64, Mutex, Ordering};

/// Seconds that count as recent, the present one included.
pub(super) const WINDOW_SECS: u64 = 10;

/// Requests and retries of each recent second.
#[derive(Debug)]
pub(super) struct Budget {
    pub(super) percent: u32,
    pub(super) floor: u32,
    pub(super) seconds: [AtomicU64; WINDOW_SECS as usize],
    /// Held by retries alone, so that two of them do not take the last place both. Requests count without it.
    taking: Mutex<()>,
}

/// What a word holds: which round of the window it counts in, requests, retries.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Second {
    pub(super) round: u64,
    pub(super) requests: u64,
    pub(super) retries: u64,
}

impl Second {
    const REQUESTS_BITS: u32 = 24;
    const RETRIES_BITS: u32 = 16;
    pub(super) const MOST_REQUESTS: u64 = (1 << Self::REQUESTS_BITS) - 1;
    pub(super) const MOST_RETRIES: u64 = (1 << Self::RETRIES_BITS) - 1;
    /// Five years of ten seconds each.
    const MOST_ROUNDS: u64 = 1 << (64 - Self::REQUESTS_BITS - Self::RETRIES_BITS);
    /// A thread may come so many rounds late: a day.
    const MOST_LATE: u64 = 8640;

    pub(super) const fn of(word: u64) -> Self {
        Self {
            round: word >> (Self::REQUESTS_BITS + Self::RETRIES_BITS),
            requests: (word >> Self::RETRIES_BITS) & Self::MOST_REQUESTS,
            retries: word & Self::MOST_RETRIES,
        }
    }

    pub(super) const fn word(self) -> u64 {
        (self.round << (Self::REQUESTS_BITS + Self::RETRIES_BITS))
            | (self.requests << Self::RETRIES_BITS)
            | self.retries
    }
}

/// Requests and retries in the window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Recent {
    pub(super) requests: u64,
    pub(super) retries: u64,
}

impl Budget {
    pub(super) fn new(percent: u32, floor: u32) -> Self {
        Self { percent, floor, seconds: Default::default(), taking: Mutex::default() }
    }

    /// Counts a request. `second` is the time in whole seconds since whatever moment.
    pub(super) fn request(&self, second: u64) {
        self.count(second, |held| Second { requests: (held.requests + 1).min(Second::MOST_REQUESTS), ..held });
    }

    /// Takes back a request that came to be no load: the latest that counts as recent, since what is refused is refused soon.
    pub(super) fn take_back(&self, second: u64) {
        for second in (0..WINDOW_SECS).map_while(|ago| second.checked_sub(ago)) {
            let round = Self::round(second);
            let Some(word) = self.seconds.get((second % WINDOW_SECS) as usize) else { return };
            let taken = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
                let held = Second::of(word);
                let fewer = held.requests.checked_sub(1).filter(|_| held.round == round)?;
                Some(Second { requests: fewer, ..held }.word())
            });
            if taken.is_ok() {
                return;
            }
        }
    }

    /// Takes one retry, if one is left.
    pub(super) fn take_retry(&self, second: u64) -> bool {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let may = self.left(second) > 0;
        if may {
            self.count(second, |held| Second { retries: (held.retries + 1).min(Second::MOST_RETRIES), ..held });
        }
        may
    }

    /// Retries that are left.
    pub(super) fn left(&self, second: u64) -> u64 {
        let Recent { requests, retries } = self.recent(second);
        let share = requests.saturating_mul(u64::from(self.percent)) / 100;
        share.saturating_add(u64::from(self.floor)).saturating_sub(retries)
    }

    pub(super) fn recent(&self, second: u64) -> Recent {
        let mut recent = Recent::default();
        for (place, word) in (0..WINDOW_SECS).zip(&self.seconds) {
            let held = Second::of(word.load(Ordering::Relaxed));
            // A place is of this round up to the present second, and of the round before behind it.
            let current = second / WINDOW_SECS;
            let wanted = if place <= second % WINDOW_SECS { Some(current) } else { current.checked_sub(1) };
            if wanted.is_some_and(|round| round % Second::MOST_ROUNDS == held.round) {
                recent.requests += held.requests;
                recent.retries += held.retries;
            }
        }
        recent
    }

    const fn round(second: u64) -> u64 {
        (second / WINDOW_SECS) % Second::MOST_ROUNDS
    }

    fn count(&self, second: u64, add: impl Fn(Second) -> Second) {
        let round = Self::round(second);
        let Some(word) = self.seconds.get((second % WINDOW_SECS) as usize) else { return };
        // Whoever comes so late that another round has begun is no longer recent, and leaves what is.
        let _ = word.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |word| {
            let held = Second::of(word);
            match held.round.wrapping_sub(round) % Second::MOST_ROUNDS {
                0 => Some(add(held).word()),
                1..=Second::MOST_LATE => None,
                _ => Some(add(Second { round, ..Second::default() }).word()),
            }
        });
    }
}
