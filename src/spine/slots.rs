//! So many at once, and no more: for work that strangers can ask for.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is under way. Clones count together.
#[derive(Debug, Clone)]
pub(crate) struct Slots {
    taken: Arc<AtomicUsize>,
    most: usize,
}

impl Slots {
    pub(crate) fn for_at_most(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    /// A slot, given back when it is dropped; `None` when all are taken.
    pub(crate) fn take(&self) -> Option<Slot> {
        let one_more = |taken| (taken < self.most).then_some(taken + 1);
        let taken = self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        taken.is_ok().then(|| Slot(Arc::clone(&self.taken)))
    }

    /// How many are taken.
    #[cfg(any(test, feature = "rate-limit"))]
    pub(crate) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

/// One of them.
#[derive(Debug)]
#[must_use = "a slot that nobody holds is given back at once"]
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_than_there_are_and_each_comes_back() {
        let slots = Slots::for_at_most(2);
        let clone = slots.clone();
        let (first, second) = (slots.take().unwrap(), clone.take().unwrap());
        assert!(clone.take().is_none() && slots.taken() == 2);
        drop(first);
        assert!(slots.take().is_some() && slots.taken() == 1);
        drop(second);
        assert_eq!(slots.taken(), 0);
        assert!(Slots::for_at_most(0).take().is_none());
    }
}
