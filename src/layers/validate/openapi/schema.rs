//! Schemas of a description, as JSON Schema of draft 2020-12: what each version's keywords mean.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::bundle::{Bundler, Context, Target, Written};
use super::discriminator;
use super::document::{Version, below, item};
use super::keywords::{self, Kind};
use crate::spine::json::{Json, Number};
use crate::wiring;

impl Bundler<'_> {
    pub(super) fn schema(&mut self, at: &str, schema: &Json<'static>, around: &Context) -> Json<'static> {
        let members = match schema {
            Json::Object(members) => members,
            Json::Flag(flag) if self.document.version > Version::V30 => return Json::Flag(*flag),
            _ => {
                self.fault(at, "is no schema");
                return Json::Flag(true);
            }
        };
        let mut out = Written::default();
        if let Some(reference) = schema.get("$ref") {
            self.referred(at, reference, around, &mut out);
            // In 3.0 nothing beside a reference counts.
            if self.document.version == Version::V30 {
                return Json::Object(out.finish());
            }
        }
        let mut context = around.clone();
        context.hidden.extend(self.hidden(at, schema, &mut Vec::new()));
        for (name, value) in members {
            self.keyword(at, schema, (name, value), &context, &mut out);
        }
        discriminator::write(self, at, schema, &context, &mut out);
        Json::Object(out.finish())
    }

    fn referred(&mut self, at: &str, reference: &Json<'static>, around: &Context, out: &mut Written) {
        let place = below(at, "$ref");
        let Some(reference) = reference.text() else {
            self.fault(&place, "is no text");
            return;
        };
        match self.document.target(reference) {
            Ok(pointer) => match self.document.schema_at(&pointer) {
                Ok(_) => {
                    let reference = self.reference(self.target(pointer, around));
                    out.members.push(("$ref".into(), reference));
                }
                Err(what) => self.fault(&place, what),
            },
            Err(what) => self.fault(&place, what),
        }
    }

    /// A target, with as much of what is hidden around it as it does not hide by itself.
    pub(super) fn target(&self, pointer: String, around: &Context) -> Target {
        let own = match self.document.at(&pointer) {
            Some(schema) if !around.hidden.is_empty() => self.hidden(&pointer, schema, &mut Vec::new()),
            _ => BTreeSet::new(),
        };
        let hidden = around.hidden.difference(&own).cloned().collect();
        Target { pointer, hidden, is_base: around.is_base }
    }

    fn keyword(
        &mut self,
        at: &str,
        schema: &Json<'static>,
        (name, value): (&str, &Json<'static>),
        context: &Context,
        out: &mut Written,
    ) {
        let place = below(at, name);
        let version = self.document.version;
        if version == Version::V30 && keywords::is_newer(name) {
            self.fault(&place, "the keyword is none of OpenAPI 3.0, and would judge nothing");
            return;
        }
        match keywords::kind(name, version) {
            Some(Kind::Special) => self.special(&place, schema, (name, value), context, out),
            Some(Kind::Words) => {}
            Some(Kind::Unfollowed) => {
                self.fault(&place, "the keyword changes what references mean, and is not followed here");
            }
            None => {
                let _ = self.notes.warnings.insert(format!("{place}: nobody knows this keyword"));
            }
            Some(kind) => {
                if let (Kind::Text, Some(pattern)) = (kind, value.text()) {
                    self.pattern(&place, pattern);
                }
                if let Some(value) = self.value(&place, kind, value) {
                    out.members.push((Cow::Owned(name.to_owned()), value));
                }
            }
        }
    }

    /// A keyword's value, if it is of the right kind.
    fn value(&mut self, at: &str, kind: Kind, value: &Json<'static>) -> Option<Json<'static>> {
        let plain = Context::default();
        let is_text = |value: &Json<'static>| value.text().is_some();
        let wrong = match (kind, value) {
            (Kind::Count, Json::Number(Number::Whole(0..)))
            | (Kind::Number, Json::Number(_))
            | (Kind::Text, Json::Text(_))
            | (Kind::Flag, Json::Flag(_))
            | (Kind::Value, _) => return Some(value.clone()),
            (Kind::Divisor, Json::Number(Number::Whole(1..))) => return Some(value.clone()),
            (Kind::Divisor, Json::Number(Number::Real(real))) if *real > 0.0 => return Some(value.clone()),
            (Kind::Values, Json::List(values)) if !values.is_empty() => return Some(value.clone()),
            (Kind::Names, Json::List(names)) if names.iter().all(is_text) => return Some(value.clone()),
            (Kind::NamesByName, Json::Object(members)) => {
                let all = |names: &Json<'static>| names.list().is_some_and(|names| names.iter().all(is_text));
                if members.iter().all(|(_, names)| all(names)) {
                    return Some(value.clone());
                }
                "is no object of lists of names"
            }
            (Kind::Schema, schema) => return Some(self.part(at, schema, &plain)),
            (Kind::Schemas, Json::List(_)) => return Some(self.parts(at, value, &plain)),
            (Kind::SchemasByName, Json::Object(members)) => {
                let each = members.iter().map(|(name, schema)| {
                    if at.ends_with("/patternProperties") {
                        self.pattern(&below(at, name), name);
                    }
                    (name.clone(), self.schema(&below(at, name), schema, &plain))
                });
                return Some(Json::Object(each.collect()));
            }
            (Kind::Count, _) => "is no whole number of zero or more",
            (Kind::Number, _) => "is no number",
            (Kind::Divisor, _) => "is no number above zero",
            (Kind::Text, _) => "is no text",
            (Kind::Flag, _) => "is neither true nor false",
            (Kind::Values, _) => "is no list with values",
            (Kind::Names, _) => "is no list of names",
            _ => "is none of the kind that the keyword has",
        };
        self.fault(at, wrong);
        None
    }

    /// `additionalProperties` may be true or false in 3.0, too.
    fn part(&mut self, at: &str, schema: &Json<'static>, context: &Context) -> Json<'static> {
        match schema {
            Json::Flag(flag) if at.ends_with("/additionalProperties") => Json::Flag(*flag),
            schema => self.schema(at, schema, context),
        }
    }

    pub(super) fn parts(&mut self, at: &str, schemas: &Json<'static>, context: &Context) -> Json<'static> {
        let Some(schemas) = schemas.list().filter(|schemas| !schemas.is_empty()) else {
            self.fault(at, "is no list with schemas");
            return Json::List(vec![Json::Flag(true)]);
        };
        let each = schemas.iter().enumerate().map(|(index, schema)| self.schema(&item(at, index), schema, context));
        Json::List(each.collect())
    }

    fn special(
        &mut self,
        at: &str,
        schema: &Json<'static>,
        (name, value): (&str, &Json<'static>),
        context: &Context,
        out: &mut Written,
    ) {
        match name {
            "type" => self.types(at, schema, value, out),
            "format" => self.format(at, schema, value, out),
            "exclusiveMinimum" | "exclusiveMaximum" if value_is_flag(value) => {
                // In 3.0 they say how the other one is meant.
                let limit = if name == "exclusiveMinimum" { "minimum" } else { "maximum" };
                if let (Json::Flag(true), Some(limit @ Json::Number(_))) = (value, schema.get(limit)) {
                    out.members.push((Cow::Owned(name.to_owned()), limit.clone()));
                }
            }
            "exclusiveMinimum" | "exclusiveMaximum" => self.fault(at, "is neither true nor false"),
            "properties" => self.properties(at, value, context, out),
            "required" => {
                if let Some(Json::List(names)) = self.value(at, Kind::Names, value) {
                    let is_sent = |name: &Json<'_>| !name.text().is_some_and(|name| context.hidden.contains(name));
                    let names: Vec<_> = names.into_iter().filter(is_sent).collect();
                    out.members.push(("required".into(), Json::List(names)));
                }
            }
            "allOf" => {
                let context = Context { is_base: true, ..context.clone() };
                if let Json::List(parts) = self.parts(at, value, &context) {
                    out.all_of.extend(parts);
                }
            }
            // Chosen by the discriminator, where there is one.
            "anyOf" | "oneOf" if schema.get("discriminator").is_none() => {
                let context = Context { is_base: false, ..context.clone() };
                let parts = self.parts(at, value, &context);
                out.members.push((Cow::Owned(name.to_owned()), parts));
            }
            "readOnly" | "writeOnly" | "nullable" if !value_is_flag(value) => {
                self.fault(at, "is neither true nor false");
            }
            "nullable" if self.document.version > Version::V30 => {
                let _ = self
                    .notes
                    .warnings
                    .insert(format!("{at}: `nullable` is none of this version; write `\"null\"` beside the type"));
            }
            "$schema" if !value.text().is_some_and(is_known_dialect) => {
                self.fault(at, "the dialect is another than OpenAPI's own and JSON Schema 2020-12");
            }
            _ => {}
        }
    }

    fn types(&mut self, at: &str, schema: &Json<'static>, value: &Json<'static>, out: &mut Written) {
        const TYPES: [&str; 7] = ["null", "boolean", "integer", "number", "string", "array", "object"];
        let is_old = self.document.version == Version::V30;
        let is_type =
            |held: &Json<'static>| held.text().is_some_and(|name| TYPES.contains(&name) && !(is_old && name == "null"));
        let is_nullable = is_old && schema.get("nullable") == Some(&Json::Flag(true));
        let written = match value {
            Json::Text(_) if is_type(value) && is_nullable => {
                Json::List(vec![value.clone(), Json::Text("null".into())])
            }
            Json::Text(_) if is_type(value) => value.clone(),
            Json::List(held) if !is_old && !held.is_empty() && held.iter().all(is_type) => value.clone(),
            _ => {
                self.fault(at, "is no type that this version has");
                return;
            }
        };
        out.members.push(("type".into(), written));
    }

    fn format(&mut self, at: &str, schema: &Json<'static>, value: &Json<'static>, out: &mut Written) {
        let Some(format) = value.text() else {
            self.fault(at, "is no text");
            return;
        };
        if let Some(range) = keywords::range(format) {
            let range = range.map(|(name, limit)| (Cow::Borrowed(name), Json::Number(limit)));
            out.all_of.push(Json::Object(range.into()));
        } else if wiring::knows_format(format) {
            out.members.push(("format".into(), value.clone()));
        } else if !keywords::is_annotation(format) && schema.get("enum").is_none() {
            let _ = self.notes.warnings.insert(format!("{at}: the format is not known, and its type alone is judged"));
        }
    }

    fn properties(&mut self, at: &str, value: &Json<'static>, context: &Context, out: &mut Written) {
        let Json::Object(properties) = value else {
            self.fault(at, "is no object");
            return;
        };
        let each = properties.iter().map(|(name, schema)| {
            let place = below(at, name);
            let written = self.schema(&place, schema, &Context::default());
            let is_hidden = context.hidden.contains(&**name) && self.is_hidden(&place, schema, &mut Vec::new());
            (name.clone(), if is_hidden { Json::Flag(false) } else { written })
        });
        let each = each.collect();
        out.members.push(("properties".into(), Json::Object(each)));
    }
}

const fn value_is_flag(value: &Json<'static>) -> bool {
    matches!(value, Json::Flag(_))
}

fn is_known_dialect(dialect: &str) -> bool {
    dialect.trim_end_matches('#') == "https://json-schema.org/draft/2020-12/schema"
        || dialect.starts_with("https://spec.openapis.org/oas/3.")
}
