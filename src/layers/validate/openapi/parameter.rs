//! Parameters of an operation, as a description has them.

use std::sync::Arc;

use super::bundle::{Direction, Notes, compiled};
use super::decode::{Field, Style};
use super::document::{Document, Version, below, flag, flag_or, item, items, members};
use super::media::is_json;
use super::shape::{Shape, Types, scalar_beside, shape};
use crate::spine::json::Json;
use crate::wiring::CompiledSchema;

/// A parameter.
#[derive(Debug)]
pub(super) struct Parameter {
    pub(super) place: Place,
    pub(super) field: Field,
    pub(super) is_required: bool,
    /// Whether it may stand there with nothing in it, whatever its schema says.
    pub(super) allows_empty: bool,
    /// What it may be instead of a list.
    pub(super) otherwise: Option<Types>,
    pub(super) schema: Option<Arc<CompiledSchema>>,
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
    Cookie,
}

impl Place {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
            Self::Cookie => "cookie",
        }
    }
}

/// The parameters of an operation: its own, and those of its path that it does not replace.
pub(super) fn all(
    document: &Document,
    path_at: &str,
    operation_at: &str,
    names: &[&str],
    notes: &mut Notes,
) -> Vec<Parameter> {
    let mut own = listed(document, operation_at, notes);
    for inherited in listed(document, path_at, notes) {
        if !own.iter().any(|held| held.0 == inherited.0 && held.1 == inherited.1) {
            own.push(inherited);
        }
    }
    let mut all = Vec::new();
    for (name, place, at) in own {
        let Some(parameter) = document.at(&at) else { continue };
        if place == Place::Path && !names.contains(&&*name) {
            notes.faults.add(&at, "the path has no parameter of this name");
        }
        // These are described elsewhere (OpenAPI, "Parameter Object").
        let is_elsewhere =
            ["accept", "content-type", "authorization"].iter().any(|held| name.eq_ignore_ascii_case(held));
        if place == Place::Header && is_elsewhere {
            continue;
        }
        all.extend(one(document, &at, parameter, (&name, place), notes));
    }
    for name in names {
        if !all.iter().any(|held| held.place == Place::Path && *held.field.name == **name) {
            notes.faults.add(operation_at, format!("the parameter `{name}` of the path is not described"));
        }
    }
    all
}

/// Names and places of a list of parameters, and where each is described.
fn listed(document: &Document, at: &str, notes: &mut Notes) -> Vec<(String, Place, String)> {
    let at = below(at, "parameters");
    let mut listed: Vec<(String, Place, String)> = Vec::new();
    for index in 0..items(document.at(&at), &at, &mut notes.faults).len() {
        let Some((place, parameter)) = document.resolve(&item(&at, index), &mut notes.faults) else { continue };
        let Some(name) = parameter.get("name").and_then(Json::text).filter(|name| !name.is_empty()) else {
            notes.faults.add(&place, "has no `name`");
            continue;
        };
        let stands = match parameter.get("in").and_then(Json::text) {
            Some("path") => Place::Path,
            Some("query") => Place::Query,
            Some("header") => Place::Header,
            Some("cookie") => Place::Cookie,
            Some("querystring") => {
                notes.faults.add(&below(&place, "in"), "a query that is one value is not read here");
                continue;
            }
            _ => {
                notes.faults.add(&below(&place, "in"), "is none of path, query, header and cookie");
                continue;
            }
        };
        let is_same = |held: &(String, Place, String)| {
            held.1 == stands
                && if stands == Place::Header { held.0.eq_ignore_ascii_case(name) } else { held.0 == *name }
        };
        if listed.iter().any(is_same) {
            notes.faults.add(&item(&at, index), "the parameter is described twice");
            continue;
        }
        listed.push((name.to_owned(), stands, place));
    }
    listed
}

fn one(
    document: &Document,
    at: &str,
    parameter: &Json<'static>,
    (name, place): (&str, Place),
    notes: &mut Notes,
) -> Option<Parameter> {
    let is_required = flag(parameter, "required", at, &mut notes.faults);
    if place == Place::Path && !is_required {
        notes.faults.add(at, "a parameter of the path has `required: true`");
    }
    let otherwise = parameter.get("schema").and_then(|schema| scalar_beside(document, schema));
    let allows_empty = place == Place::Query && flag(parameter, "allowEmptyValue", at, &mut notes.faults);
    let (field, schema) = match (parameter.get("schema"), parameter.get("content")) {
        (Some(schema), None) => {
            let shape = shape(document, schema);
            let schema = compiled(document, &below(at, "schema"), Direction::Request, notes);
            (styled(document.version, at, parameter, (name, place), shape, notes)?, schema)
        }
        (None, Some(content)) => contained(document, at, content, (name, place), notes)?,
        _ => {
            notes.faults.add(at, "has either a `schema` or a `content`");
            return None;
        }
    };
    Some(Parameter { place, field, is_required, allows_empty, otherwise, schema })
}

fn styled(
    version: Version,
    at: &str,
    parameter: &Json<'static>,
    (name, place): (&str, Place),
    shape: Shape,
    notes: &mut Notes,
) -> Option<Field> {
    let style_at = below(at, "style");
    let style = match parameter.get("style") {
        None => None,
        Some(Json::Text(style)) => Some(&**style),
        Some(_) => Some(""),
    };
    let style = match (place, style) {
        (Place::Path | Place::Header, None | Some("simple")) => Style::Simple,
        (Place::Path, Some("label")) => Style::Label,
        (Place::Path, Some("matrix")) => Style::Matrix,
        (Place::Query | Place::Cookie, None | Some("form")) => Style::Form,
        (Place::Cookie, Some("cookie")) if version == Version::V32 => Style::Form,
        (Place::Query, Some("spaceDelimited")) => Style::Space,
        (Place::Query, Some("pipeDelimited")) => Style::Pipe,
        (Place::Query, Some("deepObject")) => Style::Deep,
        _ => {
            notes.faults.add(&style_at, format!("is no style of a parameter in {}", place.name()));
            return None;
        }
    };
    if style == Style::Deep && !matches!(shape, Shape::Object(_)) {
        notes.faults.add(&style_at, "the style is one of objects, and the schema describes none");
        return None;
    }
    let explode = flag_or(parameter, "explode", style == Style::Form, at, &mut notes.faults);
    Some(Field { name: name.into(), style, explode, shape })
}

/// A parameter that is written as a media type of its own.
fn contained(
    document: &Document,
    at: &str,
    content: &Json<'static>,
    (name, place): (&str, Place),
    notes: &mut Notes,
) -> Option<(Field, Option<Arc<CompiledSchema>>)> {
    let at = below(at, "content");
    let [(media_type, media)] = members(Some(content), &at, &mut notes.faults) else {
        notes.faults.add(&at, "has exactly one media type");
        return None;
    };
    let at = below(&at, media_type);
    let is_json = is_json(media_type.split(';').next().unwrap_or_default().trim());
    let is_text = media_type.starts_with("text/");
    let has_schema = media.get("schema").is_some();
    let schema = if has_schema && (is_json || is_text) {
        compiled(document, &below(&at, "schema"), Direction::Request, notes)
    } else {
        None
    };
    if has_schema && !is_json && !is_text {
        let _ = notes.warnings.insert(format!("{at}: values of this type are not judged by a schema"));
    }
    let style = if matches!(place, Place::Path | Place::Header) { Style::Simple } else { Style::Form };
    let shape = if is_json { Shape::Json } else { Shape::Scalar(Types::TEXT) };
    Some((Field { name: name.into(), style, explode: false, shape }, schema))
}

/// A header field of a response.
pub(super) fn field(document: &Document, at: &str, name: &str, notes: &mut Notes) -> Option<Parameter> {
    let (at, described) = document.resolve(at, &mut notes.faults)?;
    let is_required = flag(described, "required", &at, &mut notes.faults);
    let header = (name, Place::Header);
    let (field, schema) = match (described.get("schema"), described.get("content")) {
        (Some(schema), None) => {
            let shape = shape(document, schema);
            let schema = compiled(document, &below(&at, "schema"), Direction::Response, notes);
            (styled(document.version, &at, described, header, shape, notes)?, schema)
        }
        (None, Some(content)) => contained(document, &at, content, header, notes)?,
        _ => {
            notes.faults.add(&at, "has either a `schema` or a `content`");
            return None;
        }
    };
    let otherwise = described.get("schema").and_then(|schema| scalar_beside(document, schema));
    Some(Parameter { place: Place::Header, field, is_required, allows_empty: false, otherwise, schema })
}
