//! Places that take one of two kinds of a layer.

#[cfg(feature = "circuit-breaker")]
use crate::layers::circuit_breaker::{CircuitBreakerClientLayer, CircuitBreakerLayer};
#[cfg(feature = "deadline")]
use crate::layers::deadline::{DeadlineBodyLayer, DeadlineLayer};
#[cfg(feature = "rate-limit")]
use crate::layers::rate_limit::{RateLimitLayer, ThrottleLayer};
#[cfg(any(feature = "circuit-breaker", feature = "deadline", feature = "rate-limit"))]
use crate::spine::describe::Describe;

/// A layer that limits requests: [`RateLimitLayer`](crate::rate_limit::RateLimitLayer), or
/// [`ThrottleLayer`](crate::rate_limit::ThrottleLayer), which lets them wait.
#[cfg(feature = "rate-limit")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no rate limiter of this crate",
    note = "build one with `RateLimit::new().add_policy(..).build()?`, or `.build_throttle()?`, with the `?`; somebody else's goes to `.before_auth(layer)` or `.after_authz(layer)`"
)]
pub trait LimitsRequests: Describe + Clone {}

#[cfg(feature = "rate-limit")]
impl LimitsRequests for RateLimitLayer {}
#[cfg(feature = "rate-limit")]
impl LimitsRequests for ThrottleLayer {}

/// A layer that gives requests deadlines: [`DeadlineLayer`](crate::deadline::DeadlineLayer), or
/// [`DeadlineBodyLayer`](crate::deadline::DeadlineBodyLayer), which covers the response's body too.
#[cfg(feature = "deadline")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` gives requests no deadline",
    note = "build one with `Deadlines::new().build()?`, or `.build_with_body()?`, with the `?`; somebody else's timeout goes to `.body_limit(layer)`"
)]
pub trait KeepsDeadlines: Describe + Clone {}

#[cfg(feature = "deadline")]
impl KeepsDeadlines for DeadlineLayer {}
#[cfg(feature = "deadline")]
impl KeepsDeadlines for DeadlineBodyLayer {}

/// A circuit breaker: [`CircuitBreakerLayer`](crate::circuit_breaker::CircuitBreakerLayer), or its form for clients.
#[cfg(feature = "circuit-breaker")]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no circuit breaker of this crate",
    note = "build one with `CircuitBreaker::new(name).build()?`, with the `?`, and with `.client()` for a typed error"
)]
pub trait BreaksCircuits: Describe + Clone {}

#[cfg(feature = "circuit-breaker")]
impl<C: Clone + Send + Sync + 'static> BreaksCircuits for CircuitBreakerLayer<C> {}
#[cfg(feature = "circuit-breaker")]
impl<C: Clone + Send + Sync + 'static> BreaksCircuits for CircuitBreakerClientLayer<C> {}
