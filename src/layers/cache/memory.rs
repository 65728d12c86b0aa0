//! The first tier: responses in memory.

use std::fmt;
use std::hash::{BuildHasher as _, Hash, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::{Cache, DefaultLifecycle};
use quick_cache::{Equivalent, OptionsBuilder, Weighter};

use super::entry::Resource;
use super::key::Key;

/// Locks among which writers of one resource are spread.
const WRITERS: usize = 64;
/// A shard has room for so many of the largest entries, so that one does not empty it.
const ENTRIES_PER_SHARD: u64 = 8;
const MAX_SHARDS: u64 = 64;
/// What an entry is guessed to weigh, by which the store sizes its own tables.
const USUAL_BYTES: u64 = 4096;

/// Resources in memory, bounded by what they weigh.
pub(super) struct Memory {
    cache: Cache<Key, Arc<Resource>, Weight, RandomState>,
    writers: Box<[Mutex<()>]>,
    hasher: RandomState,
}

#[derive(Debug, Clone)]
struct Weight;

impl Weighter<Key, Arc<Resource>> for Weight {
    fn weight(&self, key: &Key, resource: &Arc<Resource>) -> u64 {
        // Nothing weighs nothing: what does is never evicted.
        (resource.weight() + key.as_bytes().len()).max(1) as u64
    }
}

impl Memory {
    pub(super) fn new(bytes: u64, entry_bytes: usize) -> Option<Self> {
        let room = (entry_bytes as u64).max(1).saturating_mul(ENTRIES_PER_SHARD);
        let shards = (bytes / room).clamp(1, MAX_SHARDS);
        // Rounded down to a power of two, since it is rounded up otherwise, and shards become too small.
        let shards = 1_u64 << shards.ilog2();
        let items = usize::try_from((bytes / USUAL_BYTES).max(32 * shards)).ok()?;
        let options = OptionsBuilder::new()
            .shards(usize::try_from(shards).ok()?)
            .estimated_items_capacity(items)
            .weight_capacity(bytes)
            .build()
            .ok()?;
        Some(Self {
            cache: Cache::with_options(options, Weight, RandomState::new(), DefaultLifecycle::default()),
            writers: (0..WRITERS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        })
    }

    /// What all of it may weigh.
    pub(super) fn room(&self) -> u64 {
        self.cache.capacity()
    }

    pub(super) fn get(&self, key: &(impl Hash + Equivalent<Key>)) -> Option<Arc<Resource>> {
        self.cache.get(key)
    }

    /// Changes what stands under a key: `None` removes it. Writers of one key come one after the other.
    pub(super) fn update(&self, key: &Key, change: impl FnOnce(Option<&Resource>) -> Option<Resource>) {
        let at = usize::try_from(self.hasher.hash_one(key) % WRITERS as u64).unwrap_or_default();
        let Some(writer) = self.writers.get(at) else { return };
        let _alone = writer.lock().unwrap_or_else(PoisonError::into_inner);
        let held = self.cache.peek(key);
        match change(held.as_deref()) {
            Some(resource) => self.cache.insert(key.clone(), Arc::new(resource)),
            None => drop(self.cache.remove(key)),
        }
    }

    pub(super) fn retain(&self, keep: impl Fn(&Resource) -> bool) {
        self.cache.retain(|_, resource| keep(resource));
    }

    /// Stored responses, and what they weigh.
    pub(super) fn count(&self) -> (u64, u64) {
        let responses = self.cache.iter().map(|(_, resource)| resource.variants.len() as u64).sum();
        (responses, self.cache.weight())
    }

    pub(super) fn clear(&self) {
        self.cache.clear();
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Memory").field("resources", &self.cache.len()).field("bytes", &self.cache.weight()).finish()
    }
}
