//! The value of a JSON body that was read, for whoever wants it.

use std::fmt;
use std::sync::Arc;

use http::Extensions;
use serde::Deserialize;

use crate::wiring::JsonValue;

/// The value of a request's JSON body, as it was read here: in the request's extensions behind routes with a schema, and
/// behind those that are told to by [`Route::parsed`](super::Route::parsed). The body's bytes come as well, for whoever reads
/// them.
///
/// Numbers are what JSON parsers make of them: whole ones of 64 bits, and else doubles.
///
/// ```
/// use http::Request;
/// use tower_rampart::validate::ParsedJson;
///
/// #[derive(serde::Deserialize)]
/// struct Poll {
///     question: String,
/// }
///
/// fn question<B>(request: &Request<B>) -> Option<String> {
///     let poll: Poll = request.extensions().get::<ParsedJson>()?.fill().ok()?;
///     Some(poll.question)
/// }
/// ```
///
/// Behind axum, the extractor `axum::Validated` does that.
#[derive(Clone)]
pub struct ParsedJson(Arc<JsonValue>);

/// A value is not one of the type that was asked for. It holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotOfType;

/// In the stead of a value: there is no body, or one that is no JSON, or one that was let through with a report.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NotParsed;

impl ParsedJson {
    /// Fills a type from the value, which may borrow texts from it. Nothing is parsed once more.
    ///
    /// # Errors
    ///
    /// The value is not one of the type.
    pub fn fill<'de, T: Deserialize<'de>>(&'de self) -> Result<T, NotOfType> {
        self.0.fill().ok_or(NotOfType)
    }

    /// Leaves what a body was read into for those behind.
    pub(super) fn hand_on(value: JsonValue, extensions: &mut Extensions) {
        let _ = extensions.insert(Self(Arc::new(value)));
    }

    /// Says that there is no value, if there is none.
    pub(super) fn hand_on_nothing(extensions: &mut Extensions) {
        if extensions.get::<Self>().is_none() {
            let _ = extensions.insert(NotParsed);
        }
    }
}

/// Without the value.
impl fmt::Debug for ParsedJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParsedJson").finish_non_exhaustive()
    }
}

impl fmt::Display for NotOfType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value is not of the type that was asked for")
    }
}

impl std::error::Error for NotOfType {}
