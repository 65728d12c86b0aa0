//! Purges that the store has not heard of yet.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use super::super::purge::Purge;
use super::super::store::StorePurge;

/// Purges that wait. Beyond, one of everything stands for all of them.
const MAX_OWED: usize = 4096;
/// Tasks that are woken when nothing is owed. Others find out when their time is over.
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
    /// Who waits until nothing is owed.
    waiting: Vec<Waker>,
}

#[derive(Debug, Clone, Copy)]
struct Due {
    /// Its place in the row.
    at: u64,
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
        let mut due = Due { at, since: since(), purge };
        if row.purges.len() >= MAX_OWED {
            due.since = row.purges.front().map_or(due.since, |first| first.since);
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
        if row.purges.is_empty() {
            let waiting = std::mem::take(&mut row.waiting);
            // Outside the lock, since a waker may run anything.
            drop(row);
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Whether nothing is owed; else who asks is woken when that is so.
    pub(super) fn is_settled(&self, waker: &Waker) -> bool {
        // Cloned outside the lock, and dropped outside it.
        let waker = waker.clone();
        let mut row = self.row();
        if row.purges.is_empty() {
            return true;
        }
        if row.waiting.len() < MAX_WAITING && !row.waiting.iter().any(|other| other.will_wake(&waker)) {
            row.waiting.push(waker);
        }
        false
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
