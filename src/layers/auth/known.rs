//! Credentials that were judged before.
//!
//! Known by a keyed hash, so that no secret lies in memory and nobody can aim at a slot. What time, new keys or a
//! revocation can change is looked at again on every hit, by whoever asks.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was found out about a bounded number of credentials.
pub(super) struct Known<V> {
    secrets: [RandomState; 2],
    buckets: Box<[Mutex<Bucket<V>>]>,
}

/// The name of a credential here: 128 bits of keyed hash.
pub(super) type Key = u128;

/// Credentials that share a lock.
type Bucket<V> = Vec<Entry<V>>;

struct Entry<V> {
    key: Key,
    /// When it was judged, in seconds.
    since: f64,
    value: V,
}

/// Credentials in a bucket: as many as are compared without being noticed.
const BUCKET: usize = 8;

impl<V: Clone> Known<V> {
    pub(super) fn with_room_for(credentials: usize) -> Self {
        let buckets = credentials.div_ceil(BUCKET).max(1);
        Self {
            secrets: [RandomState::new(), RandomState::new()],
            buckets: (0..buckets).map(|_| Mutex::new(Vec::new())).collect(),
        }
    }

    /// The credential's name here.
    pub(super) fn key(&self, credential: &[u8]) -> Key {
        let [one, other] = &self.secrets;
        u128::from(one.hash_one(credential)) << 64 | u128::from(other.hash_one(credential))
    }

    pub(super) fn get(&self, key: Key) -> Option<V> {
        self.bucket(key)?.iter().find(|entry| entry.key == key).map(|entry| entry.value.clone())
    }

    /// Remembers a credential, in the place of the one that was judged longest ago if there is no other. What was judged in
    /// the future, before a clock went back, is of no more use than what is oldest.
    pub(super) fn put(&self, key: Key, since: f64, value: V) {
        let Some(mut bucket) = self.bucket(key) else { return };
        let entry = Entry { key, since, value };
        if let Some(held) = bucket.iter_mut().find(|held| held.key == key) {
            *held = entry;
        } else if bucket.len() < BUCKET {
            bucket.push(entry);
        } else {
            let rank = |held: &Entry<V>| (held.since <= since, held.since);
            let oldest = bucket.iter_mut().min_by(|a, b| {
                let ((a_counts, a), (b_counts, b)) = (rank(a), rank(b));
                a_counts.cmp(&b_counts).then(a.total_cmp(&b))
            });
            if let Some(oldest) = oldest {
                *oldest = entry;
            }
        }
    }

    pub(super) fn remove(&self, key: Key) {
        if let Some(mut bucket) = self.bucket(key) {
            bucket.retain(|entry| entry.key != key);
        }
    }

    /// How many credentials it remembers.
    pub(super) const fn room(&self) -> usize {
        self.buckets.len() * BUCKET
    }

    fn bucket(&self, key: Key) -> Option<MutexGuard<'_, Bucket<V>>> {
        let bucket = self.buckets.get((key % self.buckets.len() as u128) as usize)?;
        Some(bucket.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<V> fmt::Debug for Known<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known").field("credentials", &(self.buckets.len() * BUCKET)).finish()
    }
}
