//! The layer.

use std::sync::Arc;

use tower_layer::Layer;

use super::plan::Plans;
use super::service::SecurityHeadersService;

/// Gives every response its security headers. See the [module](super) for the manual.
///
/// ```
/// use tower_rampart::security_headers::{FrameOptions, SecurityHeaders, SecurityHeadersLayer};
///
/// let preset = SecurityHeadersLayer::api();
/// let adapted = SecurityHeaders::api().frame_options(FrameOptions::SameOrigin).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
///
/// Made by a preset, or by [`SecurityHeaders::build`](super::SecurityHeaders::build). Clones share one compiled policy.
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct SecurityHeadersLayer {
    pub(super) plans: Arc<Plans>,
}

impl SecurityHeadersLayer {
    pub(super) fn of(plans: Plans) -> Self {
        Self { plans: Arc::new(plans) }
    }
}

impl<S> Layer<S> for SecurityHeadersLayer {
    type Service = SecurityHeadersService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        SecurityHeadersService::new(inner, Arc::clone(&self.plans))
    }
}
