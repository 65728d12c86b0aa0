//! Schemas of a description, as JSON Schema of draft 2020-12 that refers to nothing but itself.
//!
//! Each schema that is judged by becomes one document: itself, and beside it what its references reach, each once.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use super::discriminator;
use super::document::{Document, Faults, Version, below, item};
use super::keywords::{self, Kind};
use crate::spine::json::{Json, Number};
use crate::wiring;

/// Who sends what is judged: `readOnly` members are not sent by clients, `writeOnly` ones not by servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

/// A schema that is referred to, and how it is read there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Target {
    pub(super) pointer: String,
    /// Members that may not be sent, by what stands around the reference.
    pub(super) hidden: BTreeSet<String>,
    /// Whether it is a part of what refers to it, and does not choose among its own parts anew.
    pub(super) is_base: bool,
}

/// Puts schemas together.
pub(super) struct Bundler<'d> {
    pub(super) document: &'d Document,
    pub(super) direction: Direction,
    pub(super) notes: &'d mut Notes,
    /// Numbers of what was referred to, and what is still to be written.
    numbers: HashMap<Target, usize>,
    waiting: Vec<(Target, usize)>,
}

/// What was found while a description is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    pub(super) faults: Faults,
    pub(super) warnings: BTreeSet<String>,
    /// Patterns that were tried, and what is wrong with each.
    patterns: HashMap<String, Option<String>>,
    /// Schemas that were written, of all bundles together.
    written: usize,
}

pub(super) type Members = Vec<(Cow<'static, str>, Json<'static>)>;

/// Schemas written for one description: as many as the largest ones that are in use need, many times over.
const MAX_SCHEMAS: usize = 2_000_000;

impl<'d> Bundler<'d> {
    pub(super) fn new(document: &'d Document, direction: Direction, notes: &'d mut Notes) -> Self {
        Self { document, direction, notes, numbers: HashMap::new(), waiting: Vec::new() }
    }

    /// The schema at a place, with all that it reaches.
    pub(super) fn bundle(mut self, pointer: &str) -> Json<'static> {
        let context = Context::default();
        let Some(schema) = self.document.at(pointer) else { return Json::Flag(true) };
        let root = self.schema(pointer, schema, &context);
        let mut definitions: Vec<(usize, Json<'static>)> = Vec::new();
        while let Some((target, number)) = self.waiting.pop() {
            let Some(schema) = self.document.at(&target.pointer) else { continue };
            let context = Context { hidden: target.hidden, is_base: target.is_base };
            definitions.push((number, self.schema(&target.pointer, schema, &context)));
        }
        if definitions.is_empty() {
            return root;
        }
        let definitions = definitions.into_iter().map(|(number, schema)| (number.to_string().into(), schema)).collect();
        let mut members = match root {
            Json::Object(members) => members,
            other => vec![("allOf".into(), Json::List(vec![other]))],
        };
        members.push(("$defs".into(), Json::Object(definitions)));
        Json::Object(members)
    }

    pub(super) fn fault(&mut self, at: &str, what: impl Into<String>) {
        self.notes.faults.add(at, what);
    }

    /// A pattern that cannot be used is told where it stands.
    fn pattern(&mut self, at: &str, pattern: &str) {
        let known = self.notes.patterns.entry(pattern.to_owned()).or_insert_with(|| wiring::pattern_fault(pattern));
        if let Some(fault) = known.clone() {
            self.fault(at, fault);
        }
    }

    /// A reference to a schema of this bundle.
    pub(super) fn reference(&mut self, target: Target) -> Json<'static> {
        let next = self.numbers.len();
        let number = *self.numbers.entry(target.clone()).or_insert(next);
        if number == next {
            self.waiting.push((target, number));
        }
        Json::Text(format!("#/$defs/{number}").into())
    }

    pub(super) fn schema(&mut self, at: &str, schema: &Json<'static>, around: &Context) -> Json<'static> {
        self.notes.written += 1;
        if self.notes.written > MAX_SCHEMAS {
            self.fault("#", "its schemas reach too many others");
            return Json::Flag(true);
        }
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
            Ok(pointer) => {
                let reference = self.reference(self.target(pointer, around));
                out.members.push(("$ref".into(), reference));
            }
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
            "required" => match self.value(at, Kind::Names, value) {
                Some(Json::List(names)) => {
                    let is_sent = |name: &Json<'_>| !name.text().is_some_and(|name| context.hidden.contains(name));
                    let names: Vec<_> = names.into_iter().filter(is_sent).collect();
                    if !names.is_empty() {
                        out.members.push(("required".into(), Json::List(names)));
                    }
                }
                _ => {}
            },
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

    /// The members that this schema, and what it is put together from, does not let this side send.
    fn hidden(&self, at: &str, schema: &Json<'static>, seen: &mut Vec<String>) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        if let Some(Json::Object(properties)) = schema.get("properties") {
            let place = below(at, "properties");
            let hidden = properties
                .iter()
                .filter(|(name, schema)| self.is_hidden(&below(&place, name), schema, &mut Vec::new()));
            names.extend(hidden.map(|(name, _)| name.to_string()));
        }
        self.each_part(at, schema, seen, |seen, at, part| names.extend(self.hidden(at, part, seen)));
        names
    }

    fn is_hidden(&self, at: &str, schema: &Json<'static>, seen: &mut Vec<String>) -> bool {
        let keyword = match self.direction {
            Direction::Request => "readOnly",
            Direction::Response => "writeOnly",
        };
        let has_reference = schema.get("$ref").is_some() && self.document.version == Version::V30;
        if !has_reference && schema.get(keyword) == Some(&Json::Flag(true)) {
            return true;
        }
        let mut is_hidden = false;
        self.each_part(at, schema, seen, |seen, at, part| is_hidden |= self.is_hidden(at, part, seen));
        is_hidden
    }

    /// What a schema is put together from: its reference, and its `allOf`. Nothing is seen twice.
    fn each_part(
        &self,
        at: &str,
        schema: &Json<'static>,
        seen: &mut Vec<String>,
        mut each: impl FnMut(&mut Vec<String>, &str, &Json<'static>),
    ) {
        let target = schema.get("$ref").and_then(Json::text).and_then(|held| self.document.target(held).ok());
        if let Some(pointer) = target.filter(|pointer| !seen.contains(pointer)) {
            seen.push(pointer.clone());
            if let Some(part) = self.document.at(&pointer) {
                each(seen, &pointer, part);
            }
        }
        for (index, part) in schema.get("allOf").and_then(Json::list).unwrap_or_default().iter().enumerate() {
            each(seen, &item(&below(at, "allOf"), index), part);
        }
    }
}

/// What stands around a schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Context {
    pub(super) hidden: BTreeSet<String>,
    pub(super) is_base: bool,
}

/// A schema that is being written.
#[derive(Default)]
pub(super) struct Written {
    pub(super) members: Members,
    pub(super) all_of: Vec<Json<'static>>,
}

impl Written {
    fn finish(mut self) -> Members {
        if !self.all_of.is_empty() {
            self.members.push(("allOf".into(), Json::List(self.all_of)));
        }
        self.members
    }
}

const fn value_is_flag(value: &Json<'static>) -> bool {
    matches!(value, Json::Flag(_))
}

fn is_known_dialect(dialect: &str) -> bool {
    dialect.trim_end_matches('#') == "https://json-schema.org/draft/2020-12/schema"
        || dialect.starts_with("https://spec.openapis.org/oas/3.")
}
