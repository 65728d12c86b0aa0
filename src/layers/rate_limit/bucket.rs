//! The token bucket, decided by `governor`'s GCRA.
//!
//! A cell is its theoretical arrival time (TAT): the tick at which the bucket will be full again. One that has passed
//! says nothing, so an absent cell is a full bucket.
//!
//! governor keeps one quota for all keys of a limiter and a clock of its own; here both come with each decision. So
//! each decision is a limiter over a store of one cell, which costs nothing: it is a few numbers on the stack.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota as GovernorQuota, RateLimiter};

use super::meter::{Decision, Standing, Verdict};
use super::quota::Quota;

/// Marks a cell that is shut for a time: until its TAT less the tolerance.
const BLOCKED: u64 = 1 << 63;
/// How far beyond now a TAT may lie: debts and blocks of more than 73 years are cut.
const MAX_AHEAD_NANOS: u64 = 1 << 61;

/// A quota, in the terms of GCRA.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bucket {
    quota: GovernorQuota,
    burst: NonZeroU32,
    /// The time one token takes.
    interval_nanos: u64,
    /// The time in which an empty bucket fills, without what rounding the interval up adds to it.
    refill_nanos: u64,
    /// All tokens but one: how far ahead of now a TAT may lie for one more to be free.
    tolerance_nanos: u64,
}

impl Bucket {
    pub(super) fn new(quota: &Quota) -> Self {
        let (burst, interval_nanos) = (quota.burst_cells(), quota.interval_nanos());
        let interval = Duration::from_nanos(interval_nanos);
        Self {
            // An interval is never zero.
            quota: GovernorQuota::with_period(interval)
                .unwrap_or_else(|| GovernorQuota::per_second(burst))
                .allow_burst(burst),
            burst,
            interval_nanos,
            refill_nanos: quota.refill_nanos(),
            tolerance_nanos: interval_nanos * u64::from(burst.get() - 1),
        }
    }

    pub(super) const fn burst(&self) -> u32 {
        self.burst.get()
    }

    /// The time in which an empty bucket fills, as the quota has it.
    pub(super) const fn refill_nanos(&self) -> u64 {
        self.refill_nanos
    }

    /// All tokens, in the time that they take.
    const fn capacity_nanos(&self) -> u64 {
        self.tolerance_nanos + self.interval_nanos
    }

    /// A bucket that is full after so long.
    pub(super) fn cell_of(full_nanos: u64, is_blocked: bool, now: u64) -> u64 {
        let tat = now.saturating_add(full_nanos.min(MAX_AHEAD_NANOS)) & !BLOCKED;
        if is_blocked { tat | BLOCKED } else { tat }
    }

    /// A cell that others have written, perhaps by a larger quota: nobody is further ahead than one that is empty, and
    /// what else may be. Who is shut out stays so.
    pub(super) fn cut(&self, cell: u64, ahead_nanos: u64, now: u64) -> u64 {
        let most = now.saturating_add(self.capacity_nanos()).saturating_add(ahead_nanos);
        if cell & BLOCKED != 0 { cell } else { cell.min(most) }
    }

    /// When the cell says nothing any more.
    pub(super) const fn expiry(cell: u64) -> u64 {
        cell & !BLOCKED
    }

    pub(super) fn decide(&self, cell: u64, cost: u32, now: u64) -> Decision {
        // governor multiplies before it compares.
        if cost > self.burst.get() {
            return Decision { next: cell, verdict: Verdict::TooCostly };
        }
        let tat = cell & !BLOCKED;
        if let Some(wait_nanos) = self.blocked_for(cell, now) {
            // One token is there at the end; who wants more waits for the others.
            let wait_nanos = wait_nanos + self.interval_nanos * u64::from(cost.max(1) - 1);
            return Decision { next: cell, verdict: Verdict::Blocked { wait_nanos } };
        }
        let Some(cost) = NonZeroU32::new(cost) else {
            // A look: refused only if not even one token is there.
            let earliest = tat.saturating_sub(self.tolerance_nanos);
            return Decision { next: cell, verdict: Verdict::at(earliest, now) };
        };
        let slot = OneCell(Cell::new(tat));
        let time = Time(Cell::new(Nanos::from(0)));
        let limiter = RateLimiter::<NotKeyed, _, _, NoOpMiddleware<Nanos>>::new(self.quota, &slot, &time);
        time.0.set(Nanos::from(now));
        let verdict = match limiter.check_n(cost) {
            Ok(Ok(())) => Verdict::Admitted,
            Ok(Err(refused)) => Verdict::at(refused.earliest_possible().as_u64(), now),
            Err(_) => Verdict::TooCostly,
        };
        let next = if verdict == Verdict::Admitted { slot.0.get() } else { cell };
        Decision { next, verdict }
    }

    /// Takes back what is outstanding of a charge that led to the TAT `after`. Tokens come back in the order in which
    /// they were taken, so what time has already brought back is not given twice.
    /// Without it, the charge was made under another quota, and all of it is given back.
    pub(super) fn refund(&self, cell: u64, tokens: u32, after: Option<u64>, now: u64) -> u64 {
        if self.blocked_for(cell, now).is_some() {
            return cell;
        }
        let outstanding = after.map_or(u64::MAX, |after| Self::expiry(after).saturating_sub(now));
        let refund = self.interval_nanos.saturating_mul(tokens.into()).min(outstanding);
        cell.saturating_sub(refund)
    }

    /// Takes tokens without asking. The bucket may be left in debt.
    pub(super) fn charge(&self, cell: u64, tokens: u32, now: u64) -> u64 {
        let debt = self.interval_nanos.saturating_mul(tokens.into());
        let tat = (cell & !BLOCKED).max(now).saturating_add(debt).min(now.saturating_add(MAX_AHEAD_NANOS));
        if self.blocked_for(cell, now).is_some() { tat | BLOCKED } else { tat }
    }

    /// Shuts the cell for a time, or until a token comes back if that is later. At the end one token is there.
    pub(super) fn block(&self, cell: u64, wait_nanos: u64, now: u64) -> u64 {
        let ahead = wait_nanos.saturating_add(self.tolerance_nanos).min(MAX_AHEAD_NANOS);
        now.saturating_add(ahead).max(cell & !BLOCKED) | BLOCKED
    }

    /// Whether the cell was shut, and nothing was admitted since.
    pub(super) const fn was_blocked(cell: u64) -> bool {
        cell & BLOCKED != 0
    }

    /// How long the cell is shut still.
    const fn blocked_for(&self, cell: u64, now: u64) -> Option<u64> {
        let until = (cell & !BLOCKED).saturating_sub(self.tolerance_nanos);
        if cell & BLOCKED != 0 && now < until { Some(until - now) } else { None }
    }

    pub(super) fn with_remaining(&self, remaining: u32, now: u64) -> u64 {
        let used = u64::from(self.burst.get().saturating_sub(remaining));
        if used == 0 { 0 } else { now.saturating_add(used * self.interval_nanos) }
    }

    pub(super) fn standing(&self, cell: u64, now: u64) -> Standing {
        let debt_nanos = (cell & !BLOCKED).saturating_sub(now);
        let free_nanos = self.capacity_nanos().saturating_sub(debt_nanos);
        // No division where the bucket is nearly full or empty would be faster; a request makes one of these at most.
        let remaining = u32::try_from(free_nanos / self.interval_nanos).unwrap_or(u32::MAX);
        let next_nanos = if remaining >= self.burst.get() {
            0
        } else if debt_nanos > self.capacity_nanos() {
            debt_nanos - self.tolerance_nanos
        } else {
            self.interval_nanos - free_nanos % self.interval_nanos
        };
        // An interval is rounded up by less than a nanosecond, which makes no further second.
        let full_nanos = debt_nanos.saturating_sub(u64::from(self.burst.get()));
        Standing { limit: self.burst.get(), remaining, next_nanos, full_nanos }
    }
}

/// governor's store of one cell, which stands in the shard whose lock is held.
struct OneCell(Cell<u64>);

impl StateStore for &OneCell {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, next) = decide(Some(Nanos::from(self.0.get())))?;
        self.0.set(next.into());
        Ok(outcome)
    }
}

/// governor's clock, which shows the tick that the decision is made for. Its limiters count from the time of their
/// making, which is tick zero here.
struct Time(Cell<Nanos>);

impl governor::clock::Clock for &Time {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.get()
    }
}

impl Clone for Time {
    fn clone(&self) -> Self {
        Self(Cell::new(self.0.get()))
    }
}
