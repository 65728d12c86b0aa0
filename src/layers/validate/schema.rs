//! JSON Schema, as users give it.

use std::fmt;
use std::sync::Arc;

use super::breach::Breach;
use super::content;
use super::limits::Limits;
use crate::spine::config::ConfigError;
use crate::spine::problem::ProblemKind;
use crate::wiring::CompiledSchema;

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

    /// Reads a body and judges it.
    pub(super) fn check(&self, body: &[u8], limits: &Limits, kind: ProblemKind) -> Option<Breach> {
        check(&self.0, body, limits, kind)
    }
}

/// Reads a body and judges it by a schema.
pub(super) fn check(schema: &CompiledSchema, body: &[u8], limits: &Limits, kind: ProblemKind) -> Option<Breach> {
    let breaches = match schema.judge(body, &limits.json(body.len())) {
        Ok(breaches) if breaches.is_empty() => return None,
        Ok(breaches) => breaches,
        Err(stop) => return Some(content::no_json(stop.fault, stop.pointer())),
    };
    Some(Breach::of_schema(breaches, kind))
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema").finish_non_exhaustive()
    }
}
