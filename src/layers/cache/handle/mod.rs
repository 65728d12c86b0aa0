//! A cache as its program sees it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use http::Uri;

use super::core::Core;
use super::key::Target;
use super::layer::{CacheBuilder, CacheLayer};
use super::purge::{Aim, Purge};
use super::tier;
use super::write::invalidate_target;

/// A cache: what it holds, and how to purge it. Clones are the same cache, and so are all layers that it makes.
///
/// Keep one where handlers find it, and purge from there what they change:
///
/// ```
/// use tower_rampart::cache::Cache;
///
/// let cache = Cache::builder().bytes(64 << 20).build()?;
/// let layer = cache.layer();
/// cache.purge_tag("poll:7");
/// assert_eq!(cache.stats().entries, 0);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
///
/// A purge costs the same however much it purges: it is noted, and what was stored before it, or was being fetched when it
/// came, is not used any more.
#[derive(Clone)]
pub struct Cache {
    core: Arc<Core>,
}

crate::spine::bounds::no_layer!(Cache);

/// What a cache holds and has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CacheStats {
    /// Stored responses, variants and parts each counted.
    pub entries: u64,
    /// What they weigh: keys, fields, bodies, and what keeping them costs.
    pub bytes: u64,
    /// Requests answered out of the store at once.
    pub hits: u64,
    /// Requests that the cache was for and that were not.
    pub misses: u64,
    /// Responses stored.
    pub stores: u64,
    /// Requests answered with the response to another that was on its way.
    pub collapsed: u64,
    /// Resources that are being fetched.
    pub in_flight: usize,
}

impl Cache {
    /// Everything at its default until it is said otherwise.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::new()
    }

    pub(super) const fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// A layer with this cache.
    pub fn layer(&self) -> CacheLayer {
        CacheLayer::of(Arc::clone(&self.core))
    }

    /// Purges what has this tag, in `Surrogate-Key`, `Cache-Tag`, a [`CacheHint`](super::CacheHint) or a
    /// [`Route`](super::Route). Case matters.
    pub fn purge_tag(&self, tag: &str) {
        self.purge_tag_as(tag, Purge::Hard);
    }

    /// The same, and says how.
    pub fn purge_tag_as(&self, tag: &str, how: Purge) {
        self.core.purge(Aim::Mark(self.core.marks.tag(tag)), how);
    }

    /// Purges a path: of every host, with every query, all variants.
    pub fn purge_path(&self, path: &str) {
        self.purge_path_as(path, Purge::Hard);
    }

    /// The same, and says how.
    pub fn purge_path_as(&self, path: &str, how: Purge) {
        self.core.purge(Aim::Mark(self.core.marks.path(path.as_bytes())), how);
    }

    /// Purges all paths that begin so, byte for byte.
    pub fn purge_prefix(&self, prefix: &str) {
        self.purge_prefix_as(prefix, Purge::Hard);
    }

    /// The same, and says how.
    pub fn purge_prefix_as(&self, prefix: &str, how: Purge) {
        self.core.purge(Aim::Prefix(prefix.as_bytes()), how);
    }

    /// Purges one URI with its query, all variants and all callers' own. Its authority is the `Host` that requests name,
    /// in whatever case, and with its scheme's port or without.
    pub fn purge_uri(&self, uri: &Uri) {
        self.purge_uri_as(uri, Purge::Hard);
    }

    /// The same, and says how.
    pub fn purge_uri_as(&self, uri: &Uri, how: Purge) {
        let authority = uri.authority().map_or(&b""[..], |authority| authority.as_str().as_bytes());
        // Of either scheme.
        let mark = self.core.mark_of_uri(authority, uri.path(), uri.query());
        self.core.purge(Aim::Mark(mark), how);
        if how == Purge::Hard {
            for is_https in [false, true] {
                invalidate_target(&self.core, Target::new(is_https, authority, uri));
            }
        }
    }

    /// Purges everything, and frees it.
    pub fn purge_all(&self) {
        self.purge_all_as(Purge::Hard);
    }

    /// The same, and says how: softly, everything is stale, and nothing is freed.
    pub fn purge_all_as(&self, how: Purge) {
        self.core.purge(Aim::All, how);
        if how == Purge::Hard {
            self.core.memory.clear();
        }
    }

    /// Waits until the second tier has heard of everything that was purged here, so that no instance finds it there; the
    /// others hear of it then. `false` when it has not heard within its timeout: it is told as soon as it answers again.
    pub async fn purges_told(&self) -> bool {
        tier::settle(&self.core).await
    }

    /// What the cache holds and has done. After a purge the first call goes through all that is held, and frees what was
    /// purged.
    #[must_use]
    pub fn stats(&self) -> CacheStats {
        self.sweep();
        let core = &self.core;
        let (entries, bytes) = core.memory.count();
        let read = |count: &std::sync::atomic::AtomicU64| count.load(Ordering::Relaxed);
        CacheStats {
            entries,
            bytes,
            hits: read(&core.counts.hits),
            misses: read(&core.counts.misses),
            stores: read(&core.counts.stores),
            collapsed: read(&core.counts.collapsed),
            in_flight: core.flights.len(),
        }
    }

    /// Frees what was purged since the last time. What is not freed so is freed when room is needed, or when it is asked
    /// for.
    pub fn sweep(&self) {
        let noted = self.core.purges.noted();
        if self.core.counts.swept.swap(noted, Ordering::AcqRel) != noted {
            self.core.memory.retain(|resource| resource.is_good(&self.core.purges));
        }
    }
}

impl fmt::Debug for Cache {
    /// Counts alone: keys and bodies are clients'.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("core", &self.core).finish()
    }
}
