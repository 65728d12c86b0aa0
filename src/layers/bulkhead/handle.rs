//! Watching and changing a running bulkhead.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::layer::bound;
use super::places::Places;
use crate::spine::config::ConfigError;

/// Watches and changes a running bulkhead, from anywhere. Clones are the same handle.
///
/// ```
/// use tower_rampart::bulkhead::Bulkhead;
///
/// let handle = Bulkhead::new(64).build()?.handle();
/// assert_eq!(handle.snapshot().in_flight, 0);
/// handle.set_max_concurrent(32)?;
/// assert_eq!(handle.snapshot().max_concurrent, 32);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct BulkheadHandle {
    name: Arc<str>,
    places: Arc<Places>,
}

impl BulkheadHandle {
    pub(super) const fn of(name: Arc<str>, places: Arc<Places>) -> Self {
        Self { name, places }
    }

    /// The bulkhead's name in metrics; empty where it bounds nothing.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) const fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// How the bulkhead is doing.
    #[must_use]
    pub fn snapshot(&self) -> BulkheadSnapshot {
        let places = &self.places;
        BulkheadSnapshot {
            in_flight: places.in_flight(),
            max_concurrent: places.max_concurrent(),
            max_concurrent_per_key: places.max_concurrent_per_key(),
            queued: places.queued(),
            max_queued: places.max_queued(),
            keys: places.keys(),
            refused: places.refused.load(Ordering::Relaxed),
        }
    }

    /// Changes how many requests may be in flight. Those that are over it go on; those that wait and have room now go in.
    ///
    /// # Errors
    ///
    /// 0, which lets nothing through, or more than two thousand million.
    pub fn set_max_concurrent(&self, requests: usize) -> Result<(), ConfigError> {
        self.places.set_max_concurrent(bound("max_concurrent", requests)?);
        Ok(())
    }

    /// Changes how many requests of one key may be in flight.
    ///
    /// # Errors
    ///
    /// 0, which lets nothing through, or more than two thousand million.
    pub fn set_max_concurrent_per_key(&self, requests: usize) -> Result<(), ConfigError> {
        self.places.set_max_concurrent_per_key(bound("per_key, max_concurrent", requests)?);
        Ok(())
    }
}

/// How a bulkhead was doing at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkheadSnapshot {
    /// Requests whose response has not ended yet.
    pub in_flight: usize,
    /// How many of them there may be; 0 where nothing is bounded.
    pub max_concurrent: usize,
    /// How many of one key there may be.
    pub max_concurrent_per_key: usize,
    /// Requests that wait for a place.
    pub queued: usize,
    /// How many of them there may be.
    pub max_queued: usize,
    /// Keys that have requests in flight or waiting.
    pub keys: usize,
    /// Requests that were refused since the start.
    pub refused: u64,
}
