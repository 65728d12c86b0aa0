//! A member that says which of several schemas a value is of.
//!
//! The chosen schema alone judges, so that what is wrong is told in its words; a name that chooses none is wrong. Where a
//! schema with a discriminator has no alternatives, they are the schemas that are made of it by `allOf`.

use super::bundle::{Bundler, Context, Written};
use super::document::{Document, below, item, unescaped};
use crate::spine::json::Json;

/// An alternative, and the names that choose it.
struct Branch {
    pointer: String,
    names: Vec<String>,
}

/// Adds to a schema what its discriminator says.
pub(super) fn write(bundler: &mut Bundler<'_>, at: &str, schema: &Json<'static>, context: &Context, out: &mut Written) {
    let Some(discriminator) = schema.get("discriminator") else { return };
    let place = below(at, "discriminator");
    let alternatives = ["oneOf", "anyOf"].into_iter().find_map(|name| Some((name, schema.get(name)?)));
    let Some(property) = discriminator.get("propertyName").and_then(Json::text) else {
        bundler.fault(&place, "has no `propertyName`");
        return;
    };
    if discriminator.get("defaultMapping").is_some() {
        bundler.fault(&below(&place, "defaultMapping"), "is not followed here");
        return;
    }
    let branches = match alternatives {
        Some((name, parts)) => match named(bundler, &below(at, name), parts) {
            Some(branches) => branches,
            // Nobody can choose what has no name: they are judged one by one.
            None => {
                let context = Context { is_base: false, ..context.clone() };
                let parts = bundler.parts(&below(at, name), parts, &context);
                out.members.push((name.into(), parts));
                return;
            }
        },
        // As a part of its own alternative it chooses nothing.
        None if context.is_base => return,
        None => heirs(bundler.document, at),
    };
    let branches = mapped(bundler, discriminator, &place, branches, alternatives.is_none());
    let all: Vec<_> = branches.iter().flat_map(|branch| &branch.names).cloned().map(text).collect();
    if all.is_empty() {
        return;
    }
    if schema.get("type").is_none() {
        out.all_of.push(object([("type", text("object"))]));
    }
    out.all_of.push(object([
        ("required", Json::List(vec![text(property)])),
        ("properties", Json::Object(vec![(property.to_owned().into(), object([("enum", Json::List(all))]))])),
    ]));
    for Branch { pointer, names } in branches {
        // The schema itself judges already.
        if pointer == at {
            continue;
        }
        let target = bundler.target(pointer, &Context { is_base: false, ..context.clone() });
        let reference = bundler.reference(target);
        let names = object([("enum", Json::List(names.into_iter().map(text).collect()))]);
        let chosen = object([
            ("type", text("object")),
            ("required", Json::List(vec![text(property)])),
            ("properties", Json::Object(vec![(property.to_owned().into(), names)])),
        ]);
        out.all_of.push(object([("if", chosen), ("then", object([("$ref", reference)]))]));
    }
}

fn text(text: impl Into<String>) -> Json<'static> {
    Json::Text(text.into().into())
}

fn object<const N: usize>(members: [(&'static str, Json<'static>); N]) -> Json<'static> {
    Json::Object(members.into_iter().map(|(name, value)| (name.into(), value)).collect())
}

/// Alternatives that are references, all of them.
fn named(bundler: &mut Bundler<'_>, at: &str, parts: &Json<'static>) -> Option<Vec<Branch>> {
    let parts = parts.list().filter(|parts| !parts.is_empty())?;
    let mut branches = Vec::new();
    for (index, part) in parts.iter().enumerate() {
        let reference = part.get("$ref").and_then(Json::text)?;
        match bundler.document.target(reference) {
            Ok(pointer) => branches.push(branch(pointer)),
            Err(what) => bundler.fault(&below(&item(at, index), "$ref"), what),
        }
    }
    Some(branches)
}

/// A schema's own name chooses it.
fn branch(pointer: String) -> Branch {
    let name = pointer.rsplit('/').next().map(|name| unescaped(name).into_owned());
    Branch { pointer, names: name.into_iter().collect() }
}

/// A schema and all that are made of it, directly or not.
fn heirs(document: &Document, at: &str) -> Vec<Branch> {
    const SCHEMAS: &str = "#/components/schemas";
    let Some(Json::Object(schemas)) = document.at(SCHEMAS) else { return Vec::new() };
    let mut found = vec![at.to_owned()];
    let mut next = 0;
    while let Some(parent) = found.get(next).cloned() {
        next += 1;
        for (name, schema) in schemas {
            let pointer = below(SCHEMAS, name);
            let mut parts = schema.get("allOf").and_then(Json::list).unwrap_or_default().iter();
            let is_heir = parts.any(|part| {
                let reference = part.get("$ref").and_then(Json::text);
                reference.and_then(|reference| document.target(reference).ok()).is_some_and(|target| target == parent)
            });
            if is_heir && !found.contains(&pointer) {
                found.push(pointer);
            }
        }
    }
    // Alone it has nothing to choose.
    if found.len() < 2 { Vec::new() } else { found.into_iter().map(branch).collect() }
}

/// Adds the names that a mapping gives. One that leads elsewhere is an alternative of its own where those are open.
fn mapped(
    bundler: &mut Bundler<'_>,
    discriminator: &Json<'static>,
    at: &str,
    mut branches: Vec<Branch>,
    is_open: bool,
) -> Vec<Branch> {
    let at = below(at, "mapping");
    let Some(mapping) = discriminator.get("mapping") else { return branches };
    let Json::Object(mapping) = mapping else {
        bundler.fault(&at, "is no object");
        return branches;
    };
    // A name that is given to one does not choose another by being its own.
    for branch in &mut branches {
        branch.names.retain(|name| !mapping.iter().any(|(given, _)| given == name));
    }
    for (name, target) in mapping {
        let place = below(&at, name);
        let Some(target) = target.text() else {
            bundler.fault(&place, "is no text");
            continue;
        };
        let reference = if target.starts_with('#') { target.to_owned() } else { below("#/components/schemas", target) };
        let pointer = match bundler.document.target(&reference) {
            Ok(pointer) => pointer,
            Err(what) => {
                bundler.fault(&place, what);
                continue;
            }
        };
        match branches.iter_mut().find(|branch| branch.pointer == pointer) {
            Some(branch) => branch.names.push(name.to_string()),
            None if is_open => branches.push(Branch { pointer, names: vec![name.to_string()] }),
            None => bundler.fault(&place, "leads to none of the alternatives"),
        }
    }
    branches
}
