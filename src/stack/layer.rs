//! What comes out of a builder: one layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::lines::Lines;

/// All layers of a stack as one. Made by [`Stack::build`](super::Stack::build) and
/// [`UpstreamStack::build`](super::UpstreamStack::build).
///
/// `L` is what stands in it, as tower composes layers; an empty place is no part of it. Clones, and all services that they
/// make, share what the layers share.
#[must_use = "a layer does nothing until it is put around a service"]
pub struct StackLayer<L> {
    layers: L,
    lines: Arc<Lines>,
}

impl<L> StackLayer<L> {
    pub(super) fn new(layers: L, lines: Lines) -> Self {
        Self { layers, lines: Arc::new(lines) }
    }

    /// What stands in the stack, outermost first, a line each: the place, and what its layer is set to at the moment. A
    /// layer of this crate that does nothing is left out; one of another crate is told by the name of its type.
    ///
    /// No line holds a secret: neither keys nor tokens nor what a layer of another crate was told.
    #[must_use]
    pub fn describe(&self) -> String {
        self.lines.to_string()
    }

    /// The names of the places that [`describe`](Self::describe) tells of, outermost first.
    #[must_use]
    pub fn places(&self) -> Vec<&'static str> {
        self.lines.places()
    }
}

impl<S, L> Layer<S> for StackLayer<L>
where
    L: Layer<S>,
{
    type Service = L::Service;

    fn layer(&self, inner: S) -> Self::Service {
        self.layers.layer(inner)
    }
}

impl<L: Clone> Clone for StackLayer<L> {
    fn clone(&self) -> Self {
        Self { layers: self.layers.clone(), lines: Arc::clone(&self.lines) }
    }
}

impl<L> fmt::Debug for StackLayer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackLayer").field("lines", &self.lines).finish_non_exhaustive()
    }
}
