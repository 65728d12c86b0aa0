//! What is stored in part, and whose parts are not to be put together.

use std::hash::BuildHasher as _;
use std::time::Duration;

use http::Method;

use super::super::completion::Completion;
use super::super::key::Key;
use super::super::storable::Asked;
use super::Core;

/// How long nothing of an origin is completed that has answered a condition with a part of other content.
const MIXED_PARTS: Duration = Duration::from_secs(3600);

impl Core {
    /// How what is stored in part becomes what a request wants, where it asks for nothing else than that: by the part that
    /// leaves the least to ask for.
    pub(in super::super) fn completion(&self, asked: &Asked) -> Option<Completion> {
        let refuses = asked.directives.no_store || asked.directives.no_cache;
        if asked.method != Method::GET || refuses || self.mixes_parts(&asked.shared_key) {
            return None;
        }
        let keys = asked.own_key.iter().chain([&asked.shared_key]);
        let held: Vec<_> = keys.filter_map(|key| self.memory.get(key.as_bytes())).collect();
        let parts = held.iter().flat_map(|resource| resource.parts(&asked.headers, &self.purges));
        parts.filter_map(|part| Completion::of(part, &asked.headers)).max_by_key(Completion::held_bytes)
    }

    /// Whether an origin was found to send parts of other content than it was asked for.
    fn mixes_parts(&self, key: &Key) -> bool {
        let until = self.markers.get(&self.marker_hasher.hash_one(("parts", key.origin())));
        until.is_some_and(|until| self.clock.now() < until)
    }

    /// Remembers that an origin does so: nothing of it is completed for an hour.
    pub(in super::super) fn mark_mixed_parts(&self, key: &Key) {
        if let Some(until) = self.clock.now().checked_add(MIXED_PARTS) {
            self.markers.insert(self.marker_hasher.hash_one(("parts", key.origin())), until);
        }
    }
}
