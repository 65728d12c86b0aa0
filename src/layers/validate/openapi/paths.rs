//! The paths of a description, and their operations.

use http::{HeaderName, Method};

use super::bundle::{Direction, Notes};
use super::document::{Document, Faults, Version, below, flag, item, items, members};
use super::media::Content;
use super::operation::{Asked, Body, Operation};
use super::parameter::{self, Place};
use super::template::PathTemplate;
use crate::spine::json::Json;

/// Members of a path that are methods.
const METHODS: [(&str, Method); 8] = [
    ("get", Method::GET),
    ("put", Method::PUT),
    ("post", Method::POST),
    ("delete", Method::DELETE),
    ("options", Method::OPTIONS),
    ("head", Method::HEAD),
    ("patch", Method::PATCH),
    ("trace", Method::TRACE),
];

/// All operations of a description.
pub(super) fn compile(document: &Document, notes: &mut Notes) -> Vec<Operation> {
    const PATHS: &str = "#/paths";
    let mut operations = Vec::new();
    let mut forms: Vec<String> = Vec::new();
    if document.root().get("paths").is_none() && document.version == Version::V30 {
        notes.faults.add("#", "has no `paths`");
    }
    for (path, described) in members(document.root().get("paths"), PATHS, &mut notes.faults) {
        if path.starts_with("x-") {
            continue;
        }
        let at = below(PATHS, path);
        let template = match PathTemplate::parse("", path) {
            Ok(template) => template,
            Err(what) => {
                notes.faults.add(&at, what);
                continue;
            }
        };
        let form = template.form();
        if forms.contains(&form) {
            notes.faults.add(&at, "matches the same paths as another one");
            continue;
        }
        forms.push(form);
        let is_word = |name: &str| matches!(name, "$ref" | "summary" | "description") || name.starts_with("x-");
        let named = members(Some(described), &at, &mut notes.faults);
        if described.get("$ref").is_some() && !named.iter().all(|(name, _)| is_word(name)) {
            notes.faults.add(&at, "stands beside a reference, where nobody knows what counts");
        }
        let Some((at, described)) = document.resolve(&at, &mut notes.faults) else { continue };
        for (name, method) in methods(document, &at, described, &mut notes.faults) {
            let operation_at = format!("{at}{name}");
            operations.extend(operation(document, (path, &template), (&at, &operation_at), method, notes));
        }
    }
    operations
}

/// The methods that a path has, each with the rest of its place.
fn methods(document: &Document, at: &str, described: &Json<'static>, faults: &mut Faults) -> Vec<(String, Method)> {
    let mut found: Vec<(String, Method)> = METHODS
        .into_iter()
        .filter(|(name, _)| described.get(name).is_some())
        .map(|(name, method)| (format!("/{name}"), method))
        .collect();
    if document.version < Version::V32 {
        return found;
    }
    if let (true, Ok(method)) = (described.get("query").is_some(), Method::from_bytes(b"QUERY")) {
        found.push(("/query".to_owned(), method));
    }
    let at = below(at, "additionalOperations");
    for (name, _) in members(described.get("additionalOperations"), &at, faults) {
        match Method::from_bytes(name.as_bytes()) {
            Ok(method) if found.iter().all(|(_, held)| *held != method) => {
                found.push((below("/additionalOperations", name), method));
            }
            _ => faults.add(&below(&at, name), "is no method, or one that is there already"),
        }
    }
    found
}

fn operation(
    document: &Document,
    (path, template): (&str, &PathTemplate),
    (path_at, at): (&str, &str),
    method: Method,
    notes: &mut Notes,
) -> Option<Operation> {
    let described = document.at(at)?;
    if !matches!(described, Json::Object(_)) {
        notes.faults.add(at, "is no object");
        return None;
    }
    let names: Vec<&str> = template.names().collect();
    let parameters = parameter::all(document, path_at, at, &names, notes);
    for parameter in parameters.iter().filter(|parameter| parameter.place == Place::Header) {
        if HeaderName::from_bytes(parameter.field.name.as_bytes()).is_err() {
            notes.faults.add(at, format!("`{}` is no name of a header field", parameter.field.name));
        }
    }
    let body = body(document, &below(at, "requestBody"), notes);
    let security = security(document, at, described, &mut notes.faults);
    let base = base(document, path_at, at, &mut notes.faults);
    Some(Operation::new((method, path, base, at), security, parameters, body))
}

fn body(document: &Document, at: &str, notes: &mut Notes) -> Option<Body> {
    document.at(at)?;
    let (at, described) = document.resolve(at, &mut notes.faults)?;
    if !matches!(described, Json::Object(_)) {
        notes.faults.add(&at, "is no object");
        return None;
    }
    let content_at = below(&at, "content");
    let content = Content::compile(document, &content_at, described.get("content"), Direction::Request, notes);
    if content.is_empty() {
        notes.faults.add(&at, "has no `content`");
    }
    Some(Body { is_required: flag(described, "required", &at, &mut notes.faults), content })
}

/// The schemes that an operation asks for, or, where it says nothing, the description does.
fn security(document: &Document, at: &str, described: &Json<'static>, faults: &mut Faults) -> Asked {
    let (at, held) = match described.get("security") {
        Some(own) => (below(at, "security"), Some(own)),
        None => ("#/security".to_owned(), document.root().get("security")),
    };
    let schemes = document.at("#/components/securitySchemes");
    let mut asked = Asked::default();
    for (index, requirement) in items(held, &at, faults).iter().enumerate() {
        let at = item(&at, index);
        let mut names = Vec::new();
        for (name, _) in members(Some(requirement), &at, faults) {
            if schemes.and_then(|schemes| schemes.get(name)).is_none() && document.version < Version::V32 {
                faults.add(&below(&at, name), "names a security scheme that is not described");
            }
            asked.in_query.extend(key_in_query(document, name));
            names.push((**name).into());
        }
        asked.security.push(names);
    }
    asked
}

/// The query parameter by which a scheme has its key, if it has one there.
fn key_in_query(document: &Document, scheme: &str) -> Option<Box<str>> {
    // What is wrong with the scheme is for whoever checks it.
    let (_, scheme) = document.resolve(&below("#/components/securitySchemes", scheme), &mut Faults::default())?;
    let says = |name: &str| scheme.get(name).and_then(Json::text);
    says("name").filter(|_| says("type") == Some("apiKey") && says("in") == Some("query")).map(Into::into)
}

/// The path of the first server: the operation's, its path's, or that of all.
fn base(document: &Document, path_at: &str, at: &str, faults: &mut Faults) -> String {
    for holder in [at, path_at, "#"] {
        let place = item(&below(holder, "servers"), 0);
        let Some(server) = document.at(&place) else { continue };
        match server_path(server) {
            Ok(path) => return path,
            Err(what) => faults.add(&below(&place, "url"), what),
        }
    }
    String::new()
}

fn server_path(server: &Json<'static>) -> Result<String, &'static str> {
    let mut url = server.get("url").and_then(Json::text).ok_or("is no text")?.to_owned();
    if let Some(Json::Object(variables)) = server.get("variables") {
        for (name, variable) in variables {
            let default = variable.get("default").and_then(Json::text).unwrap_or_default();
            url = url.replace(&format!("{{{name}}}"), default);
        }
    }
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url.truncate(end);
    let after_scheme = url.split_once("://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("//"));
    let path = match after_scheme {
        Some(rest) => rest.find('/').and_then(|slash| rest.get(slash..)).unwrap_or_default(),
        None => &url,
    };
    let path = path.trim_end_matches('/').trim_start_matches("./");
    if path.contains(['{', '}']) {
        return Err("has a variable without a default");
    }
    Ok(match path {
        "" | "." => String::new(),
        path if path.starts_with('/') => path.to_owned(),
        path => format!("/{path}"),
    })
}
