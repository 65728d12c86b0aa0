//! The tables of what stands before an upstream.

use serde::Deserialize;

use super::renderer::Renderer;
use super::{BulkheadConfig, CircuitBreakerConfig, RetryConfig, TimeoutsConfig};
use crate::layers::bulkhead::BulkheadLayer;
use crate::layers::circuit_breaker::CircuitBreakerLayer;
use crate::layers::deadline::{PropagateDeadlineLayer, TryTimeoutLayer};
use crate::layers::retry::{Retries, RetryLayer, RetryPolicy};
use crate::spine::config::ConfigError;
use crate::spine::rejection::RenderRejection;
use crate::stack::{ConfiguredUpstreamPlaces, UpstreamStack};

/// All tables of what stands before an upstream. A table that is absent leaves its layer out.
///
/// ```
/// use tower_rampart::circuit_breaker::AllErrors;
/// use tower_rampart::config::{self, UpstreamConfig};
///
/// let text = "[retry]\nattempts = 3\n\n[circuit_breaker]\n\n[timeouts]\nupstream = \"2s\"\n";
/// let layers = config::parse::<UpstreamConfig>(text, "upstream.toml")?.load("payments", AllErrors)?;
/// assert_eq!(
///     layers.stack().build().describe(),
///     "retry               3 tries, 20 % of recent requests and 10 more; bodies up to 64 KiB kept\n\
///      circuit breaker     payments: opens at 50 % of 100 calls failed or 80 % of 100 calls slow, for 1s to 1m\n\
///      try timeout         2s for each try\n\
///      propagate deadline  what is left, in grpc-timeout of gRPC",
/// );
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct UpstreamConfig {
    /// `[timeouts]`, of which `upstream` is the one for each try.
    pub timeouts: Option<TimeoutsConfig>,
    /// `[retry]`.
    pub retry: Option<RetryConfig>,
    /// `[circuit_breaker]`.
    pub circuit_breaker: Option<CircuitBreakerConfig>,
    /// `[bulkhead]`.
    pub bulkhead: Option<BulkheadConfig>,
    #[serde(skip)]
    renderer: Renderer,
}

/// The layers that an [`UpstreamConfig`] describes. Made by [`UpstreamConfig::load`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UpstreamLayers<C> {
    /// What may be tried again.
    pub retry: RetryPolicy,
    /// Whether it is worth asking.
    pub circuit_breaker: CircuitBreakerLayer<C>,
    /// How long each try may take.
    pub try_timeout: TryTimeoutLayer,
    /// Calls in flight.
    pub bulkhead: BulkheadLayer,
    /// What the upstream is told of the deadline.
    pub propagate_deadline: PropagateDeadlineLayer,
}

impl UpstreamConfig {
    /// Replaces what turns the refusals of all layers into responses. No key of the file.
    #[must_use]
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.renderer = Renderer::new(renderer);
        self
    }

    /// The layers. The circuit gets the upstream's name, and judges errors so.
    ///
    /// # Errors
    ///
    /// What a layer's own table finds.
    pub fn load<C>(&self, upstream: &str, errors: C) -> Result<UpstreamLayers<C>, ConfigError> {
        Ok(UpstreamLayers {
            retry: match &self.retry {
                Some(table) => table.to_policy()?,
                None => Retries::new().max_attempts(1).build()?,
            },
            circuit_breaker: match &self.circuit_breaker {
                Some(table) => {
                    table.to_builder(upstream).classify_errors(errors).with_renderer(self.renderer.clone()).build()?
                }
                None => CircuitBreakerLayer::empty_judging(errors),
            },
            try_timeout: match &self.timeouts {
                Some(table) => table.to_try_timeout_layer()?.with_renderer(self.renderer.clone()),
                None => TryTimeoutLayer::empty(),
            },
            bulkhead: match &self.bulkhead {
                Some(table) => table.to_builder("upstream").with_renderer(self.renderer.clone()).build()?,
                None => BulkheadLayer::empty(),
            },
            propagate_deadline: PropagateDeadlineLayer::grpc().with_renderer(self.renderer.clone()),
        })
    }
}

impl<C: Clone + Send + Sync + 'static> UpstreamLayers<C> {
    /// The stack, to be built, in which a try that got no answer is answered 504. It tells gRPC servers of the deadline.
    pub fn stack(&self) -> UpstreamStack<ConfiguredUpstreamPlaces<C>> {
        UpstreamStack::new()
            .retry(RetryLayer::new(self.retry.clone()))
            .circuit_breaker(self.circuit_breaker.clone())
            .try_timeout(self.try_timeout.clone())
            .bulkhead(self.bulkhead.clone())
            .propagate_deadline(self.propagate_deadline.clone())
    }
}
