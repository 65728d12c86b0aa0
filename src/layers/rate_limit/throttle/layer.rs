//! The layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::super::handle::RateLimitHandle;
use super::super::layer::{Core, RateLimit};
use super::service::ThrottleService;
use crate::spine::bounds::CloneService;

/// Limits requests, and lets those wait whose policy has a [`max_wait`](crate::rate_limit::Policy::max_wait).
///
/// Made by [`RateLimit::build_throttle`](crate::rate_limit::RateLimit::build_throttle). Clones, and all services that
/// they make, count together. Waiting needs a tokio runtime with its timers on; without, requests are refused that
/// would wait.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::key::ClientIp;
/// use tower_rampart::rate_limit::{Policy, Quota, RateLimit};
///
/// // Ten a second, twenty at once, and whoever comes too fast is slowed down by up to two seconds.
/// let paced = Policy::new("paced", Quota::new(10).per(Duration::from_secs(1)).burst(20))
///     .key(ClientIp::new())
///     .max_wait(Duration::from_secs(2));
/// let layer = RateLimit::new().add_policy(paced).build_throttle()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ThrottleLayer {
    pub(in super::super) core: Arc<Core>,
}

impl ThrottleLayer {
    pub(in super::super) const fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Counts nothing: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self::of(RateLimit::empty_core())
    }

    /// Watches and changes the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> RateLimitHandle {
        RateLimitHandle::of(Arc::clone(&self.core))
    }

    /// Goes on with the counts of another layer, as
    /// [`RateLimitLayer::adopt_counts`](crate::rate_limit::RateLimitLayer::adopt_counts) does.
    pub fn adopt_counts(mut self, running: &RateLimitHandle) -> Self {
        self.core.adopt(running.core());
        self
    }
}

impl<S: CloneService> Layer<S> for ThrottleLayer {
    type Service = ThrottleService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ThrottleService::new(inner, Arc::clone(&self.core))
    }
}
