//! A part of a table: open addressing with linear probing, and deletion that shifts back, so that it needs no marks
//! of what was there.

use super::meter::Meter;

pub(super) struct Shard {
    pub(super) meter: Meter,
    /// Tag and cell; a tag of zero is a free slot.
    pub(super) slots: Box<[[u64; 2]]>,
    /// The most slots that there may be.
    pub(super) max_slots: usize,
    pub(super) len: usize,
    /// Where the sweep goes on.
    pub(super) cursor: usize,
    /// No cell says nothing before this; zero when nobody has looked.
    pub(super) earliest_expiry: u64,
}

pub(super) enum Found {
    /// Here, with this cell.
    At(usize, u64),
    /// Not there; here it would stand.
    Free(usize),
}

/// The slots that a shard begins with. A table that was made smaller still spreads its keys unevenly, so none has less.
const MIN_SLOTS: usize = 32;
/// Slots that can be swept at once within a few microseconds.
pub(super) const SMALL_SLOTS: usize = 16_384;
/// Slots of a larger shard that are swept at once.
pub(super) const SWEPT_AT_ONCE: usize = 256;
/// Cells that are looked at to find one close to replenished.
const SAMPLE: usize = 64;

impl Shard {
    /// For up to about so many keys. There is half as much room again, which keeps probes short.
    pub(super) fn new(keys: usize, meter: Meter) -> Self {
        Self { meter, slots: free_slots(MIN_SLOTS), max_slots: slots_for(keys), len: 0, cursor: 0, earliest_expiry: 0 }
    }

    /// Whether one more would make probes long, and there may be no more slots.
    pub(super) const fn is_full(&self) -> bool {
        self.slots.len() == self.max_slots && self.len >= self.max_slots / 8 * 7
    }

    /// Doubles the slots when most are taken, unless many of them say nothing any more. Returns how many cells were
    /// dropped, if any has moved. A shard is small, so this is a matter of microseconds.
    pub(super) fn grow(&mut self, now: u64) -> Option<usize> {
        if self.slots.len() == self.max_slots || self.len < self.slots.len() / 4 * 3 {
            return None;
        }
        let meter = self.meter;
        let alive = |cell: u64| meter.expiry(cell) > now;
        let counting = self.slots.iter().filter(|[tag, cell]| *tag != 0 && alive(*cell)).count();
        let slots = if counting < self.slots.len() / 2 { self.slots.len() } else { self.slots.len() * 2 };
        Some(self.rebuild(slots.min(self.max_slots), |cell| Some(cell).filter(|cell| alive(*cell))))
    }

    pub(super) fn find(&self, tag: u64) -> Found {
        let mut at = self.home(tag);
        loop {
            match self.slots.get(at) {
                Some([held, cell]) if *held == tag => return Found::At(at, *cell),
                Some([0, _]) | None => return Found::Free(at),
                Some(_) => at = self.after(at),
            }
        }
    }

    pub(super) fn set(&mut self, at: usize, cell: u64) {
        self.earliest_expiry = self.earliest_expiry.min(self.meter.expiry(cell));
        if let Some(slot) = self.slots.get_mut(at) {
            slot[1] = cell;
        }
    }

    /// Puts a tag that is not there yet.
    pub(super) fn insert(&mut self, tag: u64, cell: u64) {
        if let Found::Free(at) = self.find(tag) {
            self.put(tag, cell, at);
        }
    }

    /// Puts a tag where [`find`](Self::find) said, when nothing has moved since.
    pub(super) fn put(&mut self, tag: u64, cell: u64, at: usize) {
        self.earliest_expiry = self.earliest_expiry.min(self.meter.expiry(cell));
        if let Some(slot) = self.slots.get_mut(at) {
            *slot = [tag, cell];
            self.len += 1;
        }
    }

    /// Frees a slot, and moves those up that had to go on because of it.
    pub(super) fn remove(&mut self, at: usize) {
        let mut hole = at;
        let mut next = self.after(hole);
        while let Some([tag, cell]) = self.slots.get(next).copied() {
            if tag == 0 {
                break;
            }
            // It may move into the hole if its home does not lie between the hole and itself.
            let (home, slots) = (self.home(tag), self.slots.len());
            if (next + slots - home) % slots >= (next + slots - hole) % slots {
                if let Some(slot) = self.slots.get_mut(hole) {
                    *slot = [tag, cell];
                }
                hole = next;
            }
            next = self.after(next);
        }
        if let Some(slot) = self.slots.get_mut(hole) {
            *slot = [0; 2];
            self.len -= 1;
        }
    }

    /// Makes room in a full shard: all of a small one is swept, some of a large one, which the next newcomers go on with.
    pub(super) fn sweep_when_full(&mut self, now: u64) -> usize {
        if now < self.earliest_expiry {
            return 0;
        }
        if self.slots.len() > SMALL_SLOTS {
            return self.sweep(SWEPT_AT_ONCE, now);
        }
        let dropped = self.sweep(self.slots.len(), now);
        // A flood of newcomers asks again and again, and need not be told more than once.
        let alive = self.slots.iter().filter(|[tag, _]| *tag != 0).map(|[_, cell]| self.meter.expiry(*cell));
        self.earliest_expiry = alive.min().unwrap_or(0);
        dropped
    }

    /// Drops what says nothing any more among the next `slots`, and says how many that were.
    pub(super) fn sweep(&mut self, slots: usize, now: u64) -> usize {
        let before = self.len;
        for _ in 0..slots.min(self.slots.len()) {
            match self.slots.get(self.cursor) {
                // Another may have moved here, so the cursor stays.
                Some([tag, cell]) if *tag != 0 && self.meter.expiry(*cell) <= now => self.remove(self.cursor),
                _ => self.cursor = self.after(self.cursor),
            }
        }
        before - self.len
    }

    /// The cell closest to replenished among some, from where the sweep stands.
    pub(super) fn nearest(&self) -> Option<(usize, u64)> {
        let mut nearest: Option<(usize, u64)> = None;
        let mut at = self.cursor;
        for _ in 0..SAMPLE.min(self.slots.len()) {
            if let Some([tag, cell]) = self.slots.get(at)
                && *tag != 0
                && nearest.is_none_or(|(_, held)| self.meter.expiry(*cell) < self.meter.expiry(held))
            {
                nearest = Some((at, *cell));
            }
            at = self.after(at);
        }
        nearest
    }

    /// Rewrites every cell for another meter, drops those that then say nothing, and says how many.
    pub(super) fn translate(&mut self, translate: impl Fn(u64) -> u64, meter: Meter) -> usize {
        self.meter = meter;
        self.rebuild(self.slots.len(), |cell| Some(translate(cell)).filter(|cell| *cell != 0))
    }

    /// Makes room for another number of keys, never for less than there are, and says how many said nothing any more.
    pub(super) fn resize(&mut self, keys: usize, now: u64) -> usize {
        let meter = self.meter;
        let dropped = self.rebuild(self.slots.len(), |cell| Some(cell).filter(|cell| meter.expiry(*cell) > now));
        self.max_slots = slots_for(keys.max(self.len));
        if self.slots.len() > self.max_slots {
            self.rebuild(self.max_slots, Some);
        }
        dropped
    }

    pub(super) fn clear(&mut self) -> usize {
        self.rebuild(self.slots.len(), |_| None)
    }

    fn rebuild(&mut self, slots: usize, keep: impl Fn(u64) -> Option<u64>) -> usize {
        let (old, before) = (std::mem::replace(&mut self.slots, free_slots(slots)), self.len);
        self.len = 0;
        self.cursor = 0;
        self.earliest_expiry = 0;
        for [tag, cell] in old {
            if tag != 0
                && let Some(cell) = keep(cell)
            {
                self.insert(tag, cell);
            }
        }
        before - self.len
    }

    /// Where a tag belongs: its upper bits, spread over the slots without a division.
    const fn home(&self, tag: u64) -> usize {
        ((tag as u128 * self.slots.len() as u128) >> 64) as usize
    }

    const fn after(&self, at: usize) -> usize {
        if at + 1 == self.slots.len() { 0 } else { at + 1 }
    }
}

fn free_slots(slots: usize) -> Box<[[u64; 2]]> {
    vec![[0; 2]; slots].into_boxed_slice()
}

fn slots_for(keys: usize) -> usize {
    // Half as much again, and what keys are scattered unevenly by: eight standard deviations.
    keys.saturating_add(keys / 2).saturating_add(8 * keys.isqrt()).saturating_add(MIN_SLOTS)
}
