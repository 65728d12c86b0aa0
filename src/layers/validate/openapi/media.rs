//! Bodies of an operation, by media type.

use std::sync::Arc;

use super::bundle::{Direction, Notes, compiled};
use super::decode::{Field, Style};
use super::document::{Document, Version, below, flag_or, members};
use super::shape::{Shape, member, shape};
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
    /// Fields, where it is a form.
    pub(super) fields: Vec<Field>,
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
            let schema = media.get("schema");
            let schema_at = below(&place, "schema");
            let is_json = match &range {
                Range::Exactly(essence) => is_json(essence),
                Range::Kind(kind) => **kind == *"application/",
                Range::Any => true,
            };
            let is_form = range == Range::Exactly("application/x-www-form-urlencoded".into());
            let is_judged = is_json || (is_form && direction == Direction::Request);
            let mut fields = Vec::new();
            let compiled = match schema {
                Some(schema) if is_judged => {
                    if is_form {
                        fields =
                            form_fields(document, schema, media.get("encoding"), &below(&place, "encoding"), notes);
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
            all.push(Media { range, schema: compiled, fields });
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
    let is_token = |part: &str| !part.is_empty() && !part.contains(['/', '*', ' ', ',']);
    match (kind, subtype) {
        ("*", "*") => Some(Range::Any),
        (kind, "*") if is_token(kind) => Some(Range::Kind(format!("{kind}/").into())),
        (kind, subtype) if is_token(kind) && is_token(subtype) => Some(Range::Exactly(essence.into())),
        _ => None,
    }
}

/// The fields of a form: the members of its schema, written as its encoding says.
fn form_fields(
    document: &Document,
    schema: &Json<'static>,
    encoding: Option<&Json<'static>>,
    at: &str,
    notes: &mut Notes,
) -> Vec<Field> {
    let Shape::Object(described) = shape(document, schema) else { return Vec::new() };
    let mut fields = Vec::new();
    for (name, held) in described.known {
        let says = encoding.and_then(|encoding| encoding.get(&name));
        let place = below(at, &name);
        let style = says.and_then(|says| says.get("style")).and_then(Json::text);
        let style = match style {
            None | Some("form") => Style::Form,
            Some("spaceDelimited") => Style::Space,
            Some("pipeDelimited") => Style::Pipe,
            Some("deepObject") => Style::Deep,
            Some(_) => {
                notes.faults.add(&below(&place, "style"), "is no style of a form's fields");
                continue;
            }
        };
        let explode = says.map_or(style == Style::Form, |says| {
            flag_or(says, "explode", style == Style::Form, &place, &mut notes.faults)
        });
        // Without a style, an object is written as JSON; with one, its members are fields.
        let shape = match described_member(document, schema, &name) {
            Some(part) if held.is_object && style == Style::Deep => shape(document, part),
            _ if held.is_object => Shape::Json,
            _ if held.is_list => Shape::List(held.types),
            _ => Shape::Scalar(held.types),
        };
        fields.push(Field { name, style, explode, shape });
    }
    fields
}

/// A member's own schema.
fn described_member<'d>(document: &'d Document, schema: &'d Json<'static>, name: &str) -> Option<&'d Json<'static>> {
    let found = super::shape::each_of(document, schema, "properties").find_map(|properties| properties.get(name))?;
    member(document, found).is_object.then_some(found)
}
