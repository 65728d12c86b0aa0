//! The stack of a client.

use std::fmt;

use super::building::Building;
#[cfg(any(feature = "circuit-breaker", feature = "deadline"))]
use super::kinds;
use super::layer::StackLayer;
use super::order::upstream_places as place;
use super::place::{Empty, Free, Places, Put};
#[cfg(feature = "bulkhead")]
use crate::layers::bulkhead::BulkheadLayer;
#[cfg(feature = "deadline")]
use crate::layers::deadline::{PropagateDeadlineLayer, TryTimeoutLayer};
#[cfg(feature = "load-shed")]
use crate::layers::load_shed::AdaptiveThrottleLayer;
#[cfg(feature = "retry")]
use crate::layers::retry::RetryLayer;
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
use crate::spine::form::Form;

macro_rules! places {
    () => { () };
    ($first:ident $($rest:ident)*) => { ($first, places!($($rest)*)) };
}

/// The places of an upstream's stack that nothing was put into.
pub type NoUpstreamLayers = places! { Empty Empty Empty Empty Empty Empty Empty Empty Empty };

/// Puts the layers around a client into their order, whatever order they are given in. See the [module](super) for the
/// manual.
#[derive(Clone)]
#[must_use = "a stack does nothing until it is built and put around a service"]
pub struct UpstreamStack<S = NoUpstreamLayers>(Building<S>);

crate::spine::bounds::no_layer!(UpstreamStack<S>);

impl UpstreamStack {
    /// No layer yet.
    pub fn new() -> Self {
        Self(Building::new(places! { Empty Empty Empty Empty Empty Empty Empty Empty Empty }))
    }
}

impl Default for UpstreamStack {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> UpstreamStack<S> {
    /// Around everything else: once for each call, whatever is tried.
    pub fn outermost<L>(self, layer: L) -> UpstreamStack<S::Out>
    where
        S: Put<place::Outermost, L, Before: Free>,
    {
        UpstreamStack(self.0.foreign("outermost", layer))
    }

    /// How long a call may take in all, its retries included.
    #[cfg(feature = "deadline")]
    pub fn deadline<L>(self, layer: L) -> UpstreamStack<S::Out>
    where
        L: kinds::KeepsDeadlines,
        S: Put<place::Deadline, L, Before: Free>,
    {
        self.ours("deadline", layer)
    }

    /// Tries again what may be made twice. Everything further in sees each try.
    #[cfg(feature = "retry")]
    pub fn retry<V: 'static>(self, layer: RetryLayer<V>) -> UpstreamStack<S::Out>
    where
        S: Put<place::Retry, RetryLayer<V>, Before: Free>,
    {
        self.ours("retry", layer)
    }

    /// Holds calls back that a busy service would turn away.
    #[cfg(feature = "load-shed")]
    pub fn adaptive_throttle<F: Form>(self, layer: AdaptiveThrottleLayer<F>) -> UpstreamStack<S::Out>
    where
        S: Put<place::AdaptiveThrottle, AdaptiveThrottleLayer<F>, Before: Free>,
    {
        self.ours("adaptive throttle", layer)
    }

    /// Calls nobody who is known to be sick. Its verdict counts each try, and timeouts of tries.
    #[cfg(feature = "circuit-breaker")]
    pub fn circuit_breaker<L>(self, layer: L) -> UpstreamStack<S::Out>
    where
        L: kinds::BreaksCircuits,
        S: Put<place::CircuitBreaker, L, Before: Free>,
    {
        self.ours("circuit breaker", layer)
    }

    /// How long each try may take: the wait for a place among those in flight is part of it.
    #[cfg(feature = "deadline")]
    pub fn try_timeout<A>(self, layer: TryTimeoutLayer<A>) -> UpstreamStack<S::Out>
    where
        A: Send + Sync + 'static,
        S: Put<place::TryTimeout, TryTimeoutLayer<A>, Before: Free>,
    {
        self.ours("try timeout", layer)
    }

    /// Bounds calls in flight. A call gives its place back between its tries.
    #[cfg(feature = "bulkhead")]
    pub fn bulkhead<F: Form>(self, layer: BulkheadLayer<F>) -> UpstreamStack<S::Out>
    where
        S: Put<place::Bulkhead, BulkheadLayer<F>, Before: Free>,
    {
        self.ours("bulkhead", layer)
    }

    /// Tells the next server how much time is left, after all that was waited for.
    #[cfg(feature = "deadline")]
    pub fn propagate_deadline(self, layer: PropagateDeadlineLayer) -> UpstreamStack<S::Out>
    where
        S: Put<place::PropagateDeadline, PropagateDeadlineLayer, Before: Free>,
    {
        self.ours("propagate deadline", layer)
    }

    /// Next to the client: a hedge, a balancer, what signs requests.
    pub fn innermost<L>(self, layer: L) -> UpstreamStack<S::Out>
    where
        S: Put<place::Innermost, L, Before: Free>,
    {
        UpstreamStack(self.0.foreign("innermost", layer))
    }

    /// The layer.
    pub fn build(self) -> StackLayer<S::Layers>
    where
        S: Places,
    {
        self.0.build()
    }

    #[cfg(any(
        feature = "bulkhead",
        feature = "circuit-breaker",
        feature = "deadline",
        feature = "load-shed",
        feature = "retry"
    ))]
    fn ours<P: super::building::Rank, L>(self, place: &'static str, layer: L) -> UpstreamStack<S::Out>
    where
        L: crate::spine::describe::Describe + Clone,
        S: Put<P, L>,
    {
        UpstreamStack(self.0.ours(place, layer))
    }
}

impl<S> fmt::Debug for UpstreamStack<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamStack").field("lines", &self.0.lines).finish_non_exhaustive()
    }
}
