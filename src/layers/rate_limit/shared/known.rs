//! What an instance knows of a policy's shared counts: never more than is true, so that what it refuses by itself the
//! store would refuse too.

use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::super::meter::{Meter, Standing, Verdict};
use super::super::place::{Overflow, Tag};
use super::super::policy::{Limit, Policy};
use super::super::quota::Quota;
use super::super::rule::Rule;
use super::super::table::Table;
use super::lease::{Leases, Terms};
use super::store::{Answer, StoreVerdict};

/// A policy whose counts are shared.
pub(super) struct Remote {
    quota: Mutex<Quota>,
    /// Cells as of the last answers. It forgets rather than grow.
    known: Table,
    /// Whether what is known may refuse: a charge that is taken back makes it untrue.
    remembers: bool,
    pub(super) leases: Option<Leases>,
}

impl Remote {
    /// `None` for a policy that counts requests in flight: those of an instance that has died would count for ever.
    pub(super) fn of(rule: &Rule, leased: bool) -> Option<Self> {
        let policy = &rule.policy;
        let Limit::Rate(quota) = policy.limit else { return None };
        let takes_back = policy.settle.is_some() || !policy.max_wait.is_zero();
        let is_plain = policy.block_for.is_zero() && policy.quota_by.is_none() && !rule.is_shadow();
        Some(Self {
            quota: Mutex::new(quota),
            known: Table::new(policy.max_keys, Overflow::Refuse, Meter::new(&quota)),
            remembers: !takes_back,
            leases: (leased && !takes_back && is_plain).then(|| Leases::new(policy.max_keys)),
        })
    }

    pub(super) fn quota(&self) -> Quota {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_quota(&self, quota: Quota, now: u64) {
        *self.quota.lock().unwrap_or_else(PoisonError::into_inner) = quota;
        self.known.set_meter(Meter::new(&quota), now);
    }

    /// How a key's tokens are leased, if they are.
    pub(super) fn lease_terms(&self) -> Option<(&Leases, Terms)> {
        Some((self.leases.as_ref()?, Terms::of(&self.quota())?))
    }

    /// What is known to become of a request; one that nothing is known of is admitted.
    pub(super) fn foresee(&self, tag: Tag, cost: u32, quota: Option<&Quota>, now: u64) -> (Verdict, Standing) {
        let look = |meter: &Meter, cell: u64| {
            let meter = meter.for_quota(quota);
            (meter.decide(cell, cost, now).verdict, meter.standing(cell, now))
        };
        let cell = if self.remembers { self.cell(tag, now) } else { 0 };
        look(&Meter::new(&self.quota()), cell)
    }

    /// The key's cell as it is known.
    pub(super) fn cell(&self, tag: Tag, now: u64) -> u64 {
        self.known.access(tag, now, |_, cell, _| (cell, cell)).map_or(0, |(cell, _)| cell)
    }

    /// Learns where a key stands. Answers may overtake each other, and counts only grow.
    pub(super) fn learn(&self, tag: Tag, cell: u64, answer: &Answer, now: u64) {
        // Whoever was refused for what leases keep back is refused until that is there too.
        let kept_back = match (answer.verdict, self.lease_terms()) {
            (StoreVerdict::Refused { .. }, Some((_, terms))) if self.known.meter().paces() => terms.nanos,
            _ => 0,
        };
        let cell = cell.saturating_add(kept_back);
        let _ = self.known.access(tag, now, |_, held, _| (held.max(cell), ()));
    }

    pub(super) fn keys(&self) -> usize {
        self.known.keys()
    }

    pub(super) fn forget(&self) {
        self.known.clear();
    }
}

/// An answer, as of the tick at which it was asked for: a little earlier than it is true, and so never too much.
pub(super) fn cell_of(meter: &Meter, answer: &Answer, asked: u64) -> u64 {
    let full_nanos = super::super::rule::nanos(answer.full_in);
    let is_blocked = matches!(answer.verdict, StoreVerdict::Blocked { .. });
    meter.cell_of(answer.remaining, full_nanos, is_blocked, asked)
}

/// A window's tokens are of no use after it.
pub(super) fn lease_end(meter: &Meter, answer: &Answer) -> u64 {
    if meter.paces() { u64::MAX } else { super::super::rule::nanos(answer.full_in) }
}

/// How far beyond a full bucket a policy's charges may lie: waits, or debts of some buckets.
pub(super) fn ahead(policy: &Policy, quota: &Quota) -> std::time::Duration {
    /// Buckets that a key can be in debt, when the cost is known afterwards.
    const DEBT: u32 = 16;
    if policy.settle.is_some() {
        std::time::Duration::from_nanos(quota.refill_nanos()).saturating_mul(DEBT)
    } else {
        policy.max_wait
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("quota", &self.quota()).field("known", &self.known).finish_non_exhaustive()
    }
}
