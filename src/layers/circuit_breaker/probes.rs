//! How long probes may take.

use super::sync::{AtomicU64, Ordering};
use super::word::{Slot, Word, is_later};

/// A lease for each slot: `generation:18 | answered:1 | end:45`. Zero, or one of another generation, says that it has
/// not begun yet.
#[derive(Debug)]
pub(super) struct Leases(Box<[AtomicU64]>);

const END_BITS: u32 = 45;
const MAX_END: u64 = (1 << END_BITS) - 1;
const ANSWERED: u64 = 1 << END_BITS;
const GENERATION_SHIFT: u32 = END_BITS + 1;

impl Leases {
    pub(super) fn new(probes: u32) -> Self {
        Self((0..probes).map(|_| AtomicU64::new(0)).collect())
    }

    /// Begins the lease of a slot that was just taken. Whoever took it and was then held up until another round had begun
    /// leaves the lease of who has it now: without one, a probe that hangs would hold its slot for ever.
    pub(super) fn begin(&self, generation: u32, slot: u32, end: u64) {
        let Some(lease) = self.of(slot) else { return };
        let begun = (u64::from(generation) << GENERATION_SHIFT) | end.clamp(1, MAX_END);
        let keeps = |held: u64| held != 0 && is_later((held >> GENERATION_SHIFT) as u32, generation);
        let _ = lease.fetch_update(Ordering::AcqRel, Ordering::Acquire, |held| (!keeps(held)).then_some(begun));
    }

    /// Ends the lease of a slot that is about to be free.
    pub(super) fn end(&self, generation: u32, slot: u32) {
        self.change(generation, slot, |_| 0);
    }

    /// Notes that a probe's answer has begun well.
    pub(super) fn answered(&self, generation: u32, slot: u32) {
        self.change(generation, slot, |lease| lease | ANSWERED);
    }

    fn change(&self, generation: u32, slot: u32, change: impl Fn(u64) -> u64) {
        let Some(lease) = self.of(slot) else { return };
        let held = lease.load(Ordering::Acquire);
        if held >> GENERATION_SHIFT == u64::from(generation) {
            // Only the holder of a slot writes; one whose lease is another's by now finds another value.
            let _ = lease.compare_exchange(held, change(held), Ordering::AcqRel, Ordering::Acquire);
        }
    }

    /// A slot whose lease is over, and whether its answer had begun.
    pub(super) fn ended(&self, word: Word, now: u64) -> Option<(u32, bool)> {
        self.running(word).find(|(_, lease)| lease & MAX_END <= now).map(|(slot, lease)| (slot, lease & ANSWERED != 0))
    }

    /// Whether the lease of a slot is over.
    pub(super) fn is_over(&self, generation: u32, slot: u32, now: u64) -> bool {
        let lease = self.of(slot).map_or(0, |lease| lease.load(Ordering::Acquire));
        is_of(lease, generation) && lease & MAX_END <= now
    }

    /// When the first lease will be over.
    pub(super) fn first_end(&self, word: Word) -> Option<u64> {
        self.running(word).map(|(_, lease)| lease & MAX_END).min()
    }

    /// When the last lease of a generation was or will be over; `None` when all were given back.
    pub(super) fn last_end(&self, generation: u32) -> Option<u64> {
        let leases = self.0.iter().map(|lease| lease.load(Ordering::Acquire));
        leases.filter(|lease| is_of(*lease, generation)).map(|lease| lease & MAX_END).max()
    }

    fn running(&self, word: Word) -> impl Iterator<Item = (u32, u64)> {
        let leases = (0u32..).zip(self.0.iter());
        leases
            .filter(move |(slot, _)| word.slot(*slot) == Slot::InFlight)
            .map(|(slot, lease)| (slot, lease.load(Ordering::Acquire)))
            .filter(move |(_, lease)| is_of(*lease, word.generation()))
    }

    fn of(&self, slot: u32) -> Option<&AtomicU64> {
        self.0.get(slot as usize)
    }
}

const fn is_of(lease: u64, generation: u32) -> bool {
    lease != 0 && lease >> GENERATION_SHIFT == generation as u64
}
