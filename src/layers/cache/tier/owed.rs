//! Purges that the store has not heard of yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::super::purge::Purge;
use super::super::store::StorePurge;

/// Purges that wait. Beyond, one of everything stands for all of them.
const MAX_OWED: usize = 4096;
/// Tasks that are woken when what they wait for is told. Others find out when their time is over.
const MAX_WAITING: usize = 1024;
/// Purges that are told at a time.
const MAX_TOLD: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Owed(Mutex<Row>);

#[derive(Debug, Default)]
struct Row {
    purges: VecDeque<Due>,
    next: u64,
    /// Who waits until all is told that was owed before a place in the row.
    waiting: Vec<(u64, Waker)>,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    /// Its place in the row.
    at: u64,
    /// That of the first that it stands for.
    from: u64,
    /// What was begun before this number is what it is for.
    since: u64,
    purge: StorePurge,
}

impl Owed {
    fn row(&self) -> MutexGuard<'_, Row> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a purge that is about to have the number that `since` says, or a later one.
    pub(super) fn push(&self, purge: StorePurge, since: impl FnOnce() -> u64) {
        let mut row = self.row();
        let at = row.next;
        row.next += 1;
        let mut due = Due { at, from: at, since: since(), purge };
        if row.purges.len() >= MAX_OWED {
            if let Some(first) = row.purges.front() {
                (due.from, due.since) = (first.from, first.since);
            }
            due.purge = StorePurge { mark: None, how: Purge::Hard };
            row.purges.clear();
        }
        row.purges.push_back(due);
    }

    /// The least number of what the store may not know.
    pub(super) fn oldest(&self) -> Option<u64> {
        self.row().purges.front().map(|first| first.since)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.row().purges.is_empty()
    }

    /// What the store is to be told, and the place of the last of it.
    pub(super) fn due(&self) -> Option<(Vec<StorePurge>, u64)> {
        let row = self.row();
        let told = || row.purges.iter().take(MAX_TOLD);
        Some((told().map(|due| due.purge).collect(), told().next_back()?.at))
    }

    /// It was told of all up to this place.
    pub(super) fn told(&self, last: u64) {
        let mut row = self.row();
        while row.purges.front().is_some_and(|first| first.at <= last) {
            row.purges.pop_front();
        }
        let (told, waiting) = std::mem::take(&mut row.waiting).into_iter().partition(|(until, _)| row.has_told(*until));
        row.waiting = waiting;
        // Outside the lock, since a waker may run anything.
        drop(row);
        let told: Vec<(u64, Waker)> = told;
        told.into_iter().for_each(|(_, waker)| waker.wake());
    }

    /// The place of what will be owed next.
    pub(super) fn end(&self) -> u64 {
        self.row().next
    }

    /// Whether all was told that was owed before this place.
    pub(super) fn has_told(&self, until: u64) -> bool {
        self.row().has_told(until)
    }

    /// The same; else who asks is woken when that is so.
    pub(super) fn is_told(&self, until: u64, waker: &Waker) -> bool {
        // Cloned outside the lock, and dropped outside it.
        let waker = waker.clone();
        let mut row = self.row();
        if row.has_told(until) {
            return true;
        }
        let waits = |other: &(u64, Waker)| other.0 == until && other.1.will_wake(&waker);
        if row.waiting.len() < MAX_WAITING && !row.waiting.iter().any(waits) {
            row.waiting.push((until, waker));
        }
        false
    }
}

impl Row {
    fn has_told(&self, until: u64) -> bool {
        self.purges.front().is_none_or(|first| first.from >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(mark: u64) -> StorePurge {
        StorePurge { mark: Some(mark), how: Purge::Hard }
    }

    #[test]
    fn what_is_told_is_owed_no_more() {
        let owed = Owed::default();
        assert!(owed.due().is_none());
        for number in 1..=3 {
            owed.push(mark(number), || number * 10);
        }
        let (due, last) = owed.due().unwrap();
        assert_eq!((due, owed.oldest()), (vec![mark(1), mark(2), mark(3)], Some(10)));
        owed.push(mark(4), || 40);
        owed.told(last);
        assert_eq!((owed.due().unwrap().0, owed.oldest()), (vec![mark(4)], Some(40)));
    }

    /// Who waits for what is owed now does not wait for what is owed later.
    #[test]
    fn a_row_that_never_ends_is_waited_for_by_nobody() {
        let (owed, waker) = (Owed::default(), Waker::noop());
        owed.push(mark(1), || 1);
        let until = owed.end();
        let (_, last) = owed.due().unwrap();
        owed.push(mark(2), || 2);
        assert!(!owed.is_told(until, waker));
        owed.told(last);
        assert!(owed.is_told(until, waker) && !owed.has_told(owed.end()));
    }

    /// One of everything stands for those before it, and is not told with them.
    #[test]
    fn who_waits_in_a_flood_waits_for_what_stands_for_it() {
        let (owed, waker) = (Owed::default(), Waker::noop());
        owed.push(mark(0), || 1);
        let until = owed.end();
        for number in 0..MAX_OWED as u64 {
            owed.push(mark(number), || 2);
        }
        assert!(!owed.is_told(until, waker));
        let (_, last) = owed.due().unwrap();
        owed.told(last);
        assert!(owed.is_told(until, waker));
    }

    /// One that stands for many is as old as the first of them, and was not told with them.
    #[test]
    fn a_flood_is_one_of_everything() {
        let owed = Owed::default();
        for number in 0..MAX_OWED as u64 {
            owed.push(mark(number), || 7 + number);
        }
        let (due, last) = owed.due().unwrap();
        assert_eq!(due.len(), MAX_TOLD);
        owed.push(mark(0), || 100_000);
        owed.told(last);
        assert_eq!(owed.due().unwrap().0, [StorePurge { mark: None, how: Purge::Hard }]);
        assert_eq!(owed.oldest(), Some(7));
    }
}
