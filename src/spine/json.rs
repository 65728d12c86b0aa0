//! JSON, read strictly: what two parsers could understand differently is refused.
//!
//! RFC 8259, and beyond it: UTF-8 without a mark, no member twice after unescaping (RFC 7493 section 2.3), no lone
//! surrogates, nothing after the value, bounded depth and size. It lives in the spine because tokens and requests are
//! read by the same rules. No library reads so: those that keep the last of two members keep what another one dropped.

mod build;
#[cfg(feature = "_auth")]
mod deserialize;
mod reader;

#[cfg(any(feature = "_auth", feature = "openapi"))]
use std::borrow::Cow;
use std::fmt;

#[cfg(feature = "json-schema")]
pub(crate) use self::build::Build;
#[cfg(feature = "validate")]
pub(crate) use self::build::Nothing;
#[cfg(feature = "_auth")]
pub(crate) use self::deserialize::from_json;
pub(crate) use self::reader::JsonLimits;
#[cfg(feature = "json-schema")]
pub(crate) use self::reader::Stop;
#[cfg(feature = "_auth")]
pub(crate) use self::reader::read;
#[cfg(feature = "validate")]
pub(crate) use self::reader::read_as;

/// A value. Texts without escapes are those of the document, not copied.
#[cfg(any(feature = "_auth", feature = "openapi"))]
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Flag(bool),
    Number(Number),
    Text(Cow<'a, str>),
    List(Vec<Self>),
    /// Members in the order in which they stand; no name twice.
    Object(Vec<(Cow<'a, str>, Self)>),
}

/// A number, whole if it was written without fraction and exponent and fits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Number {
    Whole(i64),
    Real(f64),
}

/// Why a JSON text was refused. It holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(not(feature = "_auth"), allow(unnameable_types, reason = "only tokens' faults are public"))]
pub enum JsonFault {
    /// It has more bytes than are read.
    TooLong,
    /// It is not UTF-8.
    NotUtf8,
    /// It is not JSON, or not of the form that was asked for.
    Syntax,
    /// Its lists and objects lie too deep within each other.
    TooDeep,
    /// It has more values than are read.
    TooManyValues,
    /// An object has more members than are read.
    TooManyMembers,
    /// A list has more elements than are read.
    TooManyElements,
    /// An object has a member twice.
    MemberTwice,
    /// A member has a name by which scripts reach what all their objects share.
    Prototype,
    /// Something follows the value.
    TrailingData,
    /// A text, or a member's name, is longer than is read.
    TextTooLong,
    /// A number has more digits than are read.
    NumberTooLong,
    /// A text has a NUL in it.
    Nul,
}

impl fmt::Display for JsonFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "it is too long",
            Self::NotUtf8 => "it is not UTF-8",
            Self::Syntax => "it is not JSON",
            Self::TooDeep => "it is nested too deeply",
            Self::TooManyValues => "it has too many values",
            Self::TooManyMembers => "an object has too many members",
            Self::TooManyElements => "a list has too many elements",
            Self::Prototype => "a member has a name that scripts take for something else",
            Self::MemberTwice => "an object has a member twice",
            Self::TrailingData => "something follows the value",
            Self::TextTooLong => "a text is too long",
            Self::NumberTooLong => "a number is too long",
            Self::Nul => "a text has a NUL in it",
        })
    }
}

impl std::error::Error for JsonFault {}

#[cfg(any(feature = "_auth", feature = "openapi"))]
impl<'a> Json<'a> {
    /// A member of an object.
    pub(crate) fn get(&self, name: &str) -> Option<&Self> {
        self.members()?.iter().find(|(held, _)| held == name).map(|(_, value)| value)
    }

    pub(crate) fn members(&self) -> Option<&[(Cow<'a, str>, Self)]> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The same, on its own.
    #[cfg(feature = "openapi")]
    pub(crate) fn into_owned(self) -> Json<'static> {
        let text = |text: Cow<'a, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Null => Json::Null,
            Self::Flag(flag) => Json::Flag(flag),
            Self::Number(number) => Json::Number(number),
            Self::Text(held) => Json::Text(text(held)),
            Self::List(items) => Json::List(items.into_iter().map(Self::into_owned).collect()),
            Self::Object(members) => {
                Json::Object(members.into_iter().map(|(name, value)| (text(name), value.into_owned())).collect())
            }
        }
    }
}
