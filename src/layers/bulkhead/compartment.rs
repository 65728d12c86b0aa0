//! One compartment: how many are in it, and who waits, in the order in which they came.

use std::collections::BTreeMap;

/// Counts places, and those who wait for one. `W` is what wakes them.
///
/// While somebody waits, no place is free: whoever leaves gives its place to the first in the queue, so that no newcomer
/// slips past.
#[derive(Debug)]
pub(super) struct Compartment<W> {
    taken: usize,
    /// Who waits, by ticket; nothing wakes those that have not been asked yet.
    queue: BTreeMap<u64, Option<W>>,
    tickets: u64,
}

/// What becomes of one that gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp<W> {
    /// It was waiting, and this would have woken it.
    Waited(Option<W>),
    /// It had come in meanwhile, and this one is to be woken for the place.
    Left(Option<W>),
}

/// What becomes of one that would wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It need not.
    In,
    Queued(u64),
    /// The queue is as long as it may be.
    Full,
}

impl<W> Default for Compartment<W> {
    fn default() -> Self {
        Self { taken: 0, queue: BTreeMap::new(), tickets: 0 }
    }
}

impl<W> Compartment<W> {
    /// Takes a place, if one is free.
    pub(super) const fn enter(&mut self, places: usize) -> bool {
        let free = self.taken < places;
        if free {
            self.taken += 1;
        }
        free
    }

    /// Takes a place, or one in the queue.
    pub(super) fn enter_or_wait(&mut self, places: usize, max_waiting: usize) -> Entry {
        if self.enter(places) {
            return Entry::In;
        }
        if self.queue.len() >= max_waiting {
            return Entry::Full;
        }
        let ticket = self.tickets;
        self.tickets += 1;
        self.queue.insert(ticket, None);
        Entry::Queued(ticket)
    }

    /// Whether whoever has this ticket is in by now; if not, it is woken when it is, and what would have woken it is handed
    /// back.
    pub(super) fn look(&mut self, ticket: u64, wake: &mut Option<W>) -> bool {
        match self.queue.get_mut(&ticket) {
            Some(waiting) => {
                std::mem::swap(waiting, wake);
                false
            }
            None => true,
        }
    }

    /// Gives a place back, and returns who is to be woken.
    pub(super) fn leave(&mut self, places: usize) -> Option<W> {
        self.taken = self.taken.saturating_sub(1);
        self.call_next(places).flatten()
    }

    /// Gives up waiting, or the place that the ticket has come to.
    pub(super) fn give_up(&mut self, ticket: u64, places: usize) -> GivenUp<W> {
        match self.queue.remove(&ticket) {
            Some(wake) => GivenUp::Waited(wake),
            None => GivenUp::Left(self.leave(places)),
        }
    }

    /// Lets in whoever a larger number of places has room for, and returns who is to be woken.
    pub(super) fn fill(&mut self, places: usize) -> Vec<W> {
        let mut woken = Vec::new();
        while let Some(wake) = self.call_next(places) {
            woken.extend(wake);
        }
        woken
    }

    /// Whether nobody is in it or waits.
    pub(super) fn is_idle(&self) -> bool {
        self.taken == 0 && self.queue.is_empty()
    }

    /// How many places are taken.
    pub(super) const fn taken(&self) -> usize {
        self.taken
    }

    fn call_next(&mut self, places: usize) -> Option<Option<W>> {
        if self.taken >= places {
            return None;
        }
        let (_, wake) = self.queue.pop_first()?;
        self.taken += 1;
        Some(wake)
    }
}
