//! What is put into memory and the second tier, and taken out.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::super::entry::{Entry, Resource};
use super::super::key::Key;
use super::super::tier::{self, Claimed};
use super::Core;

impl Core {
    /// Stores a response, unless somebody wrote to the resource or purged it since its fill began. The claim on its fill is
    /// held until then.
    pub(in super::super) fn keep(self: &Arc<Self>, entry: Arc<Entry>, claim: Option<Claimed>) -> bool {
        self.keep_for(entry, None, claim)
    }

    /// The same in the place of another.
    pub(in super::super) fn keep_for(
        self: &Arc<Self>,
        entry: Arc<Entry>,
        gone: Option<&Arc<Entry>>,
        claim: Option<Claimed>,
    ) -> bool {
        let is_kept = self.keep_in_memory(Arc::clone(&entry), gone);
        if is_kept && entry.head.part.is_none() {
            tier::put(self, &entry, claim);
        }
        is_kept
    }

    /// Takes a resource out.
    pub(in super::super) fn remove(self: &Arc<Self>, key: Key) {
        self.memory.update(&key, |_| None);
        tier::remove(self, key);
    }

    pub(in super::super) fn keep_in_memory(&self, entry: Arc<Entry>, gone: Option<&Arc<Entry>>) -> bool {
        let mut is_kept = false;
        let key = entry.head.key.clone();
        self.memory.update(&key, |held| {
            let is_current =
                !self.purges.is_written(entry.head.uri, entry.head.begun.number) && entry.head.is_good(&self.purges);
            if !is_current {
                return held.cloned();
            }
            is_kept = true;
            Resource::with(held, entry, gone, self.settings.variants, &self.purges)
        });
        if is_kept {
            self.unmark(&key);
            self.counts.stores.fetch_add(1, Ordering::Relaxed);
        }
        is_kept
    }
}
