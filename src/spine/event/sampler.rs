//! How much of a flood is logged.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

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
