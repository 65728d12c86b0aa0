//! JSON Schema, by the crate `jsonschema`.
//!
//! Documents and instances are read by our own reader into the crate's values: serde_json's own reading keeps the last of
//! two members, and gives some objects another meaning when a stranger turns on its features.

use std::borrow::Cow;
use std::fmt::Write as _;

use jsonschema::error::ValidationErrorKind as Kind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde::Deserialize;
use serde_json::{Map, Number as JsonNumber, Value};

use crate::spine::config::ConfigError;
#[cfg(feature = "openapi")]
use crate::spine::json::Json;
use crate::spine::json::{Build, JsonLimits, Number, Stop, read_as};

/// What schemas judge.
pub(crate) type SchemaValue = Value;

/// A schema, ready to judge.
pub(crate) struct CompiledSchema {
    validator: Validator,
    /// Whether it has alternatives, of which each that fails tells all its breaches.
    has_branches: bool,
}

/// A document that was read.
pub(crate) struct JsonValue(Value);

impl JsonValue {
    /// Reads a document.
    pub(crate) fn read(document: &[u8], limits: &JsonLimits) -> Result<Self, Box<Stop>> {
        read_as(document, limits).map(Self)
    }

    /// Fills a type from it; `None` when it does not fit. The crate's errors quote the value.
    pub(crate) fn fill<'de, T: Deserialize<'de>>(&'de self) -> Option<T> {
        T::deserialize(&self.0).ok()
    }
}

/// What is wrong with a document, in the schema's words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SchemaBreach {
    pub(crate) pointer: String,
    pub(crate) keyword: String,
    pub(crate) detail: String,
}

/// How a schema is read.
const LIMITS: JsonLimits = JsonLimits::of_whole(4 << 20, 64, 200_000);
/// The longest document in which more than the first breach is looked for: what they cost grows with it.
const MAX_BYTES_FOR_ALL: usize = 16 << 10;
/// The same where alternatives multiply it; in longer ones no breach is looked for at all.
const MAX_BYTES_WITH_BRANCHES: usize = 1 << 10;
/// The least `i64`.
const EDGE: f64 = -9_223_372_036_854_775_808.0;
/// The most breaches that are told.
pub(crate) const MAX_BREACHES: usize = 16;
/// The most characters of a member's name in a pointer: names are the sender's.
const MAX_SHOWN_CHARS: usize = 64;

impl CompiledSchema {
    /// Compiles a schema: nothing is fetched, whatever it refers to; formats count, and so must be known; patterns take
    /// linear time.
    pub(crate) fn compile(text: &[u8]) -> Result<Self, ConfigError> {
        let refuse = |breach: String| {
            const MEND: &str = "write a JSON Schema of draft 4 to 2020-12 that refers to nothing outside of itself";
            ConfigError::new("schema", "", breach, MEND)
        };
        let schema: Value = read_as(text, &LIMITS)
            .map_err(|stop| refuse(format!("cannot be read: {} (at `{}`)", stop.fault, stop.pointer())))?;
        let options = jsonschema::options()
            .offline()
            .should_validate_formats(true)
            .should_ignore_unknown_formats(false)
            .with_pattern_options(PatternOptions::regex());
        // Whoever wrote the schema may read what is in it.
        let compiled = options
            .build(&schema)
            .map_err(|error| refuse(format!("cannot be used: {error} (at `#{}`)", error.instance_path().as_str())))?;
        Ok(Self { validator: compiled, has_branches: has_branches(&schema) })
    }

    /// Judges a document of so many bytes.
    pub(crate) fn judge(&self, JsonValue(value): &JsonValue, bytes: usize) -> Vec<SchemaBreach> {
        if self.accepts(value) { Vec::new() } else { self.breaches(value, bytes) }
    }

    pub(crate) fn accepts(&self, value: &SchemaValue) -> bool {
        self.validator.is_valid(value)
    }

    /// What is wrong with a value that came in so many bytes.
    pub(crate) fn breaches(&self, value: &SchemaValue, bytes: usize) -> Vec<SchemaBreach> {
        // All of them where that is cheap, so that a person mends them in one go.
        let max_bytes = if self.has_branches { MAX_BYTES_WITH_BRANCHES } else { MAX_BYTES_FOR_ALL };
        if bytes <= max_bytes {
            return self.validator.iter_errors(value).take(MAX_BREACHES + 1).map(|error| breach(&error)).collect();
        }
        if self.has_branches {
            let detail = String::from("It is not as described.");
            return vec![SchemaBreach { pointer: String::from("#"), keyword: String::from("schema"), detail }];
        }
        self.validator.validate(value).err().map(|error| breach(&error)).into_iter().collect()
    }
}

/// Compiles many schemas that have much in common.
#[cfg(feature = "openapi")]
#[derive(Debug, Default)]
pub(crate) struct SchemaEngine {
    patterns: jsonschema::PatternCache,
}

#[cfg(feature = "openapi")]
impl SchemaEngine {
    /// Compiles a schema of draft 2020-12 that refers to nothing but definitions beside it, by their numbers.
    pub(crate) fn compile<'j>(
        &self,
        schema: &Json<'_>,
        definitions: impl Iterator<Item = (usize, &'j Json<'static>)>,
    ) -> Result<CompiledSchema, String> {
        let definitions: Map<_, _> = definitions.map(|(number, schema)| (number.to_string(), value(schema))).collect();
        let mut schema = value(schema);
        if let (Value::Object(members), false) = (&mut schema, definitions.is_empty()) {
            members.insert(String::from("$defs"), Value::Object(definitions));
        }
        let options = jsonschema::options()
            .offline()
            .with_draft(jsonschema::Draft::Draft202012)
            .should_validate_formats(true)
            .with_format("byte", is_base64)
            .with_pattern_options(PatternOptions::regex())
            .with_pattern_cache(self.patterns.clone());
        let validator = options.build(&schema).map_err(|error| format!("cannot be used: {error}"))?;
        Ok(CompiledSchema { validator, has_branches: has_branches(&schema) })
    }
}

impl std::fmt::Debug for CompiledSchema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompiledSchema").finish_non_exhaustive()
    }
}

/// Whether a format is judged.
#[cfg(feature = "openapi")]
pub(crate) fn knows_format(format: &str) -> bool {
    format == "byte" || jsonschema::options().is_known_format(jsonschema::Draft::Draft202012, format)
}

/// Why a pattern cannot be used, if it cannot.
#[cfg(feature = "openapi")]
pub(crate) fn pattern_fault(pattern: &str) -> Option<String> {
    let options = jsonschema::options().offline().with_pattern_options(PatternOptions::regex());
    let built = options.build(&serde_json::json!({ "pattern": pattern }));
    built.err().map(|_| String::from("the pattern is none, or one that does not take linear time: look-around, say"))
}

/// RFC 4648 section 4, with its padding.
#[cfg(feature = "openapi")]
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    text.len().is_multiple_of(4) && text.len() - body.len() <= 2 && body.bytes().all(is_digit)
}

/// A document of ours as one of the engine's.
#[cfg(feature = "openapi")]
fn value(json: &Json<'_>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Flag(flag) => Value::Bool(*flag),
        Json::Number(Number::Whole(whole)) => Value::Number((*whole).into()),
        Json::Number(Number::Real(real)) => JsonNumber::from_f64(*real).map_or(Value::Null, Value::Number),
        Json::Text(text) => Value::String(text.to_string()),
        Json::List(items) => Value::Array(items.iter().map(value).collect()),
        Json::Object(members) => {
            Value::Object(members.iter().map(|(name, member)| (name.to_string(), value(member))).collect())
        }
    }
}

/// Whether a schema has alternatives anywhere; a member of that name that is none costs details, and nothing else.
fn has_branches(schema: &Value) -> bool {
    match schema {
        Value::Object(members) => members.iter().any(|(name, value)| {
            matches!(name.as_str(), "anyOf" | "oneOf" | "if" | "contains" | "dependentSchemas") || has_branches(value)
        }),
        Value::Array(items) => items.iter().any(has_branches),
        _ => false,
    }
}

fn breach(error: &ValidationError<'_>) -> SchemaBreach {
    let kind = error.kind();
    let keyword = kind.keyword().to_owned();
    let mut pointer = pointer(error.instance_path().as_str());
    // What is missing has a place as well, which is the schema's word and not the document's.
    if let Kind::Required { property: Value::String(name) } = kind {
        pointer.push('/');
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    }
    SchemaBreach { pointer, keyword, detail: detail(kind) }
}

/// The place in the document, without control characters and with long names cut.
fn pointer(path: &str) -> String {
    let mut shown = String::from("#");
    for segment in path.split('/').skip(1) {
        shown.push('/');
        shown.extend(segment.chars().filter(|c| !c.is_control()).take(MAX_SHOWN_CHARS));
        // Not half of an escape.
        if shown.ends_with('~') {
            shown.pop();
        }
    }
    shown
}

/// What the schema asks for, and nothing of the document.
fn detail(kind: &Kind) -> String {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = match kind {
        Kind::MaxLength { limit } => write!(text, "At most {limit} characters are allowed."),
        Kind::MinLength { limit } => write!(text, "At least {limit} characters are needed."),
        Kind::MaxItems { limit } => write!(text, "At most {limit} items are allowed."),
        Kind::MinItems { limit } => write!(text, "At least {limit} items are needed."),
        Kind::AdditionalItems { limit } => write!(text, "At most {limit} items are described."),
        Kind::MaxProperties { limit } => write!(text, "At most {limit} members are allowed."),
        Kind::MinProperties { limit } => write!(text, "At least {limit} members are needed."),
        Kind::Maximum { limit } => write!(text, "It must be at most {limit}."),
        Kind::Minimum { limit } => write!(text, "It must be at least {limit}."),
        Kind::ExclusiveMaximum { limit } => write!(text, "It must be less than {limit}."),
        Kind::ExclusiveMinimum { limit } => write!(text, "It must be more than {limit}."),
        Kind::MultipleOf { multiple_of } => write!(text, "It must be a multiple of {multiple_of}."),
        Kind::Required { property } => write!(text, "The member {property} is missing."),
        Kind::Format { format } => write!(text, "It is not of the format `{format}`."),
        Kind::Type { .. } => write!(text, "It is of another type."),
        Kind::Enum { .. } | Kind::Constant { .. } => write!(text, "It is none of the values that are allowed."),
        Kind::Pattern { .. } => write!(text, "It does not match the pattern."),
        Kind::FalseSchema => write!(text, "It may not be there."),
        Kind::UniqueItems => write!(text, "Two of its items are the same."),
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            write!(text, "It has members that are not described.")
        }
        _ => write!(text, "It is not as described."),
    };
    text
}

impl<'a> Build<'a> for Value {
    fn null() -> Self {
        Self::Null
    }

    fn flag(flag: bool) -> Self {
        Self::Bool(flag)
    }

    fn number(number: Number, text: &str) -> Self {
        match number {
            Number::Whole(whole) => Self::Number(whole.into()),
            // Whole numbers beyond `i64`, and what is written with a fraction; the reader lets no infinity through.
            Number::Real(real) => match text.parse::<u64>() {
                Ok(whole) => Self::Number(whole.into()),
                Err(_) => {
                    // Just below `i64`, they round to its edge, and would pass for it.
                    let is_whole = !text.contains(['.', 'e', 'E']);
                    let real = if is_whole && real == EDGE { real.next_down() } else { real };
                    JsonNumber::from_f64(real).map_or(Self::Null, Self::Number)
                }
            },
        }
    }

    fn text(text: Cow<'a, str>) -> Self {
        Self::String(text.into_owned())
    }

    fn list(items: Vec<Self>) -> Self {
        Self::Array(items)
    }

    fn object(members: Vec<(Cow<'a, str>, Self)>) -> Self {
        let members = members.into_iter().map(|(name, value)| (name.into_owned(), value));
        Self::Object(members.collect::<Map<_, _>>())
    }
}
