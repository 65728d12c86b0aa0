//! Counts that several instances share: what is asked of a store, what is known without asking, and what happens when
//! it fails.

mod kept;
mod key;
mod known;
mod lease;
mod memory;
mod pending;
mod settings;
mod settled;
mod store;
mod task;
#[cfg(feature = "test-util")]
pub mod testing;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use self::known::Remote;
pub use self::memory::MemoryStore;
pub(super) use self::pending::{Step, begin};
pub use self::settings::{OnStoreFailure, SharedCounts};
pub(super) use self::settled::RemoteHold;
pub use self::store::{Answer, Ask, Settlement, Store, StoreError, StoreFuture, StoreVerdict};
pub(super) use self::task::ask;
use super::quota::Quota;
use super::rule::Rule;
use crate::spine::event::{self, StoreEvent};

/// A limiter's part in the counts that it shares.
pub(super) struct Shared {
    store: Arc<dyn Store>,
    on_failure: OnStoreFailure,
    /// By the limiter's rules.
    remotes: Box<[Option<Remote>]>,
    /// Whether the store failed when it was last asked.
    is_down: AtomicBool,
}

impl Shared {
    pub(super) fn new(counts: SharedCounts, rules: &[Rule]) -> Self {
        let SharedCounts { store, leased, on_failure } = counts;
        let remotes = rules.iter().map(|rule| Remote::of(rule, leased)).collect();
        Self { store, on_failure, remotes, is_down: AtomicBool::new(false) }
    }

    fn remote(&self, index: usize) -> Option<&Remote> {
        self.remotes.get(index)?.as_ref()
    }

    /// Keys that a policy knows something of.
    pub(super) fn keys(&self, index: usize) -> Option<usize> {
        self.remote(index).map(Remote::keys)
    }

    pub(super) fn set_quota(&self, index: usize, quota: Quota, now: u64) {
        if let Some(remote) = self.remote(index) {
            remote.set_quota(quota, now);
        }
    }

    /// Forgets what this instance knows.
    pub(super) fn forget(&self, index: usize) {
        if let Some(remote) = self.remote(index) {
            remote.forget();
        }
    }

    fn note(&self, event: StoreEvent) {
        event::limit_store(event);
    }

    /// The store has answered.
    fn works(&self) {
        if self.is_down.load(Ordering::Relaxed) && self.is_down.swap(false, Ordering::Relaxed) {
            event::limit_store_is_back();
        }
    }

    /// The store has failed: said when it begins, and counted each time.
    fn failed(&self, cause: &'static str) {
        self.note(StoreEvent::Failed);
        if !self.is_down.swap(true, Ordering::Relaxed) {
            let meanwhile = match self.on_failure {
                OnStoreFailure::Local { .. } => "this instance counts by itself, with its share of each quota",
                OnStoreFailure::Open => "requests are let through uncounted",
                OnStoreFailure::Closed => "requests are refused",
            };
            event::limit_store_failed(cause, meanwhile);
        }
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("on_failure", &self.on_failure).finish_non_exhaustive()
    }
}
