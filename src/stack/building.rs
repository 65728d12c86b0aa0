//! What the builders share: places, and what stands in them in words.

use super::layer::StackLayer;
use super::lines::Lines;
use super::place::{After, First, Places, Put};
use crate::spine::describe::Describe;

/// Layers that were given so far.
#[derive(Clone)]
pub(super) struct Building<S> {
    places: S,
    pub(super) lines: Lines,
}

/// How many places stand before one.
pub(super) trait Rank {
    const RANK: usize;
}

impl Rank for First {
    const RANK: usize = 0;
}

impl<P: Rank> Rank for After<P> {
    const RANK: usize = P::RANK + 1;
}

impl<S> Building<S> {
    pub(super) fn new(places: S) -> Self {
        Self { places, lines: Lines::default() }
    }

    /// Puts a layer of ours into its place.
    #[allow(dead_code, reason = "without features there is none")]
    pub(super) fn ours<P: Rank, L: Describe + Clone>(mut self, place: &'static str, layer: L) -> Building<S::Out>
    where
        S: Put<P, L>,
    {
        self.lines.ours(P::RANK, place, layer.clone());
        Building { places: self.places.put(layer), lines: self.lines }
    }

    /// Puts somebody else's layer into its place.
    pub(super) fn foreign<P: Rank, L>(mut self, place: &'static str, layer: L) -> Building<S::Out>
    where
        S: Put<P, L>,
    {
        self.lines.foreign::<L>(P::RANK, place);
        Building { places: self.places.put(layer), lines: self.lines }
    }

    /// Takes a place without a layer.
    pub(super) fn said<P: Rank, L>(mut self, place: &'static str, text: &'static str, layer: L) -> Building<S::Out>
    where
        S: Put<P, L>,
    {
        self.lines.said(P::RANK, place, text);
        Building { places: self.places.put(layer), lines: self.lines }
    }

    pub(super) fn build(self) -> StackLayer<S::Layers>
    where
        S: Places,
    {
        StackLayer::new(self.places.into_layers(), self.lines)
    }
}
