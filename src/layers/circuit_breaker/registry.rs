//! A bounded number of things under hashed keys.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// Things by key, no more than it was made for.
///
/// When it is full, the one that was not asked for lately makes room, if it may go. Where none may, there is no place.
#[derive(Debug)]
pub(super) struct Registry<T> {
    most: usize,
    held: RwLock<Held<T>>,
    overflowed: AtomicU64,
}

#[derive(Debug)]
struct Held<T> {
    by_tag: HashMap<u64, usize, BuildHasherDefault<Hashed>>,
    places: Vec<Place<T>>,
    hand: usize,
}

#[derive(Debug)]
struct Place<T> {
    tag: u64,
    thing: Arc<T>,
    /// Whether it was asked for since the hand came by.
    asked: AtomicBool,
}

/// How far one newcomer looks for a place: the work of a request is bounded, whatever keys clients think of.
const MAX_STEPS: usize = 32;

impl<T> Registry<T> {
    pub(super) fn new(most: usize) -> Self {
        let held = Held { by_tag: HashMap::default(), places: Vec::new(), hand: 0 };
        Self { most: most.max(1), held: RwLock::new(held), overflowed: AtomicU64::new(0) }
    }

    /// The thing of a key, made when there is none; `None` when there is no room for it.
    pub(super) fn get(&self, tag: u64, make: impl FnOnce() -> T, may_go: impl Fn(&T) -> bool) -> Option<Arc<T>> {
        if let Some(found) = self.find(tag) {
            return Some(found);
        }
        let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
        let found = held.insert(tag, self.most, make, may_go);
        drop(held);
        if found.is_none() {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
        }
        found
    }

    pub(super) fn find(&self, tag: u64) -> Option<Arc<T>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        let place = held.places.get(*held.by_tag.get(&tag)?)?;
        if !place.asked.load(Ordering::Relaxed) {
            place.asked.store(true, Ordering::Relaxed);
        }
        Some(Arc::clone(&place.thing))
    }

    pub(super) fn all(&self) -> Vec<Arc<T>> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.places.iter().map(|place| Arc::clone(&place.thing)).collect()
    }

    /// How often a key found no room.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }
}

impl<T> Held<T> {
    fn insert(
        &mut self,
        tag: u64,
        most: usize,
        make: impl FnOnce() -> T,
        may_go: impl Fn(&T) -> bool,
    ) -> Option<Arc<T>> {
        if let Entry::Occupied(entry) = self.by_tag.entry(tag) {
            // Somebody was quicker.
            return self.places.get(*entry.get()).map(|place| Arc::clone(&place.thing));
        }
        if self.places.len() < most {
            let place = Place { tag, thing: Arc::new(make()), asked: AtomicBool::new(true) };
            let thing = Arc::clone(&place.thing);
            self.by_tag.insert(tag, self.places.len());
            self.places.push(place);
            return Some(thing);
        }
        for _ in 0..MAX_STEPS.min(2 * self.places.len()) {
            let at = self.hand;
            self.hand = (at + 1) % self.places.len();
            let place = self.places.get_mut(at)?;
            // One that somebody holds is at work.
            let is_idle = Arc::strong_count(&place.thing) == 1 && may_go(&place.thing);
            if place.asked.swap(false, Ordering::Relaxed) || !is_idle {
                continue;
            }
            self.by_tag.remove(&place.tag);
            *place = Place { tag, thing: Arc::new(make()), asked: AtomicBool::new(true) };
            self.by_tag.insert(tag, at);
            return Some(Arc::clone(&place.thing));
        }
        None
    }
}

/// Tags are hashes already.
#[derive(Debug, Default)]
struct Hashed(u64);

impl Hasher for Hashed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, tag: u64) {
        self.0 = tag;
    }
}
