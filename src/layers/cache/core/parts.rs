//! What is stored in part, and whose parts are not to be put together.

use std::hash::{BuildHasher as _, Hash};
use std::time::Duration;

use http::Method;

use super::super::completion::Completion;
use super::super::key::Key;
use super::super::storable::Asked;
use super::Core;

/// How long nothing of a path is completed that has answered a condition with a part of other content.
const MIXED_PARTS: Duration = Duration::from_secs(3600);
/// So many paths, and it is their origin that does so.
const MIXED_PATHS: usize = 8;

impl Core {
    /// How what is stored in part becomes what a request wants, where it asks for nothing else than that: by the part that
    /// leaves the least to ask for.
    pub(in super::super) fn completion(&self, asked: &Asked) -> Option<Completion> {
        let refuses = asked.directives.no_store || asked.directives.no_cache;
        if asked.method != Method::GET || refuses || self.mixes_parts(&asked.shared_key) {
            return None;
        }
        let keys = asked.own_key.iter().chain([&asked.shared_key]);
        let held: Vec<_> = keys.filter_map(|key| self.memory.get(key)).collect();
        let parts = held.iter().flat_map(|resource| resource.parts(&asked.headers, &self.purges));
        parts.filter_map(|part| Completion::of(part, &asked.headers)).max_by_key(Completion::held_bytes)
    }

    /// Whether parts of other content than was asked for were found to come from there.
    fn mixes_parts(&self, key: &Key) -> bool {
        self.is_mixed(&("parts", key.origin())) || self.is_mixed(&("parts", key.origin(), key.path()))
    }

    /// Remembers that a path does so: nothing of it is completed for an hour. Where several do, the origin is what does so.
    pub(in super::super) fn mark_mixed_parts(&self, key: &Key) {
        if self.mixes_parts(key) {
            return;
        }
        self.mark_mixed(&("parts", key.origin(), key.path()));
        let free = (1..MIXED_PATHS).find(|nth| !self.is_mixed(&("parts", key.origin(), *nth)));
        match free {
            Some(nth) => self.mark_mixed(&("parts", key.origin(), nth)),
            None => self.mark_mixed(&("parts", key.origin())),
        }
    }

    fn is_mixed(&self, what: &impl Hash) -> bool {
        let until = self.markers.get(&self.marker_hasher.hash_one(what));
        until.is_some_and(|until| self.clock.now() < until)
    }

    fn mark_mixed(&self, what: &impl Hash) {
        if let Some(until) = self.clock.now().checked_add(MIXED_PARTS) {
            self.markers.insert(self.marker_hasher.hash_one(what), until);
        }
    }
}
