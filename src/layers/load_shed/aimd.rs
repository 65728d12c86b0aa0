//! Additive increase, multiplicative decrease: by one as long as all is well, by a share when it is not.

use super::sample::Window;

/// A limit by a latency that must not be exceeded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Aimd {
    /// The mean latency of a window above which it counts as overloaded.
    pub(super) latency_limit: f64,
}

/// What is left of the limit after an overloaded window.
pub(super) const BACKOFF: f64 = 0.9;

impl Aimd {
    /// The limit after a window.
    pub(super) fn next(&self, window: &Window, limit: f64) -> f64 {
        let too_slow = window.mean_latency().is_some_and(|latency| latency > self.latency_limit);
        if window.is_overloaded() || too_slow {
            limit * BACKOFF
        } else if window.used(limit) {
            limit + 1.0
        } else {
            limit
        }
    }
}
