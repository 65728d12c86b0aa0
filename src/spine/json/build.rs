//! What a reader makes of what it reads: a value, nothing, or another library's value.

use std::borrow::Cow;

#[cfg(any(feature = "_auth", feature = "openapi"))]
use super::Json;
use super::Number;

/// What becomes of what is read.
pub(crate) trait Build<'a>: Sized {
    fn null() -> Self;
    fn flag(flag: bool) -> Self;
    /// A number, and how it is written.
    fn number(number: Number, text: &'a str) -> Self;
    fn text(text: Cow<'a, str>) -> Self;
    fn list(items: Vec<Self>) -> Self;
    fn object(members: Vec<(Cow<'a, str>, Self)>) -> Self;
}

#[cfg(any(feature = "_auth", feature = "openapi"))]
impl<'a> Build<'a> for Json<'a> {
    fn null() -> Self {
        Self::Null
    }

    fn flag(flag: bool) -> Self {
        Self::Flag(flag)
    }

    fn number(number: Number, _: &'a str) -> Self {
        Self::Number(number)
    }

    fn text(text: Cow<'a, str>) -> Self {
        Self::Text(text)
    }

    fn list(items: Vec<Self>) -> Self {
        Self::List(items)
    }

    fn object(members: Vec<(Cow<'a, str>, Self)>) -> Self {
        Self::Object(members)
    }
}

/// Nothing is made of it: it is read to see whether it can be.
#[cfg(feature = "validate")]
#[derive(Debug)]
pub(crate) struct Nothing;

#[cfg(feature = "validate")]
impl<'a> Build<'a> for Nothing {
    fn null() -> Self {
        Self
    }

    fn flag(_: bool) -> Self {
        Self
    }

    fn number(_: Number, _: &'a str) -> Self {
        Self
    }

    fn text(_: Cow<'a, str>) -> Self {
        Self
    }

    fn list(_: Vec<Self>) -> Self {
        Self
    }

    fn object(_: Vec<(Cow<'a, str>, Self)>) -> Self {
        Self
    }
}
