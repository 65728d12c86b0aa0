//! JSON Schema, as users give it.

use std::fmt;
use std::sync::Arc;

use super::breach::{Breach, Check, Error};
use crate::spine::config::ConfigError;
use crate::spine::problem::ProblemKind;
use crate::wiring::{CompiledSchema, JsonValue, MAX_BREACHES};

/// A JSON Schema (drafts 4 to 2020-12) for the body of a [`Route`](super::Route).
///
/// It is compiled once. Nothing is fetched, whatever it refers to; `format` counts, and an unknown one is an error; patterns
/// take linear time, so that look-around is an error.
///
/// ```
/// use tower_rampart::validate::Schema;
///
/// let poll = Schema::new(
///     r#"{
///         "type": "object",
///         "properties": { "question": { "type": "string", "minLength": 1, "maxLength": 200 } },
///         "required": ["question"],
///         "additionalProperties": false
///     }"#,
/// )?;
/// assert!(Schema::new(r#"{"$ref": "http://169.254.169.254/"}"#).is_err());
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct Schema(Arc<CompiledSchema>);

impl Schema {
    /// Compiles a schema.
    ///
    /// # Errors
    ///
    /// What is no JSON and no schema, references that lead out of it, unknown formats, patterns that do not compile.
    pub fn new(text: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        CompiledSchema::compile(text.as_ref()).map(|schema| Self(Arc::new(schema)))
    }

    /// Judges a value that was read from so many bytes.
    pub(super) fn check(&self, value: &JsonValue, bytes: usize, kind: ProblemKind) -> Option<Breach> {
        let breaches = self.0.judge(value, bytes);
        if breaches.is_empty() {
            return None;
        }
        let is_truncated = breaches.len() > MAX_BREACHES;
        let errors = breaches.into_iter().take(MAX_BREACHES).map(|breach| Error {
            pointer: Some(breach.pointer),
            name: None,
            keyword: breach.keyword.into(),
            detail: breach.detail.into(),
        });
        Some(Breach::of_all(Check::Schema, kind, errors.collect(), is_truncated))
    }
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}
