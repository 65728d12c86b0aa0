//! Tokens that were verified before.
//!
//! Known by a keyed hash, so that no token lies in memory and nobody can aim at a slot. Only tokens that were good are
//! kept, and what time, new keys or a revocation can change is looked at again on every hit.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::{Mutex, PoisonError};

use super::claims::Dates;
use crate::spine::identity::Identity;

/// A verified token.
#[derive(Clone)]
pub(super) struct Verified {
    pub(super) identity: Identity,
    pub(super) dates: Dates,
    pub(super) id: Option<Box<str>>,
    /// Which of the verifier's issuers, and the generation of its keys.
    pub(super) issuer: usize,
    pub(super) generation: u64,
    /// When it was verified.
    pub(super) since: f64,
}

pub(super) struct TokenCache {
    secrets: [RandomState; 2],
    buckets: Box<[Mutex<Bucket>]>,
}

/// Tokens that share a lock.
type Bucket = Vec<(u128, Verified)>;

/// Tokens in a bucket: as many as are compared without being noticed.
const BUCKET: usize = 8;
/// The longest time in which a token is not verified anew.
pub(super) const MAX_AGE_SECS: f64 = 300.0;

impl TokenCache {
    pub(super) fn new(tokens: usize) -> Self {
        let buckets = tokens.div_ceil(BUCKET).max(1);
        Self {
            secrets: [RandomState::new(), RandomState::new()],
            buckets: (0..buckets).map(|_| Mutex::default()).collect(),
        }
    }

    /// The token's name here.
    pub(super) fn key(&self, token: &[u8]) -> u128 {
        let [one, other] = &self.secrets;
        u128::from(one.hash_one(token)) << 64 | u128::from(other.hash_one(token))
    }

    pub(super) fn get(&self, key: u128) -> Option<Verified> {
        let bucket = self.bucket(key)?.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.iter().find(|(held, _)| *held == key).map(|(_, verified)| verified.clone())
    }

    /// Remembers a token, in the place of the one that was verified longest ago if there is no other.
    pub(super) fn put(&self, key: u128, verified: Verified) {
        let Some(bucket) = self.bucket(key) else { return };
        let mut bucket = bucket.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = bucket.iter_mut().find(|(held, _)| *held == key) {
            held.1 = verified;
        } else if bucket.len() < BUCKET {
            bucket.push((key, verified));
        } else if let Some(oldest) = bucket.iter_mut().min_by(|a, b| a.1.since.total_cmp(&b.1.since)) {
            *oldest = (key, verified);
        }
    }

    pub(super) fn remove(&self, key: u128) {
        if let Some(bucket) = self.bucket(key) {
            bucket.lock().unwrap_or_else(PoisonError::into_inner).retain(|(held, _)| *held != key);
        }
    }

    fn bucket(&self, key: u128) -> Option<&Mutex<Bucket>> {
        self.buckets.get((key % self.buckets.len() as u128) as usize)
    }
}

impl fmt::Debug for TokenCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").field("tokens", &(self.buckets.len() * BUCKET)).finish()
    }
}
