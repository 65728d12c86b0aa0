//! JSON Schema, as users give it.

use std::fmt;
use std::sync::Arc;

use super::breach::Breach;
use crate::spine::config::ConfigError;
use crate::spine::problem::ProblemKind;
use crate::wiring::{CompiledSchema, JsonValue};

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

    /// The schema as the engine has it.
    pub(super) fn compiled(&self) -> &CompiledSchema {
        &self.0
    }
}

/// Judges a value that was read from so many bytes.
pub(super) fn check(schema: &CompiledSchema, value: &JsonValue, bytes: usize, kind: ProblemKind) -> Option<Breach> {
    let breaches = schema.judge(value, bytes);
    (!breaches.is_empty()).then(|| Breach::of_schema(breaches, kind))
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}
