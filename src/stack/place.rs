//! Places in a fixed order, filled in any order, by types alone: a place that stays empty is no layer at all.
//!
//! The places of a stack are a list of pairs, outermost first: `(Empty, (Filled<AuthLayer>, (Empty, ())))`. A place is
//! named by how many stand before it.

use std::marker::PhantomData;

use tower_layer::{Identity, Layer, Stack};

/// A place that nothing stands in.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct Empty;

/// A place that a layer stands in.
#[derive(Debug, Clone)]
pub struct Filled<L>(L);

/// The outermost place.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_enums, reason = "it is only named")]
pub enum First {}

/// The place after another one.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::exhaustive_structs, reason = "it is only named")]
pub struct After<P>(PhantomData<P>);

/// Puts a layer into a place, whatever stood there: that it was [`Free`] is asked apart from it. Were it part of this, the
/// compiler would say that stacks have no such method, and not why.
pub trait Put<P, L>: sealed::Sealed {
    /// The places afterwards.
    type Out;

    /// What stood there before: [`Empty`], or [`Filled`].
    type Before;

    #[doc(hidden)]
    fn put(self, layer: L) -> Self::Out;
}

impl<L, H, T> Put<First, L> for (H, T) {
    type Out = (Filled<L>, T);
    type Before = H;

    fn put(self, layer: L) -> Self::Out {
        (Filled(layer), self.1)
    }
}

impl<P, L, H, T> Put<After<P>, L> for (H, T)
where
    T: Put<P, L>,
{
    type Out = (H, T::Out);
    type Before = T::Before;

    fn put(self, layer: L) -> Self::Out {
        (self.0, self.1.put(layer))
    }
}

/// A place that nothing stands in.
#[diagnostic::on_unimplemented(
    message = "this place of the stack is filled already",
    label = "a second layer for one place",
    note = "a place takes one layer: take one of the two calls away, or give a pair, `(outer, inner)`, where a place takes any layer"
)]
pub trait Free: sealed::Sealed {}

impl Free for Empty {}

/// What stands in a place.
pub trait At<P>: sealed::Sealed {
    /// [`Empty`], or [`Filled`].
    type Place;
}

impl<H, T> At<First> for (H, T) {
    type Place = H;
}

impl<P, H, T> At<After<P>> for (H, T)
where
    T: At<P>,
{
    type Place = T::Place;
}

/// Places, which become a layer.
pub trait Places: sealed::Sealed {
    /// The layers that stand there, the innermost first; nothing of empty places.
    type Layers;

    #[doc(hidden)]
    fn into_layers(self) -> Self::Layers;
}

impl Places for () {
    type Layers = Identity;

    fn into_layers(self) -> Identity {
        Identity::new()
    }
}

impl<H, T> Places for (H, T)
where
    T: Places,
    H: Place<T::Layers>,
{
    type Layers = H::Around;

    fn into_layers(self) -> Self::Layers {
        self.0.around(self.1.into_layers())
    }
}

/// A place around those further in.
pub trait Place<I>: sealed::Sealed {
    /// The two together.
    type Around;

    #[doc(hidden)]
    fn around(self, inner: I) -> Self::Around;
}

impl<I> Place<I> for Empty {
    type Around = I;

    fn around(self, inner: I) -> I {
        inner
    }
}

impl<I, L> Place<I> for Filled<L> {
    type Around = Stack<I, L>;

    fn around(self, inner: I) -> Self::Around {
        Stack::new(inner, self.0)
    }
}

/// A place whose layer asks who the caller is, beside the place where that is found out.
#[diagnostic::on_unimplemented(
    message = "a layer of this stack asks who the caller is, and nothing before it finds out",
    label = "authorization, or a limit by identity, without authentication",
    note = "say who is known with `.auth(layer)`, or with `.authenticated_by(layer)` for a layer of your own",
    note = "where a layer around the stack puts an `Identity` into requests, say so with `.authenticated_outside()`"
)]
pub trait Knows<A>: sealed::Sealed {}

impl<A> Knows<A> for Empty {}
impl<L, A> Knows<Filled<A>> for Filled<L> {}

/// Leaves services as they are: for the place of what is done outside.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Outside;

impl Outside {
    pub(super) const fn new() -> Self {
        Self
    }
}

impl<S> Layer<S> for Outside {
    type Service = S;

    fn layer(&self, inner: S) -> S {
        inner
    }
}

mod sealed {
    #[allow(unnameable_types, reason = "so that nobody else implements what it seals")]
    pub trait Sealed {}
    impl Sealed for super::Empty {}
    impl<L> Sealed for super::Filled<L> {}
    impl Sealed for () {}
    impl<H, T> Sealed for (H, T) {}
}
