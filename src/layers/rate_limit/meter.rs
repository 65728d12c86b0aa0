//! What a policy counts with: a pure function from a cell, a cost and a time to a decision.
//!
//! A cell is one word. Zero is an untouched key, and so is a cell whose expiry has passed; a table can drop both.

use super::bucket::Bucket;
use super::quota::{Quota, QuotaKind};
use super::window::Window;

/// How a policy counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meter {
    TokenBucket(Bucket),
    FixedWindow(Window),
    /// So many at a time. A cell is how many there are.
    Concurrent {
        limit: u32,
    },
}

/// What a meter says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decision {
    /// The cell afterwards; the cell as it was, unless the request is admitted.
    pub(super) next: u64,
    pub(super) verdict: Verdict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Admitted,
    /// Not now. Nobody knows when a place becomes free.
    Refused {
        wait_nanos: Option<u64>,
    },
    /// Shut out for a time.
    Blocked {
        wait_nanos: u64,
    },
    /// More than the quota ever holds.
    TooCostly,
    /// The table is full, and refuses newcomers.
    NoRoom,
}

impl Verdict {
    pub(super) const fn at(earliest: u64, now: u64) -> Self {
        if earliest <= now { Self::Admitted } else { Self::Refused { wait_nanos: Some(earliest - now) } }
    }

    pub(super) const fn wait_nanos(self) -> Option<u64> {
        match self {
            Self::Refused { wait_nanos } => wait_nanos,
            Self::Blocked { wait_nanos } => Some(wait_nanos),
            Self::Admitted | Self::TooCostly | Self::NoRoom => None,
        }
    }
}

/// Where a key stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    /// What an untouched key may use at once.
    pub(super) limit: u32,
    /// What this one may use at once.
    pub(super) remaining: u32,
    /// How long until there is more; 0 when there is all.
    pub(super) next_nanos: u64,
    /// How long until there is all.
    pub(super) full_nanos: u64,
}

impl Standing {
    /// Nobody has asked.
    pub(super) const NONE: Self = Self { limit: 0, remaining: 0, next_nanos: 0, full_nanos: 0 };
}

impl Meter {
    pub(super) fn new(quota: &Quota) -> Self {
        match quota.kind() {
            QuotaKind::TokenBucket => Self::TokenBucket(Bucket::new(quota)),
            QuotaKind::FixedWindow => Self::FixedWindow(Window::new(quota)),
        }
    }

    /// The meter of a request's own quota, if it has one, for cells that this one writes.
    pub(super) fn for_quota(&self, quota: Option<&Quota>) -> Self {
        match (self, quota) {
            (Self::TokenBucket(_), Some(quota)) => Self::TokenBucket(Bucket::new(quota)),
            (Self::FixedWindow(_), Some(quota)) => Self::FixedWindow(Window::new(quota)),
            _ => *self,
        }
    }

    pub(super) const fn is_concurrent(&self) -> bool {
        matches!(self, Self::Concurrent { .. })
    }

    /// Whether a request can be told to come later and keep its turn.
    pub(super) const fn paces(&self) -> bool {
        matches!(self, Self::TokenBucket(_))
    }

    /// What an untouched key may use at once.
    pub(super) const fn limit(&self) -> u32 {
        match self {
            Self::TokenBucket(bucket) => bucket.burst(),
            Self::FixedWindow(window) => window.limit(),
            Self::Concurrent { limit } => *limit,
        }
    }

    /// The time in which the limit comes back, if time brings it back.
    pub(super) const fn refill_nanos(&self) -> Option<u64> {
        match self {
            Self::TokenBucket(bucket) => Some(bucket.refill_nanos()),
            Self::FixedWindow(window) => Some(window.window_nanos()),
            Self::Concurrent { .. } => None,
        }
    }

    /// The tick from which on the cell says nothing.
    pub(super) const fn expiry(&self, cell: u64) -> u64 {
        match self {
            Self::TokenBucket(_) => Bucket::expiry(cell),
            Self::FixedWindow(_) => Window::expiry(cell),
            Self::Concurrent { .. } if cell == 0 => 0,
            Self::Concurrent { .. } => u64::MAX,
        }
    }

    pub(super) fn decide(&self, cell: u64, cost: u32, now: u64) -> Decision {
        match self {
            Self::TokenBucket(bucket) => bucket.decide(cell, cost, now),
            Self::FixedWindow(window) => window.decide(cell, cost, now),
            Self::Concurrent { limit } if cell < u64::from(*limit) => {
                Decision { next: cell + u64::from(cost != 0), verdict: Verdict::Admitted }
            }
            Self::Concurrent { .. } => Decision { next: cell, verdict: Verdict::Refused { wait_nanos: None } },
        }
    }

    /// Replaces what a charge took, `reserved`, by what it turned out to cost. `after` is the cell that the
    /// charge left, if it was written by this meter.
    pub(super) fn settle(&self, cell: u64, reserved: u32, cost: u32, after: Option<u64>, now: u64) -> u64 {
        if cost > reserved {
            return self.charge(cell, cost - reserved, now);
        }
        let back = reserved - cost;
        match self {
            Self::TokenBucket(bucket) => bucket.refund(cell, back, after, now),
            Self::FixedWindow(_) => Window::refund(cell, back, after),
            Self::Concurrent { .. } => cell.saturating_sub(back.into()),
        }
    }

    fn charge(&self, cell: u64, more: u32, now: u64) -> u64 {
        match self {
            Self::TokenBucket(bucket) => bucket.charge(cell, more, now),
            Self::FixedWindow(window) => window.charge(cell, more, now),
            Self::Concurrent { .. } => cell,
        }
    }

    /// Shuts a key out for a time, unless it was shut out before and nothing was admitted since.
    pub(super) fn block(&self, cell: u64, cost: u32, wait_nanos: u64, now: u64) -> Option<Decision> {
        let next = match self {
            Self::TokenBucket(_) if Bucket::was_blocked(cell) => return None,
            Self::TokenBucket(bucket) => bucket.block(cell, wait_nanos, now),
            Self::FixedWindow(_) => Window::block(cell, wait_nanos, now),
            Self::Concurrent { .. } => return None,
        };
        Some(self.decide(next, cost, now))
    }

    pub(super) fn standing(&self, cell: u64, now: u64) -> Standing {
        match self {
            Self::TokenBucket(bucket) => bucket.standing(cell, now),
            Self::FixedWindow(window) => window.standing(cell, now),
            Self::Concurrent { limit } => {
                let used = u32::try_from(cell).unwrap_or(u32::MAX);
                Standing { limit: *limit, remaining: limit.saturating_sub(used), next_nanos: 0, full_nanos: 0 }
            }
        }
    }

    /// A cell of which somebody else says how it stands.
    pub(super) fn cell_of(&self, remaining: u32, full_nanos: u64, is_blocked: bool, now: u64) -> u64 {
        match self {
            _ if full_nanos == 0 => 0,
            Self::TokenBucket(_) => Bucket::cell_of(full_nanos, is_blocked, now),
            Self::FixedWindow(window) => window.cell_of(remaining, full_nanos, is_blocked, now),
            Self::Concurrent { limit } => limit.saturating_sub(remaining).into(),
        }
    }

    /// A cell as it counts for a request whose quota may be another than the one that it was written by.
    pub(super) fn cut(&self, cell: u64, ahead_nanos: u64, now: u64) -> u64 {
        match self {
            Self::TokenBucket(bucket) => bucket.cut(cell, ahead_nanos, now),
            Self::FixedWindow(window) => window.cut(cell, now),
            Self::Concurrent { .. } => cell,
        }
    }

    /// A cell that `old` wrote, in the terms of this meter: what remains stays as it is, as far as there is room for
    /// it. So a changed quota gives no credit, and nobody waits longer than one refill of the new one.
    pub(super) fn translate(&self, old: &Self, cell: u64, now: u64) -> u64 {
        if old.expiry(cell) <= now {
            return 0;
        }
        let remaining = old.standing(cell, now).remaining.min(self.limit());
        match self {
            Self::TokenBucket(bucket) => bucket.with_remaining(remaining, now),
            Self::FixedWindow(window) => window.with_remaining(remaining, now),
            Self::Concurrent { .. } => cell,
        }
    }
}
