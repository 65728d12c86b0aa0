//! Bodies of an operation, by media type.

use std::sync::Arc;

use super::bundle::{Direction, Notes, compiled};
use super::decode::{Field, Style};
use super::document::{Document, Version, below, flag_or, members};
use super::shape::{Shape, Types, member, object_members, shape};
use crate::spine::json::Json;
use crate::wiring::CompiledSchema;

/// The types that a body may have.
#[derive(Debug)]
pub(super) struct Content(Vec<Media>);

/// One of them.
#[derive(Debug)]
pub(super) struct Media {
    range: Range,
    pub(super) schema: Option<Arc<CompiledSchema>>,
    /// How a form of it is read.
    pub(super) form: Form,
}

/// The fields of a form.
#[derive(Debug, Default)]
pub(super) struct Form {
    pub(super) fields: Vec<Field>,
    /// The same, with text where nothing says what it is: a schema may judge numbers, or texts, and has to take both.
    pub(super) as_text: Option<Vec<Field>>,
    /// What fields of other names are.
    pub(super) others: Option<Types>,
}

#[derive(Debug, PartialEq, Eq)]
enum Range {
    Exactly(Box<str>),
    /// `text/`
    Kind(Box<str>),
    Any,
}

impl Content {
    /// Reads the `content` of a body.
    pub(super) fn compile(
        document: &Document,
        at: &str,
        content: Option<&Json<'static>>,
        direction: Direction,
        notes: &mut Notes,
    ) -> Self {
        let mut all = Vec::new();
        for (name, media) in members(content, at, &mut notes.faults) {
            let place = below(at, name);
            // In 3.2 a media type may be a reference.
            let Some((place, media)) = resolved(document, &place, media, notes) else { continue };
            let Some(range) = range(name) else {
                notes.faults.add(&below(at, name), "is no media type");
                continue;
            };
            if media.get("itemSchema").is_some() {
                let what = format!("{}: items of a sequence are not judged by a schema", below(&place, "itemSchema"));
                let _ = notes.warnings.insert(what);
            }
            let schema = media.get("schema");
            let schema_at = below(&place, "schema");
            let (is_json, is_form) = match &range {
                Range::Exactly(essence) => (is_json(essence), **essence == *"application/x-www-form-urlencoded"),
                Range::Kind(kind) => (**kind == *"application/", **kind == *"application/"),
                Range::Any => (true, true),
            };
            let is_form = is_form && direction == Direction::Request;
            let mut form = Form::default();
            let compiled = match schema {
                Some(schema) if is_json || is_form => {
                    if is_form {
                        form = Form::of(document, schema, media.get("encoding"), &below(&place, "encoding"), notes);
                    }
                    if !matches!(range, Range::Exactly(_)) {
                        let what = format!("{schema_at}: of these types, JSON and forms alone are judged by it");
                        let _ = notes.warnings.insert(what);
                    }
                    compiled(document, &schema_at, direction, notes)
                }
                Some(_) => {
                    let _ =
                        notes.warnings.insert(format!("{schema_at}: bodies of this type are not judged by a schema"));
                    None
                }
                None => None,
            };
            if all.iter().any(|held: &Media| held.range == range) {
                // Whatever the parameters of the type, the first one judges.
                let _ = notes
                    .warnings
                    .insert(format!("{}: the type is described before, and that counts", below(at, name)));
            }
            all.push(Media { range, schema: compiled, form });
        }
        Self(all)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The narrowest that a type falls under.
    pub(super) fn find(&self, essence: &str) -> Option<usize> {
        let first = |fits: &dyn Fn(&Range) -> bool| self.0.iter().position(|media| fits(&media.range));
        first(&|range| matches!(range, Range::Exactly(held) if held.eq_ignore_ascii_case(essence)))
            .or_else(|| {
                first(&|range| match range {
                    Range::Kind(kind) => {
                        essence.get(..kind.len()).is_some_and(|start| start.eq_ignore_ascii_case(kind))
                    }
                    _ => false,
                })
            })
            .or_else(|| first(&|range| *range == Range::Any))
    }

    pub(super) fn get(&self, index: usize) -> Option<&Media> {
        self.0.get(index)
    }
}

fn resolved<'d>(
    document: &'d Document,
    at: &str,
    media: &'d Json<'static>,
    notes: &mut Notes,
) -> Option<(String, &'d Json<'static>)> {
    if document.version == Version::V32 && media.get("$ref").is_some() {
        return document.resolve(at, &mut notes.faults);
    }
    Some((at.to_owned(), media))
}

pub(super) fn is_json(essence: &str) -> bool {
    essence.eq_ignore_ascii_case("application/json")
        || essence.rsplit_once('+').is_some_and(|(_, suffix)| suffix.eq_ignore_ascii_case("json"))
}

/// Parameters of the type count for nobody who chooses by it.
fn range(name: &str) -> Option<Range> {
    let essence = name.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (kind, subtype) = essence.split_once('/')?;
    let is_name = |part: &str| !part.is_empty() && !part.contains(['/', '*', ' ', ',']);
    match (kind, subtype) {
        ("*", "*") => Some(Range::Any),
        (kind, "*") if is_name(kind) => Some(Range::Kind(format!("{kind}/").into())),
        (kind, subtype) if is_name(kind) && is_name(subtype) => Some(Range::Exactly(essence.into())),
        _ => None,
    }
}

impl Form {
    /// The members of its schema, written as its encoding says.
    fn of(
        document: &Document,
        schema: &Json<'static>,
        encoding: Option<&Json<'static>>,
        at: &str,
        notes: &mut Notes,
    ) -> Self {
        let described = object_members(document, schema);
        let mut fields = Vec::new();
        for (name, held) in described.known {
            let says = encoding.and_then(|encoding| encoding.get(&name));
            let place = below(at, &name);
            let Some(style) = style_of(says, &place, notes) else { continue };
            let explode = says.map_or(style == Style::Form, |says| {
                flag_or(says, "explode", style == Style::Form, &place, &mut notes.faults)
            });
            // Without a style, an object is written as JSON; with one, its members are fields.
            let shape = match described_member(document, schema, &name) {
                Some(part) if held.is_object && style == Style::Deep => shape(document, part),
                _ if held.is_object || is_written_as_json(says) => Shape::Json,
                _ if held.is_list => Shape::List(held.types),
                _ => Shape::Scalar(held.types),
            };
            fields.push(Field { name, style, explode, shape });
        }
        let as_text: Vec<_> =
            fields.iter().map(|field| Field { shape: field.shape.as_text(), ..field.clone() }).collect();
        let as_text = Some(as_text).filter(|as_text| *as_text != fields);
        Self { fields, as_text, others: described.others.map(Types::or_text) }
    }
}

fn style_of(says: Option<&Json<'static>>, at: &str, notes: &mut Notes) -> Option<Style> {
    match says.and_then(|says| says.get("style")).and_then(Json::text) {
        None | Some("form") => Some(Style::Form),
        Some("spaceDelimited") => Some(Style::Space),
        Some("pipeDelimited") => Some(Style::Pipe),
        Some("deepObject") => Some(Style::Deep),
        Some(_) => {
            notes.faults.add(&below(at, "style"), "is no style of a form's fields");
            None
        }
    }
}

/// A type counts where neither a style nor `explode` is said (OpenAPI, "Encoding Object").
fn is_written_as_json(says: Option<&Json<'static>>) -> bool {
    says.is_some_and(|says| {
        let is_styled = says.get("style").is_some() || says.get("explode").is_some();
        let content_type = says.get("contentType").and_then(Json::text);
        !is_styled && content_type.is_some_and(is_json)
    })
}

/// A member's own schema.
fn described_member<'d>(document: &'d Document, schema: &'d Json<'static>, name: &str) -> Option<&'d Json<'static>> {
    let found = super::shape::each_of(document, schema, "properties").find_map(|properties| properties.get(name))?;
    member(document, found).is_object.then_some(found)
}
