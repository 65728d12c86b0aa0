//! Room for work that strangers can ask for: so much at once, and no more.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts what is under way. Clones are the same room.
#[derive(Debug, Clone)]
pub(super) struct Room {
    taken: Arc<AtomicUsize>,
    places: usize,
}

impl Room {
    pub(super) fn for_at_most(places: usize) -> Self {
        Self { taken: Arc::default(), places }
    }

    /// A place, given back when it is dropped; `None` when all are taken.
    pub(super) fn enter(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.taken));
        (self.taken.fetch_add(1, Ordering::AcqRel) < self.places).then_some(place)
    }
}

/// A place in a room. Made before its count is raised, and only then, whether it may stay or not.
#[derive(Debug)]
#[must_use = "a place that nobody holds is given back at once"]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
