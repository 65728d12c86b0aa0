//! Probes that their own callers hold up. Whoever stalls its upload has a slot and tries nothing with it: if that counted, a few
//! such callers would keep a circuit from ever finding out that the other side is well again.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::machine::Ticket;
use super::word::MAX_PROBES;
use crate::spine::holdup::Holdup;

/// A probe in flight that can be held up.
#[derive(Debug)]
pub(super) struct Probe {
    ticket: Ticket,
    holdup: Holdup,
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
        self.settle_as(KEPT)
    }

    fn take(&self) -> bool {
        self.settle_as(TAKEN)
    }

    fn settle_as(&self, slot: u8) -> bool {
        match self.slot.compare_exchange(IN_FLIGHT, slot, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => true,
            Err(before) => before == slot,
        }
    }
}

/// Those of one circuit.
#[derive(Debug, Default)]
pub(super) struct Stalls(Mutex<Lists>);

#[derive(Debug, Default)]
struct Lists {
    in_flight: Vec<Weak<Probe>>,
    /// Calls that have lost their slots and go on: the other side is not to meet any number of them.
    taken: Vec<Weak<Probe>>,
}

/// So many have lost their slots at a time. One more has failed, as if nobody held it up.
const MAX_TAKEN: usize = MAX_PROBES as usize;

impl Stalls {
    pub(super) fn watch(&self, ticket: Ticket, holdup: Holdup) -> Arc<Probe> {
        let probe = Arc::new(Probe { ticket, holdup, slot: AtomicU8::new(IN_FLIGHT) });
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lists.in_flight.retain(is_alive);
        lists.in_flight.push(Arc::downgrade(&probe));
        probe
    }

    /// The tickets of those that are held up at the end of their leases: their slots are their callers' no more.
    pub(super) fn take_back(&self, is_over: impl Fn(Ticket) -> bool) -> Vec<Ticket> {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Lists { in_flight, taken } = &mut *lists;
        taken.retain(is_alive);
        let mut tickets = Vec::new();
        in_flight.retain(|held| {
            let Some(probe) = held.upgrade() else { return false };
            if taken.len() < MAX_TAKEN && is_over(probe.ticket) && probe.holdup.is_held() && probe.take() {
                tickets.push(probe.ticket);
                taken.push(Weak::clone(held));
                return false;
            }
            true
        });
        tickets
    }
}

fn is_alive(probe: &Weak<Probe>) -> bool {
    probe.strong_count() > 0
}

#[cfg(test)]
mod tests {
    use super::super::machine::Kind;
    use super::*;
    use crate::spine::holdup::By;

    const TICKET: Ticket = Ticket { generation: 1, kind: Kind::Probe(0) };

    fn held() -> Holdup {
        let holdup = Holdup::new();
        holdup.begin(By::Sender);
        holdup
    }

    /// Either its permit keeps a slot, or somebody takes it; whoever came first may ask again.
    #[test]
    fn a_slot_is_kept_or_taken() {
        let stalls = Stalls::default();
        let kept = stalls.watch(TICKET, held());
        assert!(kept.keep());
        assert!(stalls.take_back(|_| true).is_empty());
        assert!(kept.keep());
        let taken = stalls.watch(TICKET, held());
        assert!(stalls.take_back(|_| false).is_empty(), "it has its time");
        assert_eq!(stalls.take_back(|_| true), [TICKET]);
        assert!(!taken.keep() && !taken.keep());
        assert!(stalls.take_back(|_| true).is_empty(), "once");
        let free = stalls.watch(TICKET, Holdup::new());
        assert!(stalls.take_back(|_| true).is_empty() && free.keep());
    }

    /// What has gone takes no room; of those that go on no more than so many have lost their slots.
    #[test]
    fn how_many_are_known_and_taken() {
        let stalls = Stalls::default();
        for _ in 0..100 {
            drop(stalls.watch(TICKET, held()));
        }
        assert!(stalls.0.lock().unwrap().in_flight.len() <= 1);
        let mut probes: Vec<_> = (0..=MAX_TAKEN).map(|_| stalls.watch(TICKET, held())).collect();
        assert_eq!(stalls.take_back(|_| true).len(), MAX_TAKEN);
        assert!(stalls.take_back(|_| true).is_empty());
        assert!(probes.last().unwrap().keep());
        drop(probes.remove(0));
        let next = stalls.watch(TICKET, held());
        assert_eq!(stalls.take_back(|_| true).len(), 1);
        assert!(!next.keep());
    }
}
