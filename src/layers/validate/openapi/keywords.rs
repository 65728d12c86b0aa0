//! The keywords of schemas: what each is made of, and in which versions it counts.

use super::document::Version;
use crate::spine::json::Number;

/// What a keyword's value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number, zero or more.
    Count,
    Number,
    /// A number above zero.
    Divisor,
    Text,
    Flag,
    /// Texts.
    Names,
    /// Names of members, each with names of members.
    NamesByName,
    Values,
    Value,
    Schema,
    Schemas,
    SchemasByName,
    /// Told apart by whoever reads schemas.
    Special,
    /// It judges nothing.
    Words,
    /// It changes what references mean, and is not followed.
    Unfollowed,
}

/// What a keyword means in this version; `None` is one that nobody knows.
pub(super) fn kind(name: &str, version: Version) -> Option<Kind> {
    Some(match name {
        "minLength" | "maxLength" | "minItems" | "maxItems" | "minProperties" | "maxProperties" => Kind::Count,
        "minimum" | "maximum" => Kind::Number,
        "exclusiveMinimum" | "exclusiveMaximum" if version == Version::V30 => Kind::Special,
        "exclusiveMinimum" | "exclusiveMaximum" => Kind::Number,
        "multipleOf" => Kind::Divisor,
        "pattern" => Kind::Text,
        "uniqueItems" => Kind::Flag,
        "enum" => Kind::Values,
        "not" | "items" | "additionalProperties" => Kind::Schema,
        "anyOf" | "oneOf" => Kind::Special,
        "allOf" | "type" | "required" | "properties" | "format" | "discriminator" | "readOnly" | "writeOnly"
        | "nullable" | "$ref" | "$schema" => Kind::Special,
        "title" | "description" | "default" | "example" | "examples" | "deprecated" | "externalDocs" | "xml" => {
            Kind::Words
        }
        name if name.starts_with("x-") => Kind::Words,
        name => return newer(name),
    })
}

/// What 3.0 does not have.
fn newer(name: &str) -> Option<Kind> {
    Some(match name {
        "minContains" | "maxContains" => Kind::Count,
        "const" => Kind::Value,
        "dependentRequired" => Kind::NamesByName,
        "contains" | "propertyNames" | "if" | "then" | "else" | "unevaluatedItems" | "unevaluatedProperties" => {
            Kind::Schema
        }
        "prefixItems" => Kind::Schemas,
        "patternProperties" | "dependentSchemas" => Kind::SchemasByName,
        // What they hold is reached by references.
        "$defs" | "definitions" | "$comment" => Kind::Words,
        // They say what a text holds, and judge nothing.
        "contentEncoding" | "contentMediaType" | "contentSchema" => Kind::Words,
        "$id" | "$anchor" | "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" | "$recursiveAnchor" | "$vocabulary"
        | "id" => Kind::Unfollowed,
        _ => return None,
    })
}

/// Keywords that judge in JSON Schema and do not exist in 3.0: whoever writes one there means it.
pub(super) fn is_newer(name: &str) -> bool {
    matches!(
        newer(name),
        Some(
            Kind::Count
                | Kind::Value
                | Kind::NamesByName
                | Kind::Schema
                | Kind::Schemas
                | Kind::SchemasByName
                | Kind::Unfollowed
        )
    ) && name != "id"
}

/// Whole numbers of so many bits, and the smaller of the two floats: what a format says of numbers, as keywords.
pub(super) fn range(format: &str) -> Option<[(&'static str, Number); 2]> {
    let between = |low: i64, high: i64| [("minimum", Number::Whole(low)), ("maximum", Number::Whole(high))];
    Some(match format {
        "int8" => between(i8::MIN.into(), i8::MAX.into()),
        "int16" => between(i16::MIN.into(), i16::MAX.into()),
        "int32" => between(i32::MIN.into(), i32::MAX.into()),
        "int64" => between(i64::MIN, i64::MAX),
        "uint8" => between(0, u8::MAX.into()),
        "uint16" => between(0, u16::MAX.into()),
        "uint32" => between(0, u32::MAX.into()),
        // The greatest of them is no double; what lies above all of them is one.
        "uint64" => [("minimum", Number::Whole(0)), ("exclusiveMaximum", Number::Real(2.0_f64.powi(64)))],
        "float" => [("minimum", Number::Real(f32::MIN.into())), ("maximum", Number::Real(f32::MAX.into()))],
        _ => return None,
    })
}

/// Formats that say how a value is shown or meant, not what it is.
pub(super) fn is_annotation(format: &str) -> bool {
    matches!(format, "binary" | "password" | "double" | "decimal" | "html" | "commonmark" | "string")
}
