//! What a cache was told.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::key::RequestKey;
use super::route::{KeyPart, Route};
use crate::spine::path::{PathPattern, PathReadings};
use crate::spine::request::RequestView;
use crate::spine::response::ResponseView;

/// Whether the cache stands for the origin or for somebody between it and its clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// RFC 9111 to the letter: a client may ask for something newer, or for nothing stored at all.
    #[default]
    Shared,
    /// The server decides what is good enough: a client's `no-cache`, `max-age` and the like are not heard. Any client can
    /// otherwise send each of its requests past the cache.
    ///
    /// What is not for a cache goes past it still: methods but GET and HEAD, requests with a body, `Upgrade`, `If-Match` or
    /// `If-Unmodified-Since`, and those with a field by which some servers see another method, path or host. And what asks
    /// for something else than others do (another query, another value of a field that `Vary` names) is a miss. Limits of
    /// rate stand in front of the cache for those.
    Origin,
}

type Tagger = Arc<dyn Fn(RequestView<'_>) -> Vec<String> + Send + Sync>;
type Judge = Arc<dyn Fn(ResponseView<'_>) -> bool + Send + Sync>;

/// How a query becomes a part of the key.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct QueryRule {
    pub(super) is_sorted: bool,
    pub(super) dropped: Vec<String>,
    /// Whether responses may say `No-Vary-Search`.
    pub(super) heeds_responses: bool,
}

/// All of it.
#[derive(Clone)]
pub(super) struct Settings {
    pub(super) policy: Policy,
    pub(super) targets: Vec<HeaderName>,
    pub(super) private_per_subject: bool,
    pub(super) default_ttl: Option<Duration>,
    pub(super) negative_ttl: Vec<(StatusCode, Duration)>,
    pub(super) stale_while_revalidate: Duration,
    pub(super) stale_if_error: Duration,
    pub(super) max_stale: Duration,
    pub(super) stale_when_disconnected: bool,
    pub(super) generates_etags: bool,
    pub(super) entry_bytes: usize,
    pub(super) variants: usize,
    pub(super) key_bytes: usize,
    pub(super) wait: Duration,
    pub(super) waiters: usize,
    pub(super) store_timeout: Duration,
    pub(super) store_entry_bytes: usize,
    pub(super) fill_lease: Duration,
    pub(super) flights: usize,
    pub(super) refreshes: usize,
    pub(super) query: QueryRule,
    pub(super) key_parts: Vec<KeyPart>,
    pub(super) query_content: Option<KeyPart>,
    pub(super) taggers: Vec<Tagger>,
    pub(super) unreachable: Option<Judge>,
    pub(super) routes: Vec<(PathPattern, Route)>,
    /// Names of fields that are written further in, or their beginnings.
    pub(super) written_inside: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            policy: Policy::Shared,
            targets: vec![HeaderName::from_static("cdn-cache-control")],
            private_per_subject: false,
            default_ttl: None,
            negative_ttl: Vec::new(),
            stale_while_revalidate: Duration::ZERO,
            stale_if_error: Duration::ZERO,
            max_stale: Duration::from_secs(24 * 60 * 60),
            stale_when_disconnected: true,
            generates_etags: false,
            entry_bytes: 1 << 20,
            variants: 64,
            key_bytes: 8 << 10,
            wait: Duration::from_secs(5),
            waiters: 16_384,
            store_timeout: Duration::from_millis(100),
            store_entry_bytes: 1 << 20,
            fill_lease: Duration::from_secs(2),
            flights: 65_536,
            refreshes: 256,
            query: QueryRule::default(),
            key_parts: Vec::new(),
            query_content: None,
            taggers: Vec::new(),
            unreachable: None,
            routes: Vec::new(),
            written_inside: Vec::new(),
        }
    }
}

impl Settings {
    /// The first route whose pattern is the path's.
    pub(super) fn route(&self, path: &str) -> Option<&Route> {
        if self.routes.is_empty() {
            return None;
        }
        // An odd path has many readings, and is read once for all routes.
        let readings = PathReadings::of(path);
        self.routes.iter().find(|(pattern, _)| readings.any(pattern)).map(|(_, route)| route)
    }

    /// Adds the user's parts to a key. `None`: this request is not for the cache.
    pub(super) fn add_parts(
        &self,
        key: &mut RequestKey<'_>,
        request: RequestView<'_>,
        route: Option<&Route>,
    ) -> Option<()> {
        for part in self.key_parts.iter().chain(route.into_iter().flat_map(|route| &route.key_parts)) {
            key.add(&part(request)?);
        }
        Some(())
    }
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("policy", &self.policy)
            .field("entry_bytes", &self.entry_bytes)
            .field("variants", &self.variants)
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}
