//! The cells of a policy: a table of bounded size that needs no care.
//!
//! Keys are known by the 64 bits of a keyed hash alone, 16 bytes a slot. The table grows with its keys up to a fixed
//! size, a small shard at a time; no task sweeps it, and no operation looks at more than a bounded number of slots:
//!
//! * Each newcomer drops a few cells that say nothing any more, wherever the sweep stands.
//! * A full table sweeps on; when all it meets still count, [`Overflow`] says what happens to the newcomer. A key that
//!   has a cell keeps it as long as it says something, so a flood of fresh keys frees no offender.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::sync::PoisonError;

use super::meter::{Decision, Meter, Verdict};
use super::shard::{Found, Shard};
use super::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

/// What happens to a new key when the table is full of keys that still count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Overflow {
    /// All newcomers share one bucket with the policy's quota. Nobody is let off, and the known keys are undisturbed.
    #[default]
    Shared,
    /// The newcomer takes the place of a key that is close to replenished, and its debt. Nobody is let off; the known
    /// key starts anew when it comes back.
    ReplaceNearest,
    /// Newcomers are refused with 503.
    Refuse,
}

/// Where a key's cell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In the table, under its tag.
    Own,
    /// In the bucket that newcomers share.
    Shared,
}

/// The table had no place, and its policy is to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// A key, hashed with the table's secret. Never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tag(u64);

/// Cells by key.
pub(super) struct Table {
    secret: RandomState,
    shards: Box<[Padded]>,
    shared: Mutex<Shared>,
    occupied: AtomicUsize,
    max_keys: AtomicUsize,
    overflowed: AtomicU64,
    overflow: Overflow,
}

/// The bucket that newcomers to a full table share.
struct Shared {
    meter: Meter,
    cell: u64,
}

/// A shard on cache lines of its own, so that two threads at two shards do not slow each other down.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

/// Keys for which a shard of its own is worth while.
const KEYS_PER_SHARD: usize = 2048;
const MAX_SHARDS: usize = 1024;
/// Slots that each newcomer sweeps: more than it takes up, so that the sweep keeps ahead.
const SWEPT_BY_NEWCOMER: usize = 4;

impl Table {
    pub(super) fn new(max_keys: usize, overflow: Overflow, meter: Meter) -> Self {
        let shards = (max_keys / KEYS_PER_SHARD).clamp(1, MAX_SHARDS);
        let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
        let keys = max_keys.div_ceil(shards);
        Self {
            secret: RandomState::new(),
            shards: (0..shards).map(|_| Padded(Mutex::new(Shard::new(keys, meter)))).collect(),
            shared: Mutex::new(Shared { meter, cell: 0 }),
            occupied: AtomicUsize::new(0),
            max_keys: AtomicUsize::new(max_keys),
            overflowed: AtomicU64::new(0),
            overflow,
        }
    }

    /// Hashes a key with the table's secret.
    pub(super) fn tag<E>(&self, write: impl FnOnce(&mut dyn Hasher) -> Result<(), E>) -> Result<Tag, E> {
        let mut hasher = self.secret.build_hasher();
        write(&mut hasher)?;
        Ok(Tag(hasher.finish().max(1)))
    }

    /// Hashes a tag for something other than finding its cell.
    pub(super) fn tag_hash(&self, purpose: u8, tag: Tag) -> u64 {
        self.secret.hash_one((purpose, tag.0))
    }

    /// Slots that are taken.
    pub(super) fn keys(&self) -> usize {
        self.occupied.load(Ordering::Relaxed)
    }

    /// Newcomers that found no place.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    pub(super) fn overflows_as(&self, overflow: Overflow) -> bool {
        self.overflow == overflow
    }

    /// How the table counts.
    pub(super) fn meter(&self) -> Meter {
        self.shards.first().map_or(Meter::Concurrent { limit: 0 }, |shard| shard.lock().meter)
    }

    /// Reads a key's cell, lets `decide` replace it, and says where it is. A cell that is left saying nothing takes no
    /// slot. `decide` may be asked a second time, about another cell, and then the second answer counts.
    pub(super) fn access<R>(
        &self,
        tag: Tag,
        now: u64,
        mut decide: impl FnMut(&Meter, u64, Place) -> (u64, R),
    ) -> Result<(R, Place), Full> {
        let mut shard = self.shard(tag).lock();
        let shard = &mut *shard;
        let at = match shard.find(tag.0) {
            Found::At(at, cell) => {
                let (next, answer) = decide(&shard.meter, cell, Place::Own);
                self.replace(shard, at, cell, next, now);
                return Ok((answer, Place::Own));
            }
            Found::Free(at) => at,
        };
        let (next, answer) = decide(&shard.meter, 0, Place::Own);
        if shard.meter.expiry(next) <= now {
            // A look: one at a full table sees what the newcomer would get.
            if self.has_room(shard, now) {
                return Ok((answer, Place::Own));
            }
        } else if self.place(shard, tag, at, next, now) {
            return Ok((answer, Place::Own));
        } else {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
        }
        self.overflow(shard, tag, decide)
    }

    /// Charges one token of a key that has some and a cell of its own; otherwise nothing has happened.
    pub(super) fn admits(&self, tag: Tag, now: u64) -> bool {
        let mut shard = self.shard(tag).lock();
        let Found::At(at, cell) = shard.find(tag.0) else { return false };
        let Decision { next, verdict } = shard.meter.decide(cell, 1, now);
        let admitted = verdict == Verdict::Admitted;
        if admitted {
            shard.set(at, next);
        }
        admitted
    }

    /// Changes the cell of a charge that was made before. One that is gone was whole again: only a debt is put back.
    pub(super) fn revisit(&self, tag: Tag, place: Place, now: u64, mut change: impl FnMut(&Meter, u64) -> u64) {
        if place == Place::Shared {
            let mut shared = self.lock_shared();
            shared.cell = change(&shared.meter, shared.cell);
            return;
        }
        let mut shard = self.shard(tag).lock();
        let shard = &mut *shard;
        match shard.find(tag.0) {
            Found::At(at, cell) => {
                let next = change(&shard.meter, cell);
                self.replace(shard, at, cell, next, now);
            }
            Found::Free(at) => {
                let next = change(&shard.meter, 0);
                if shard.meter.expiry(next) > now && !self.place(shard, tag, at, next, now) {
                    let _ = self.overflow(shard, tag, |meter, cell, _| (change(meter, cell), ()));
                }
            }
        }
    }

    /// Counts by another meter from now on.
    pub(super) fn set_meter(&self, meter: Meter, now: u64) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            let old = shard.meter;
            if old != meter {
                let dropped = shard.translate(|cell| meter.translate(&old, cell, now), meter);
                self.occupied.fetch_sub(dropped, Ordering::Relaxed);
            }
        }
        let mut shared = self.lock_shared();
        if shared.meter != meter {
            *shared = Shared { meter, cell: meter.translate(&shared.meter, shared.cell, now) };
        }
    }

    /// Makes room for another number of keys. Those that find no place any more keep theirs until they say nothing.
    pub(super) fn resize(&self, max_keys: usize) {
        if self.max_keys.swap(max_keys, Ordering::Relaxed) != max_keys {
            let keys = max_keys.div_ceil(self.shards.len());
            self.shards.iter().for_each(|shard| shard.lock().resize(keys));
        }
    }

    /// Forgets every key.
    pub(super) fn clear(&self) {
        for shard in &self.shards {
            let dropped = shard.lock().clear();
            self.occupied.fetch_sub(dropped, Ordering::Relaxed);
        }
        self.lock_shared().cell = 0;
    }

    #[allow(clippy::indexing_slicing, reason = "the number of shards is a power of two, so the mask is below it")]
    fn shard(&self, tag: Tag) -> &Padded {
        // The lower bits: within a shard the upper ones choose the slot.
        &self.shards[tag.0 as usize & (self.shards.len() - 1)]
    }

    fn lock_shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the cell of a key that has one.
    fn replace(&self, shard: &mut Shard, at: usize, cell: u64, next: u64, now: u64) {
        if shard.meter.expiry(next) <= now {
            shard.remove(at);
            self.occupied.fetch_sub(1, Ordering::Relaxed);
        } else if next != cell {
            shard.set(at, next);
        }
    }

    /// Gives a newcomer a slot, if there is one. `at` is where it would stand if nothing moves.
    fn place(&self, shard: &mut Shard, tag: Tag, at: usize, cell: u64, now: u64) -> bool {
        let mut moved = self.drop_from(shard, |shard| shard.sweep(SWEPT_BY_NEWCOMER, now));
        if let Some(dropped) = shard.grow(now) {
            self.occupied.fetch_sub(dropped, Ordering::Relaxed);
            moved = true;
        }
        if self.take_slot(shard) {
            if moved {
                shard.insert(tag.0, cell)
            } else {
                shard.put(tag.0, cell, at)
            }
            return true;
        }
        let placed = self.drop_from(shard, |shard| shard.sweep_when_full(now)) && self.take_slot(shard);
        if placed {
            shard.insert(tag.0, cell);
        }
        placed
    }

    /// Counts one key more, if there is room for it.
    fn take_slot(&self, shard: &Shard) -> bool {
        if shard.is_full() {
            return false;
        }
        let max_keys = self.max_keys.load(Ordering::Relaxed);
        let taken = self.occupied.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |occupied| {
            (occupied < max_keys).then_some(occupied + 1)
        });
        taken.is_ok()
    }

    /// Whether a newcomer would find a slot.
    fn has_room(&self, shard: &mut Shard, now: u64) -> bool {
        let has_room = |shard: &Shard| {
            !shard.is_full() && self.occupied.load(Ordering::Relaxed) < self.max_keys.load(Ordering::Relaxed)
        };
        has_room(shard) || (self.drop_from(shard, |shard| shard.sweep_when_full(now)) && has_room(shard))
    }

    /// Whether a sweep drops anything.
    fn drop_from(&self, shard: &mut Shard, sweep: impl FnOnce(&mut Shard) -> usize) -> bool {
        let dropped = sweep(shard);
        if dropped > 0 {
            self.occupied.fetch_sub(dropped, Ordering::Relaxed);
        }
        dropped > 0
    }

    #[cold]
    fn overflow<R>(
        &self,
        shard: &mut Shard,
        tag: Tag,
        mut decide: impl FnMut(&Meter, u64, Place) -> (u64, R),
    ) -> Result<(R, Place), Full> {
        match self.overflow {
            Overflow::Refuse => return Err(Full),
            // A place that is in use cannot be given away.
            Overflow::ReplaceNearest if !shard.meter.is_concurrent() => {
                if let Some((at, inherited)) = shard.nearest() {
                    let (next, answer) = decide(&shard.meter, inherited, Place::Own);
                    if next != inherited {
                        shard.remove(at);
                        shard.insert(tag.0, next);
                    }
                    return Ok((answer, Place::Own));
                }
            }
            Overflow::ReplaceNearest | Overflow::Shared => {}
        }
        let mut shared = self.lock_shared();
        let (next, answer) = decide(&shared.meter, shared.cell, Place::Shared);
        shared.cell = next;
        Ok((answer, Place::Shared))
    }
}

impl Padded {
    fn lock(&self) -> MutexGuard<'_, Shard> {
        // Nothing panics under the lock but a user's closure could; a cell is one word, so the shard is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Table").field("keys", &self.keys()).field("overflow", &self.overflow).finish_non_exhaustive()
    }
}
