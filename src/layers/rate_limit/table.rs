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
use super::place::{Full, Overflow, Place, Tag};
use super::shard::{Found, Shard};
use super::sync::{AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

/// Cells by key.
pub(super) struct Table {
    secret: RandomState,
    shards: Box<[Padded]>,
    shared: Mutex<Shared>,
    occupied: AtomicUsize,
    max_keys: AtomicUsize,
    overflowed: AtomicU64,
    /// Which shard is visited next for room.
    visited: AtomicUsize,
    /// Grows with every change of the meter: a cell of before means something else.
    generation: AtomicU64,
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
/// A small table may be made larger while it is used, and its number of shards stays.
const MIN_SHARDS: usize = 64;
const MAX_SHARDS: usize = 1024;
/// Other shards that a newcomer looks at when the table is full.
const VISITED_WHEN_FULL: usize = 64;
/// Slots that each newcomer sweeps: more than it takes up, so that the sweep keeps ahead.
const SWEPT_BY_NEWCOMER: usize = 4;

impl Table {
    pub(super) fn new(max_keys: usize, overflow: Overflow, meter: Meter) -> Self {
        let shards = (max_keys / KEYS_PER_SHARD).clamp(MIN_SHARDS, MAX_SHARDS);
        let shards = if shards.is_power_of_two() { shards } else { shards.next_power_of_two() / 2 };
        let keys = max_keys.div_ceil(shards);
        Self {
            secret: RandomState::new(),
            shards: (0..shards).map(|_| Padded(Mutex::new(Shard::new(keys, meter)))).collect(),
            shared: Mutex::new(Shared { meter, cell: 0 }),
            occupied: AtomicUsize::new(0),
            max_keys: AtomicUsize::new(max_keys),
            overflowed: AtomicU64::new(0),
            visited: AtomicUsize::new(0),
            generation: AtomicU64::new(0),
            overflow,
        }
    }

    /// Hashes a key with the table's secret.
    pub(super) fn tag<E>(&self, write: impl FnOnce(&mut dyn Hasher) -> Result<(), E>) -> Result<Tag, E> {
        let mut hasher = self.secret.build_hasher();
        write(&mut hasher)?;
        Ok(Tag::new(hasher.finish()))
    }

    /// Hashes a tag for something other than finding its cell.
    pub(super) fn tag_hash(&self, purpose: u8, tag: Tag) -> u64 {
        self.secret.hash_one((purpose, tag.get()))
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

    /// Changes when cells begin to mean something else.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
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
        let at = match shard.find(tag.get()) {
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
        let Found::At(at, cell) = shard.find(tag.get()) else { return false };
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
        match shard.find(tag.get()) {
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
            self.generation.fetch_add(1, Ordering::Relaxed);
            *shared = Shared { meter, cell: meter.translate(&shared.meter, shared.cell, now) };
        }
    }

    /// Makes room for another number of keys. Those that find no place any more keep theirs until they say nothing.
    pub(super) fn resize(&self, max_keys: usize, now: u64) {
        if self.max_keys.swap(max_keys, Ordering::Relaxed) != max_keys {
            let keys = max_keys.div_ceil(self.shards.len());
            for shard in &self.shards {
                let dropped = shard.lock().resize(keys, now);
                self.occupied.fetch_sub(dropped, Ordering::Relaxed);
            }
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
        &self.shards[tag.get() as usize & (self.shards.len() - 1)]
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
                shard.insert(tag.get(), cell)
            } else {
                shard.put(tag.get(), cell, at)
            }
            return true;
        }
        self.make_room(shard, now);
        let placed = self.take_slot(shard);
        if placed {
            shard.insert(tag.get(), cell);
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
        if shard.is_full() || self.is_full() {
            self.make_room(shard, now);
        }
        !shard.is_full() && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.occupied.load(Ordering::Relaxed) >= self.max_keys.load(Ordering::Relaxed)
    }

    /// Drops what says nothing any more, in a newcomer's own shard and, when it is the table that is full, in others.
    fn make_room(&self, own: &mut Shard, now: u64) {
        self.drop_from(own, |shard| shard.sweep_when_full(now));
        if !own.is_full() {
            self.visit_others(|_, shard| {
                self.drop_from(shard, |shard| shard.sweep_when_full(now));
                !self.is_full()
            });
        }
    }

    /// Looks at some other shards, none twice and none that is in use, until one will do.
    fn visit_others(&self, mut will_do: impl FnMut(usize, &mut Shard) -> bool) {
        for _ in 0..self.shards.len().min(VISITED_WHEN_FULL) {
            let next = self.visited.fetch_add(1, Ordering::Relaxed) % self.shards.len();
            if let Some(Ok(mut shard)) = self.shards.get(next).map(|shard| shard.0.try_lock())
                && will_do(next, &mut shard)
            {
                return;
            }
        }
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
                if let Some(answer) = self.replace_nearest(shard, tag, &mut decide) {
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

impl Table {
    /// Lets a newcomer have the place and the debt of a key that is close to replenished: in its own shard, or, where
    /// shards hold but a few, in whichever holds the closest.
    fn replace_nearest<R>(
        &self,
        own: &mut Shard,
        tag: Tag,
        mut decide: impl FnMut(&Meter, u64, Place) -> (u64, R),
    ) -> Option<R> {
        let mut replace = |own: &mut Shard, other: Option<&mut Shard>| {
            let (at, inherited) = other.as_deref().unwrap_or(own).nearest()?;
            let (next, answer) = decide(&own.meter, inherited, Place::Own);
            if next != inherited {
                other.unwrap_or(own).remove(at);
                own.insert(tag.get(), next);
            }
            Some(answer)
        };
        const FEW_KEYS: usize = 16;
        if self.max_keys.load(Ordering::Relaxed) > self.shards.len() * FEW_KEYS {
            return replace(own, None);
        }
        let expiry = |shard: &Shard| shard.nearest().map(|(_, cell)| shard.meter.expiry(cell));
        let mut nearest = (expiry(own), None);
        self.visit_others(|index, shard| {
            if let Some(expiry) = expiry(shard)
                && nearest.0.is_none_or(|held| expiry < held)
            {
                nearest = (Some(expiry), Some(index));
            }
            false
        });
        match nearest.1.and_then(|index| self.shards.get(index)).map(|shard| shard.0.try_lock()) {
            Some(Ok(mut other)) => replace(own, Some(&mut other)),
            _ => replace(own, None),
        }
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
