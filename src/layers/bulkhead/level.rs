//! Compartments under their locks: one for everybody, or one for each key that somebody is in.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::PoisonError;
use std::task::Waker;

use super::compartment::{Compartment, Entry, GivenUp};
use super::sync::{Mutex, MutexGuard};

/// The key of those who have none: they share the compartment that is always there.
pub(super) const EVERYBODY: u64 = 0;

/// A compartment is there as long as somebody is in it or waits, so that there are never more of them than requests.
pub(super) struct Level {
    shards: Box<[Padded]>,
}

/// On cache lines of its own, so that two threads at two shards do not slow each other down.
#[repr(align(128))]
struct Padded(Mutex<Shard>);

struct Shard {
    places: usize,
    max_waiting: usize,
    everybody: Compartment<Waker>,
    by_key: HashMap<u64, Compartment<Waker>, BuildHasherDefault<TagHasher>>,
}

/// Shards of a level that has keys.
const SHARDS: usize = 16;

impl Level {
    /// One compartment for all.
    pub(super) fn for_everybody(places: usize) -> Self {
        // Who may wait here is counted outside.
        Self::new(1, places, usize::MAX)
    }

    /// A compartment for each key.
    pub(super) fn by_key(places: usize, max_waiting: usize) -> Self {
        Self::new(SHARDS, places, max_waiting)
    }

    fn new(shards: usize, places: usize, max_waiting: usize) -> Self {
        let shard = || Shard { places, max_waiting, everybody: Compartment::default(), by_key: HashMap::default() };
        Self { shards: (0..shards).map(|_| Padded(Mutex::new(shard()))).collect() }
    }

    /// Takes a place, if one is free.
    pub(super) fn enter(&self, key: u64) -> bool {
        let mut shard = self.shard(key);
        let places = shard.places;
        let entered = shard.compartment(key).enter(places);
        shard.tidy(key);
        entered
    }

    /// Takes a place, or one in the queue.
    pub(super) fn enter_or_wait(&self, key: u64) -> Entry {
        let mut shard = self.shard(key);
        let (places, max_waiting) = (shard.places, shard.max_waiting);
        let entry = shard.compartment(key).enter_or_wait(places, max_waiting);
        shard.tidy(key);
        entry
    }

    /// Whether whoever has this ticket is in by now; if not, `waker` is woken when it is.
    pub(super) fn look(&self, key: u64, ticket: u64, waker: &Waker) -> bool {
        // Wakers are cloned and dropped outside the lock: either may run anything, another wait's end too.
        let mut waker = Some(waker.clone());
        let is_in = self.shard(key).compartment(key).look(ticket, &mut waker);
        drop(waker);
        is_in
    }

    /// Gives a place back.
    pub(super) fn leave(&self, key: u64) {
        wake(self.change(key, Compartment::leave));
    }

    /// Gives up waiting, or the place that the ticket has come to.
    pub(super) fn give_up(&self, key: u64, ticket: u64) {
        match self.change(key, |compartment, places| compartment.give_up(ticket, places)) {
            GivenUp::Waited(waker) => drop(waker),
            GivenUp::Left(next) => wake(next),
        }
    }

    /// Changes how many places each compartment has. Nobody is put out.
    pub(super) fn set_places(&self, places: usize) {
        self.resize(places, None);
    }

    /// And, where it is said, how many may wait for one.
    pub(super) fn resize(&self, places: usize, max_waiting: Option<usize>) {
        for shard in &self.shards {
            let mut shard = shard.lock();
            shard.places = places;
            shard.max_waiting = max_waiting.unwrap_or(shard.max_waiting);
            let mut woken = shard.everybody.fill(places);
            woken.extend(shard.by_key.values_mut().flat_map(|compartment| compartment.fill(places)));
            drop(shard);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        let in_shard = |shard: MutexGuard<'_, Shard>| {
            shard.everybody.taken() + shard.by_key.values().map(Compartment::taken).sum::<usize>()
        };
        self.shards.iter().map(|shard| in_shard(shard.lock())).sum()
    }

    /// How many places a compartment has.
    pub(super) fn places(&self) -> usize {
        self.shards.first().map_or(0, |shard| shard.lock().places)
    }

    /// How many keys have a compartment.
    pub(super) fn keys(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().by_key.len()).sum()
    }

    fn change<T>(&self, key: u64, change: impl FnOnce(&mut Compartment<Waker>, usize) -> T) -> T {
        let mut shard = self.shard(key);
        let places = shard.places;
        let changed = change(shard.compartment(key), places);
        shard.tidy(key);
        changed
    }

    #[allow(clippy::indexing_slicing, reason = "the number of shards is a power of two, so the mask is below it")]
    fn shard(&self, key: u64) -> MutexGuard<'_, Shard> {
        // The lower bits: hash maps look at the upper ones first.
        self.shards[key as usize & (self.shards.len() - 1)].lock()
    }
}

/// Wakes whoever is next: outside the lock, since a waker may run anything.
fn wake(next: Option<Waker>) {
    if let Some(waker) = next {
        waker.wake();
    }
}

impl Padded {
    fn lock(&self) -> MutexGuard<'_, Shard> {
        // Nothing panics under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shard {
    fn compartment(&mut self, key: u64) -> &mut Compartment<Waker> {
        if key == EVERYBODY { &mut self.everybody } else { self.by_key.entry(key).or_default() }
    }

    /// Forgets a compartment that nobody is in.
    fn tidy(&mut self, key: u64) {
        if key != EVERYBODY && self.by_key.get(&key).is_some_and(Compartment::is_idle) {
            self.by_key.remove(&key);
        }
    }
}

/// Keys are hashes with a secret already.
#[derive(Debug, Default)]
pub(super) struct TagHasher(u64);

impl Hasher for TagHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        // Not asked for: keys are written as the word that they are.
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}
