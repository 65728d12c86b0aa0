//! Tokens that were taken in advance: who has how many, and how many to ask for next.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::super::meter::Standing;
use super::super::place::Tag;
use super::super::quota::Quota;
use crate::spine::signal::{Signal, Wait};

/// How a quota is leased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// How long a lease lasts. So much of a bucket is kept back, since what is taken now may be used as late.
    pub(super) nanos: u64,
    /// The most tokens of a lease.
    pub(super) most: u32,
}

const LONGEST_NANOS: u64 = 1_000_000_000;
/// A lease lasts for this part of a bucket's time at most.
const TIME_SHARE: u64 = 20;
/// And holds this part of its tokens.
const TOKEN_SHARE: u32 = 10;

impl Terms {
    /// `None` for a quota too small to be divided.
    pub(super) fn of(quota: &Quota) -> Option<Self> {
        let most = quota.burst() / TOKEN_SHARE;
        let nanos = (quota.refill_nanos() / TIME_SHARE).min(LONGEST_NANOS);
        (most > 0 && nanos > 0).then_some(Self { nanos, most })
    }
}

/// The leases of a policy's keys.
pub(super) struct Leases {
    shards: Box<[Shard]>,
    keys_per_shard: usize,
}

struct Shard {
    leases: Mutex<Held>,
    /// Given when somebody has an answer.
    answered: Arc<Signal>,
}

#[derive(Default)]
struct Held {
    by_tag: HashMap<u64, Lease>,
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct Lease {
    left: u32,
    taken: u32,
    until: u64,
    /// Whether somebody is asking for the next.
    is_asking: bool,
    /// Where the key stood in the store.
    standing: Standing,
}

/// What a lease says to a request.
pub(super) enum Taken {
    /// It had the tokens.
    Had { standing: Standing, until: u64 },
    /// The store is to be asked, for so many beside those of the request, and the answer to be told.
    Ask { spare: u32 },
    /// Somebody asks already.
    Wait(Wait),
    /// Nothing is kept for this key: the store is to be asked for this request alone.
    Alone,
}

const SHARDS: usize = 64;
/// Requests that wait for one answer; more ask for themselves.
const MAX_WAITING: usize = 4096;
const FIRST_SWEEP: usize = 256;

impl Leases {
    pub(super) fn new(max_keys: usize) -> Self {
        let shard = || Shard { leases: Mutex::default(), answered: Signal::new(MAX_WAITING) };
        Self { shards: (0..SHARDS).map(|_| shard()).collect(), keys_per_shard: max_keys.div_ceil(SHARDS) }
    }

    /// Takes tokens of a key's lease, or says what is to be done.
    pub(super) fn take(&self, tag: Tag, cost: u32, terms: Terms, now: u64) -> Taken {
        let Some(shard) = self.shard(tag) else { return Taken::Alone };
        let mut held = shard.lock();
        let Some(lease) = held.by_tag.get_mut(&tag.get()) else {
            if !held.has_room(self.keys_per_shard, now) {
                return Taken::Alone;
            }
            let lease = Lease { left: 0, taken: 0, until: 0, is_asking: true, standing: Standing::NONE };
            held.by_tag.insert(tag.get(), lease);
            return Taken::Ask { spare: 0 };
        };
        let is_over = lease.until <= now;
        if !is_over && lease.left >= cost {
            lease.left -= cost;
            return Taken::Had { standing: lease.shown(), until: lease.until };
        }
        if lease.is_asking {
            return shard.answered.wait().map_or(Taken::Alone, Taken::Wait);
        }
        lease.is_asking = true;
        // One that ran out early was too small; of one that ran out by time, as many as were used.
        let used = lease.taken - lease.left;
        let spare = match is_over {
            false => lease.taken.saturating_mul(2).saturating_add(1),
            true if now.saturating_sub(lease.until) < terms.nanos => used,
            true => 0,
        };
        (lease.left, lease.taken) = (0, 0);
        Taken::Ask { spare: spare.min(terms.most) }
    }

    /// Gives tokens back that were taken a moment ago of the lease that ends then: to another they would be too many.
    pub(super) fn give_back(&self, tag: Tag, cost: u32, until: u64) {
        let Some(shard) = self.shard(tag) else { return };
        if let Some(lease) = shard.lock().by_tag.get_mut(&tag.get()).filter(|lease| lease.until == until) {
            lease.left = lease.left.saturating_add(cost).min(lease.taken);
        }
    }

    /// Begins a lease of what the store gave, or ends the asking when it gave nothing.
    pub(super) fn answered(&self, tag: Tag, given: Option<(u32, Standing)>, until: u64) {
        let Some(shard) = self.shard(tag) else { return };
        if let Some(lease) = shard.lock().by_tag.get_mut(&tag.get()) {
            lease.is_asking = false;
            if let Some((spare, standing)) = given {
                *lease = Lease { left: spare, taken: spare, until, is_asking: false, standing };
            }
        }
        shard.answered.give().wake();
    }

    fn shard(&self, tag: Tag) -> Option<&Shard> {
        self.shards.get(usize::try_from(tag.get() % SHARDS as u64).unwrap_or_default())
    }
}

impl Shard {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Held {
    fn has_room(&mut self, most: usize, now: u64) -> bool {
        if self.by_tag.len() >= self.sweep_at.max(FIRST_SWEEP).min(most) {
            self.by_tag.retain(|_, lease| lease.is_asking || lease.until > now);
            self.sweep_at = 2 * self.by_tag.len();
        }
        self.by_tag.len() < most
    }
}

impl Lease {
    /// What a client is told: what the store had left, and what its instance has.
    fn shown(&self) -> Standing {
        Standing { remaining: self.standing.remaining.saturating_add(self.left), ..self.standing }
    }
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leases").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms { nanos: 1_000, most: 100 };

    #[test]
    fn what_is_given_back_late_is_no_part_of_the_next_lease() {
        let (leases, tag) = (Leases::new(64), Tag::new(7));
        assert!(matches!(leases.take(tag, 1, TERMS, 0), Taken::Ask { .. }));
        leases.answered(tag, Some((10, Standing::NONE)), 100);
        let Taken::Had { until: first, .. } = leases.take(tag, 1, TERMS, 50) else { panic!("it has ten") };
        // It ends, and another begins, while the first request waits for something else.
        assert!(matches!(leases.take(tag, 1, TERMS, 100), Taken::Ask { .. }));
        leases.answered(tag, Some((5, Standing::NONE)), 200);
        assert!(matches!(leases.take(tag, 1, TERMS, 150), Taken::Had { .. }));
        leases.give_back(tag, 1, first);
        let more = (0..10).filter(|_| matches!(leases.take(tag, 1, TERMS, 150), Taken::Had { .. })).count();
        assert_eq!(more, 4, "five were charged, and one is used");
    }

    #[test]
    fn what_is_given_back_in_time_is_there_again() {
        let (leases, tag) = (Leases::new(64), Tag::new(7));
        assert!(matches!(leases.take(tag, 1, TERMS, 0), Taken::Ask { .. }));
        leases.answered(tag, Some((1, Standing::NONE)), 100);
        let Taken::Had { until, .. } = leases.take(tag, 1, TERMS, 50) else { panic!("it has one") };
        leases.give_back(tag, 1, until);
        assert!(matches!(leases.take(tag, 1, TERMS, 60), Taken::Had { .. }));
    }
}
