//! Fixed windows, which begin with a key's first request.
//!
//! A cell is the end of its window in milliseconds, and how much was used in it.

use super::meter::{Decision, Standing, Verdict};
use super::quota::Quota;

const COUNT_BITS: u32 = 24;
const COUNT_MASK: u64 = (1 << COUNT_BITS) - 1;
/// The count of a cell that is shut until its end.
const BLOCKED: u64 = COUNT_MASK;
const MAX_COUNT: u64 = COUNT_MASK - 1;
/// The last end that a cell has room for: 34 years from the start of the process.
const MAX_END_MS: u64 = (1 << (64 - COUNT_BITS)) - 1;
const NANOS_PER_MS: u64 = 1_000_000;

/// A quota, in the terms of a fixed window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    limit: u32,
    window_nanos: u64,
}

impl Window {
    pub(super) fn new(quota: &Quota) -> Self {
        let window_nanos = u64::try_from(quota.window().as_nanos()).unwrap_or(u64::MAX);
        // A token bucket's numbers may be asked for as a window, and its limit may be larger than a window's.
        Self { limit: quota.limit().min(MAX_COUNT as u32), window_nanos }
    }

    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    pub(super) const fn window_nanos(&self) -> u64 {
        self.window_nanos
    }

    /// When the cell says nothing any more.
    pub(super) const fn expiry(cell: u64) -> u64 {
        (cell >> COUNT_BITS).saturating_mul(NANOS_PER_MS)
    }

    /// A cell whose time begins now. Its end is cut to the millisecond, so that nobody is told to wait for a second
    /// longer than the window has.
    const fn cell(now: u64, nanos: u64, count: u64) -> u64 {
        let (end_ms, now_ms) = (now.saturating_add(nanos) / NANOS_PER_MS, now / NANOS_PER_MS);
        let end_ms = if end_ms <= now_ms { now_ms + 1 } else { end_ms };
        let end_ms = if end_ms > MAX_END_MS { MAX_END_MS } else { end_ms };
        end_ms << COUNT_BITS | count
    }

    /// The cell as it stands now: its window may be over.
    const fn current(&self, cell: u64, now: u64) -> u64 {
        if Self::expiry(cell) <= now { Self::cell(now, self.window_nanos, 0) } else { cell }
    }

    pub(super) fn decide(&self, cell: u64, cost: u32, now: u64) -> Decision {
        let current = self.current(cell, now);
        let (end, count) = (Self::expiry(current), current & COUNT_MASK);
        let wait_nanos = end.saturating_sub(now);
        if count == BLOCKED {
            return Decision { next: cell, verdict: Verdict::Blocked { wait_nanos } };
        }
        if cost > self.limit {
            return Decision { next: cell, verdict: Verdict::TooCostly };
        }
        // A look is refused only if nothing is left.
        if count + u64::from(cost.max(1)) > u64::from(self.limit) {
            return Decision { next: cell, verdict: Verdict::Refused { wait_nanos: Some(wait_nanos) } };
        }
        let next = if cost == 0 { cell } else { current + u64::from(cost) };
        Decision { next, verdict: Verdict::Admitted }
    }

    /// Takes back a charge, unless its window is over. Without the cell that it left, it was made under another quota.
    pub(super) fn refund(cell: u64, requests: u32, after: Option<u64>) -> u64 {
        let same_window = after.is_none_or(|after| cell >> COUNT_BITS == after >> COUNT_BITS);
        let count = cell & COUNT_MASK;
        if !same_window || count == BLOCKED {
            return cell;
        }
        cell - if count < requests as u64 { count } else { requests as u64 }
    }

    /// Counts without asking.
    pub(super) fn charge(&self, cell: u64, requests: u32, now: u64) -> u64 {
        let current = self.current(cell, now);
        let count = current & COUNT_MASK;
        if count == BLOCKED {
            return current;
        }
        (current & !COUNT_MASK) | (count + u64::from(requests)).min(MAX_COUNT)
    }

    /// Shuts the cell for a time, or until its window ends if that is later.
    pub(super) const fn block(cell: u64, wait_nanos: u64, now: u64) -> u64 {
        let (blocked, held) = (Self::cell(now, wait_nanos, BLOCKED), cell | BLOCKED);
        if held > blocked { held } else { blocked }
    }

    pub(super) fn with_remaining(&self, remaining: u32, now: u64) -> u64 {
        match self.limit.saturating_sub(remaining) {
            0 => 0,
            used => Self::cell(now, self.window_nanos, used.into()),
        }
    }

    /// A cell that others have written, perhaps by a longer window. Who is shut out stays so.
    pub(super) const fn cut(&self, cell: u64, now: u64) -> u64 {
        let count = cell & COUNT_MASK;
        let most = Self::cell(now, self.window_nanos, count);
        if count == BLOCKED || cell < most { cell } else { most }
    }

    /// A window of which so much is left, and which ends after so long.
    pub(super) fn cell_of(&self, remaining: u32, full_nanos: u64, is_blocked: bool, now: u64) -> u64 {
        let used = u64::from(self.limit.saturating_sub(remaining));
        Self::cell(now, full_nanos, if is_blocked { BLOCKED } else { used })
    }

    pub(super) fn standing(&self, cell: u64, now: u64) -> Standing {
        let current = self.current(cell, now);
        // A blocked cell's count is above every limit.
        let used = u32::try_from(current & COUNT_MASK).unwrap_or(u32::MAX);
        let wait_nanos = if used == 0 { 0 } else { Self::expiry(current).saturating_sub(now) };
        Standing {
            limit: self.limit,
            remaining: self.limit.saturating_sub(used),
            next_nanos: wait_nanos,
            full_nanos: wait_nanos,
        }
    }
}
