//! Probes that their own callers hold up. Whoever stalls its upload has a slot and tries nothing with it: without this, a few
//! such callers would keep a circuit from ever finding out that the other side is well again.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::machine::Ticket;
use crate::spine::holdup::Holdup;

/// A probe in flight that can be held up.
#[derive(Debug)]
pub(super) struct Probe {
    ticket: Ticket,
    holdup: Holdup,
    begun_ms: u64,
    /// Whose its slot is. Either its permit keeps it, or it is taken: whichever comes first.
    slot: AtomicU8,
}

const IN_FLIGHT: u8 = 0;
const KEPT: u8 = 1;
const TAKEN: u8 = 2;

impl Probe {
    pub(super) const fn holdup(&self) -> &Holdup {
        &self.holdup
    }

    /// Keeps the slot from here on; `false` when it was taken.
    pub(super) fn keep(&self) -> bool {
        self.become_of(KEPT)
    }

    fn take(&self) -> bool {
        self.become_of(TAKEN)
    }

    fn become_of(&self, slot: u8) -> bool {
        match self.slot.compare_exchange(IN_FLIGHT, slot, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(before) => before == slot,
        }
    }
}

/// Those of one circuit.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    probes: Mutex<Vec<Weak<Probe>>>,
    /// Whether there may be any: most circuits never have one.
    has_any: AtomicBool,
}

impl Stalls {
    pub(super) fn watch(&self, ticket: Ticket, holdup: Holdup, begun_ms: u64) -> Arc<Probe> {
        let probe = Arc::new(Probe { ticket, holdup, begun_ms, slot: AtomicU8::new(IN_FLIGHT) });
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.retain(|probe| probe.strong_count() > 0);
        probes.push(Arc::downgrade(&probe));
        self.has_any.store(true, Ordering::Release);
        probe
    }

    /// The tickets of those that have had their time and are held up now: their slots are their callers' no more.
    pub(super) fn take_back(&self, now_ms: u64, patience_ms: u64) -> Vec<Ticket> {
        if !self.has_any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let mut probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = Vec::new();
        probes.retain(|probe| {
            let Some(probe) = probe.upgrade() else { return false };
            let is_stalled = probe.holdup.is_held() && now_ms.saturating_sub(probe.begun_ms) >= patience_ms;
            if is_stalled && probe.take() {
                taken.push(probe.ticket);
            }
            !is_stalled
        });
        self.has_any.store(!probes.is_empty(), Ordering::Release);
        taken
    }
}
