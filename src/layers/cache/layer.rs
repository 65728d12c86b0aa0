//! The layer, and what makes its cache.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, StatusCode};
use tower_layer::Layer;

use super::core::Core;
use super::handle::Cache;
use super::memory::Memory;
use super::route::Route;
use super::service::CacheService;
use super::settings::{Policy, Settings};
use super::status::Writer;
use super::store::Store;
use crate::spine::bounds::CloneService;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::path::PathPattern;
use crate::spine::rejection::{Refuser, RenderRejection};
use crate::spine::request::RequestView;
use crate::spine::response::ResponseView;

/// What a cache holds unless it is told: enough for tens of thousands of small responses.
const DEFAULT_BYTES: u64 = 64 << 20;

/// Makes a [`Cache`]. See the [module](super) for the manual.
#[derive(Clone)]
#[must_use = "nothing is cached until the cache is built and its layer stands around a service"]
pub struct CacheBuilder {
    settings: Settings,
    bytes: u64,
    name: Option<String>,
    store: Option<Arc<dyn Store>>,
    clock: Clock,
    refuser: Refuser,
    fault: Option<ConfigError>,
}

crate::spine::bounds::no_layer!(CacheBuilder);

impl CacheBuilder {
    pub(super) fn new() -> Self {
        Self {
            settings: Settings::default(),
            bytes: DEFAULT_BYTES,
            name: Some(String::from("rampart")),
            store: None,
            clock: Clock::system(),
            refuser: Refuser::new(),
            fault: None,
        }
    }

    /// What all stored responses may weigh together, with their keys, fields and what keeping them costs; 64 MiB.
    pub const fn bytes(mut self, bytes: u64) -> Self {
        self.bytes = bytes;
        self
    }

    /// The longest body that is stored; 1 MiB. A longer one streams through.
    pub const fn entry_bytes(mut self, bytes: usize) -> Self {
        self.settings.entry_bytes = bytes;
        self
    }

    /// Variants of one resource; 64. The oldest makes room.
    pub const fn max_variants(mut self, variants: usize) -> Self {
        self.settings.variants = variants;
        self
    }

    /// The longest key; 8 KiB. A request with a longer one goes past the cache.
    pub const fn key_bytes(mut self, bytes: usize) -> Self {
        self.settings.key_bytes = bytes;
        self
    }

    /// How long a request waits for the head of the response to another, and how long a reader may hold up others; 5 s.
    /// Then it goes alone.
    pub const fn max_wait(mut self, wait: Duration) -> Self {
        self.settings.wait = wait;
        self
    }

    /// Requests that wait for one response; 16384. More go alone.
    pub const fn max_waiting(mut self, waiters: usize) -> Self {
        self.settings.waiters = waiters;
        self
    }

    /// Who decides what is good enough.
    pub const fn policy(mut self, policy: Policy) -> Self {
        self.settings.policy = policy;
        self
    }

    /// Stores responses marked `private`, and those to callers who are known, for their caller alone: for the
    /// [`Identity`](crate::Identity) that an outer layer established.
    pub const fn private_per_subject(mut self, private: bool) -> Self {
        self.settings.private_per_subject = private;
        self
    }

    /// For how long responses are fresh that do not say it, where RFC 9110 lets caches guess. None unless it is said: what
    /// says nothing is then kept only to be validated.
    pub fn default_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.settings.default_ttl = ttl.into();
        self
    }

    /// For how long responses of this status are fresh that do not say it. Keep it short: it is for a herd's sake. A 428, 429,
    /// 431 or 511 is not stored all the same (RFC 6585).
    pub fn add_negative_ttl(mut self, status: StatusCode, ttl: Duration) -> Self {
        self.settings.negative_ttl.push((status, ttl));
        self
    }

    /// For how long stale responses answer while the origin is asked, where they do not say it (RFC 5861). What `Cookie`,
    /// `Authorization` or the like has chosen by `Vary` is asked about first: a refresh goes without them.
    pub const fn stale_while_revalidate(mut self, window: Duration) -> Self {
        self.settings.stale_while_revalidate = window;
        self
    }

    /// For how long stale responses answer instead of an error, where they do not say it (RFC 5861). What they say is the most,
    /// also when the origin cannot be reached.
    pub const fn stale_if_error(mut self, window: Duration) -> Self {
        self.settings.stale_if_error = window;
        self
    }

    /// The longest that anything stale is served; a day.
    pub const fn max_stale(mut self, longest: Duration) -> Self {
        self.settings.max_stale = longest;
        self
    }

    /// Whether stale responses answer when the origin cannot be reached (RFC 9111 section 4.2.4); they do, where their own
    /// `stale-if-error` does not forbid it.
    pub const fn stale_when_disconnected(mut self, serve: bool) -> Self {
        self.settings.stale_when_disconnected = serve;
        self
    }

    /// Says of more answers that the origin was not reached: those of a client's own circuit breaker, say. Server errors
    /// that a layer of this crate made count without being told.
    pub fn unreachable_when<F>(mut self, judge: F) -> Self
    where
        F: Fn(ResponseView<'_>) -> bool + Send + Sync + 'static,
    {
        self.settings.unreachable = Some(Arc::new(judge));
        self
    }

    /// The fields that are obeyed before `Cache-Control`, in this order (RFC 9213); `CDN-Cache-Control` unless it is said.
    pub fn targeted_fields(mut self, names: impl IntoIterator<Item = HeaderName>) -> Self {
        self.settings.targets = names.into_iter().collect();
        self
    }

    /// Gives responses a strong entity tag that have none, so that clients can ask whether they changed.
    pub const fn generate_etags(mut self, generate: bool) -> Self {
        self.settings.generates_etags = generate;
        self
    }

    /// Takes two queries for one that differ only in the order of their parameters.
    pub const fn sort_query(mut self) -> Self {
        self.settings.query.is_sorted = true;
        self
    }

    /// Leaves parameters out of the key; `utm_*` stands for all that begin so, and a query that has no others is as good as
    /// none. Name only what the origin ignores. They replace those that were said before.
    pub fn drop_query<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.settings.query.dropped = names.into_iter().map(Into::into).collect();
        self
    }

    /// Lets responses say with `No-Vary-Search` which parameters matter.
    pub const fn no_vary_search(mut self, heed: bool) -> Self {
        self.settings.query.heeds_responses = heed;
        self
    }

    /// A further part of the key. `None` sends the request past the cache.
    pub fn add_key_part<F>(mut self, part: F) -> Self
    where
        F: Fn(RequestView<'_>) -> Option<Vec<u8>> + Send + Sync + 'static,
    {
        self.settings.key_parts.push(Arc::new(part));
        self
    }

    /// Caches QUERY: `content` names what the request's content is, by a digest say that an outer layer left in the
    /// extensions, with its type and encoding. Without it, or where it says `None`, a QUERY goes past the cache.
    pub fn query_content<F>(mut self, content: F) -> Self
    where
        F: Fn(RequestView<'_>) -> Option<Vec<u8>> + Send + Sync + 'static,
    {
        self.settings.query_content = Some(Arc::new(content));
        self
    }

    /// Tags responses by their request.
    pub fn add_tags<F>(mut self, tags: F) -> Self
    where
        F: Fn(RequestView<'_>) -> Vec<String> + Send + Sync + 'static,
    {
        self.settings.taggers.push(Arc::new(tags));
        self
    }

    /// What holds for some paths; of several patterns that match, the first.
    pub fn add_route(mut self, pattern: &str, route: Route) -> Self {
        match pattern.parse::<PathPattern>() {
            Ok(pattern) => self.settings.routes.push((pattern, route)),
            Err(error) => self.fault = self.fault.or_else(|| Some(error.for_setting("add_route"))),
        }
        self
    }

    /// Fields that layers or services further in write into requests, by their names in lower case; `x-auth-` stands for
    /// all that begin so. A response that varies by one is not stored, since what chose it cannot be seen from here. They
    /// replace those that were said before.
    pub fn written_inside<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.settings.written_inside = names.into_iter().map(Into::into).collect();
        self
    }

    /// The name in `Cache-Status` (RFC 9211), `rampart` unless it is said; `None` sends no such field.
    pub fn status_name(mut self, name: Option<&str>) -> Self {
        self.name = name.map(str::to_owned);
        self
    }

    /// A second tier behind the cache's own memory, which other instances may share: what one stores the others find, and
    /// what one purges is purged for all.
    pub fn with_store(mut self, store: impl Store) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// How long the second tier is waited for, each time it is asked; 100 ms. What it says later is a miss.
    pub const fn store_timeout(mut self, timeout: Duration) -> Self {
        self.settings.store_timeout = timeout;
        self
    }

    /// The longest response that goes to the second tier, fields and body together; 1 MiB. A longer one is this instance's
    /// alone.
    pub const fn store_entry_bytes(mut self, bytes: usize) -> Self {
        self.settings.store_entry_bytes = bytes;
        self
    }

    /// How long other instances that share the second tier leave a fetch to the one that began it, at most, before they ask
    /// the origin themselves; 2 s. Zero lets each fetch for itself.
    pub const fn fill_lease(mut self, lease: Duration) -> Self {
        self.settings.fill_lease = lease;
        self
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.refuser = self.refuser.with_clock(clock.clone());
        self.clock = clock;
        self
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.refuser = self.refuser.with_renderer(renderer);
        self
    }

    /// The cache.
    ///
    /// # Errors
    ///
    /// Bounds that leave no room, a name that is no token, a pattern that is none.
    pub fn build(self) -> Result<Cache, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let too_small = |setting: &'static str, value: u64| {
            ConfigError::new(setting, value, "leaves no room", "write more, or leave the cache out")
        };
        if self.settings.entry_bytes == 0 {
            return Err(too_small("entry_bytes", 0));
        }
        if self.bytes < self.settings.entry_bytes as u64 {
            const MEND: &str = "write at least as much as `entry_bytes`";
            return Err(ConfigError::new("bytes", self.bytes, "has no room for one entry", MEND));
        }
        for (setting, value) in [
            ("max_variants", self.settings.variants),
            ("key_bytes", self.settings.key_bytes),
            ("max_waiting", self.settings.waiters),
        ] {
            if value == 0 {
                return Err(too_small(setting, 0));
            }
        }
        if self.store.is_some() && self.settings.store_timeout.is_zero() {
            const MEND: &str = "write how long it may take, or leave the store out";
            return Err(ConfigError::new("store_timeout", "0s", "lets the store say nothing", MEND));
        }
        if let Some(name) = self.name.as_deref().filter(|name| !is_sf_token(name)) {
            const MEND: &str = "begin with a letter and go on with letters, digits, `_`, `-` or `.`";
            return Err(ConfigError::new("status_name", name, "is no name for `Cache-Status`", MEND));
        }
        let Some(memory) = Memory::new(self.bytes, self.settings.entry_bytes) else {
            return Err(too_small("bytes", self.bytes));
        };
        let writer = Writer::new(self.name.map(String::into_boxed_str));
        let core = Core::new(self.settings, memory, self.store, writer, self.clock, self.refuser);
        Ok(Cache::of(Arc::new(core)))
    }
}

/// RFC 9651 section 3.3.4, of what everybody can read.
fn is_sf_token(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    name.len() <= 64 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(plain)
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("bytes", &self.bytes)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Answers requests out of a [`Cache`]. Made by [`Cache::layer`]; all layers of a cache share it.
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct CacheLayer {
    pub(super) core: Option<Arc<Core>>,
}

impl CacheLayer {
    pub(super) const fn of(core: Arc<Core>) -> Self {
        Self { core: Some(core) }
    }

    /// Lets everything through: for a place that a configuration may leave open.
    pub const fn empty() -> Self {
        Self { core: None }
    }

    /// The cache, to be purged and watched.
    #[must_use]
    pub fn cache(&self) -> Option<Cache> {
        self.core.clone().map(Cache::of)
    }
}

impl<S: CloneService> Layer<S> for CacheLayer {
    type Service = CacheService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CacheService::new(inner, self.core.clone())
    }
}
