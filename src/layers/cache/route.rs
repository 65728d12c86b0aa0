//! What a route and a handler say about their responses.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::spine::request::RequestView;

pub(super) type KeyPart = Arc<dyn Fn(RequestView<'_>) -> Option<Vec<u8>> + Send + Sync>;

/// How the responses of some paths are cached. See [`CacheBuilder::add_route`](super::CacheBuilder::add_route).
///
/// ```
/// use std::time::Duration;
/// use http::HeaderValue;
/// use tower_rampart::cache::{Cache, Route};
///
/// let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
/// let assets = Route::new().cache_control(forever).add_tag("assets");
/// let cache = Cache::builder()
///     .add_route("/assets/**", assets)
///     .add_route("/live/**", Route::bypass())
///     .add_route("/polls/**", Route::new().ttl(Duration::from_secs(5)))
///     .build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a route does nothing until it is added to a cache"]
pub struct Route {
    pub(super) is_bypassed: bool,
    pub(super) ttl: Option<Duration>,
    pub(super) cache_control: Option<HeaderValue>,
    pub(super) tags: Vec<String>,
    pub(super) key_parts: Vec<KeyPart>,
}

impl Route {
    /// As responses themselves say.
    pub fn new() -> Self {
        Self::default()
    }

    /// Past the cache.
    pub fn bypass() -> Self {
        Self { is_bypassed: true, ..Self::default() }
    }

    /// Responses that may be stored are fresh for so long, whatever they say themselves.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// What a response says that has no `Cache-Control` of its own: to this cache and to the client.
    pub fn cache_control(mut self, value: HeaderValue) -> Self {
        self.cache_control = Some(value);
        self
    }

    /// A further tag by which the responses can be purged.
    pub fn add_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }

    /// A further part of the key: requests that differ in it have responses of their own. `None` sends the request past
    /// the cache.
    pub fn add_key_part<F>(mut self, part: F) -> Self
    where
        F: Fn(RequestView<'_>) -> Option<Vec<u8>> + Send + Sync + 'static,
    {
        self.key_parts.push(Arc::new(part));
        self
    }
}

impl fmt::Debug for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("is_bypassed", &self.is_bypassed)
            .field("ttl", &self.ttl)
            .field("cache_control", &self.cache_control)
            .field("tags", &self.tags)
            .finish_non_exhaustive()
    }
}

/// What a handler says about its own response, put into the response's extensions.
///
/// ```
/// use std::time::Duration;
/// use http::Response;
/// use tower_rampart::cache::CacheHint;
///
/// let hint = CacheHint::new().ttl(Duration::from_secs(5)).add_tag("poll:7");
/// let response = Response::builder().extension(hint).body("results").unwrap();
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a hint does nothing until it is in a response's extensions"]
pub struct CacheHint {
    pub(super) ttl: Option<Duration>,
    pub(super) is_kept_out: bool,
    pub(super) tags: Vec<String>,
}

impl CacheHint {
    /// As the response's fields say.
    pub fn new() -> Self {
        Self::default()
    }

    /// Not to be stored.
    pub fn no_store() -> Self {
        Self { is_kept_out: true, ..Self::default() }
    }

    /// Fresh for so long, whatever the fields say. What may not be stored at all stays out.
    pub const fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// A further tag by which the response can be purged.
    pub fn add_tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.push(tag.into());
        self
    }
}

/// In a request's extensions it sends the request past the cache: for outer layers that know something the cache does
/// not, such as a GET with a body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "it says one thing by being there")]
pub struct CacheBypass;

/// How a request's body is made that has nothing in it, in the extensions of a request.
///
/// By it a cache can ask an origin a second time that has confirmed something else than it was asked about. For `()`, and
/// for the bodies of axum, it knows how; `B` is the body as the cache gets it.
///
/// ```
/// use bytes::Bytes;
/// use http::Request;
/// use http_body_util::Full;
/// use tower_rampart::cache::EmptyBody;
///
/// let mut request = Request::new(Full::<Bytes>::default());
/// request.extensions_mut().insert(EmptyBody::new(Full::<Bytes>::default));
/// ```
pub struct EmptyBody<B>(fn() -> B);

impl<B> EmptyBody<B> {
    /// One that is made so.
    pub const fn new(make: fn() -> B) -> Self {
        Self(make)
    }

    pub(super) fn make(&self) -> B {
        (self.0)()
    }
}

impl<B> Clone for EmptyBody<B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for EmptyBody<B> {}

impl<B> fmt::Debug for EmptyBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmptyBody")
    }
}
