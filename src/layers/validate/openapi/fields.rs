//! Names and values of a query, a form or cookies, and whose they are.

use std::borrow::Cow;
use std::collections::HashMap;

use super::decode::{Escapes, Fault, Field, Style, list, object, one, scalar, split, text};
use super::shape::{Shape, Types};
use crate::spine::json::JsonLimits;
use crate::wiring::SchemaValue;

/// A name and its value, not decoded yet.
#[derive(Debug)]
pub(super) struct Pair<'a> {
    pub(super) name: Cow<'a, str>,
    value: &'a str,
    /// The field that it belongs to.
    pub(super) owner: Option<usize>,
}

/// Takes text apart, and finds for each part the field that it belongs to.
pub(super) fn pairs<'a, 'f>(
    raw: &'a str,
    separator: char,
    escapes: Escapes,
    fields: impl Iterator<Item = &'f Field> + Clone,
) -> Result<Vec<Pair<'a>>, Fault> {
    let mut pairs = Vec::new();
    for part in raw.split(separator) {
        let part = if separator == ';' { part.trim() } else { part };
        if part.is_empty() {
            continue;
        }
        let (name, value) = split(part);
        let name = text(name, escapes)?;
        let owner = owner(&name, fields.clone());
        pairs.push(Pair { name, value, owner });
    }
    Ok(pairs)
}

/// The field that a name belongs to: its own, one whose members have such names, one whose members may have any.
fn owner<'f>(name: &str, fields: impl Iterator<Item = &'f Field> + Clone) -> Option<usize> {
    let first = |fits: &dyn Fn(&Field) -> bool| fields.clone().position(fits);
    first(&|field| !is_spread(field) && *field.name == *name)
        .or_else(|| first(&|field| field.style == Style::Deep && deep_member(field, name).is_some()))
        .or_else(|| first(&|field| is_spread(field) && knows(field, name)))
        .or_else(|| first(&|field| is_spread(field) && is_open(field)))
}

/// Whether a field's members stand on their own, under their own names.
fn is_spread(field: &Field) -> bool {
    field.style == Style::Deep
        || (field.style == Style::Form && field.explode && matches!(field.shape, Shape::Object(_)))
}

fn knows(field: &Field, name: &str) -> bool {
    match &field.shape {
        Shape::Object(members) if field.style == Style::Form => members.known.iter().any(|(held, _)| **held == *name),
        _ => false,
    }
}

fn is_open(field: &Field) -> bool {
    match &field.shape {
        Shape::Object(members) => field.style == Style::Form && members.others.is_some(),
        _ => false,
    }
}

/// The member's name in `filter[color]`; members of members are not described by anybody.
fn deep_member<'a>(field: &Field, name: &'a str) -> Option<&'a str> {
    let inner = name.strip_prefix(&*field.name)?.strip_prefix('[')?.strip_suffix(']')?;
    (!inner.is_empty() && !inner.contains(['[', ']'])).then_some(inner)
}

/// A field's value, if there is one.
pub(super) fn value(
    field: &Field,
    index: usize,
    pairs: &[Pair<'_>],
    escapes: Escapes,
    limits: &JsonLimits,
) -> Result<Option<SchemaValue>, Fault> {
    let mut own = pairs.iter().filter(|pair| pair.owner == Some(index));
    let Some(first) = own.next() else { return Ok(None) };
    let values = || pairs.iter().filter(|pair| pair.owner == Some(index));
    match &field.shape {
        Shape::Object(members) if is_spread(field) => {
            let mut written: Vec<(Cow<'_, str>, &str)> = Vec::new();
            for pair in values() {
                let name = deep_member(field, &pair.name).unwrap_or(&pair.name);
                written.push((Cow::Borrowed(name), pair.value));
            }
            object(written, members, escapes, limits).map(Some)
        }
        Shape::List(types) if field.explode => {
            list(values().map(|pair| pair.value).collect(), *types, escapes, limits).map(Some)
        }
        _ if own.next().is_some() => Err(Fault::Repeated),
        _ => one(field, first.value, escapes, limits).map(Some),
    }
}

/// Whether a field stands there once, with nothing in it.
pub(super) fn is_empty(index: usize, pairs: &[Pair<'_>]) -> bool {
    let mut own = pairs.iter().filter(|pair| pair.owner == Some(index));
    own.next().is_some_and(|pair| pair.value.is_empty()) && own.next().is_none()
}

/// A form as an object: its fields, and beside them whatever else stands there, for the schema to judge.
pub(super) fn form(
    raw: &str,
    fields: &[Field],
    others: Option<Types>,
    limits: &JsonLimits,
) -> Result<SchemaValue, (Option<usize>, Fault)> {
    use crate::spine::json::Build as _;
    let pairs = pairs(raw, '&', Escapes::Plus, fields.iter()).map_err(|fault| (None, fault))?;
    let mut made: HashMap<Cow<'_, str>, SchemaValue> = HashMap::new();
    for (index, field) in fields.iter().enumerate() {
        let value = value(field, index, &pairs, Escapes::Plus, limits).map_err(|fault| (Some(index), fault))?;
        made.extend(value.map(|value| (Cow::Borrowed(&*field.name), value)));
    }
    for pair in pairs.iter().filter(|pair| pair.owner.is_none()) {
        let value = text(pair.value, Escapes::Plus).map_err(|fault| (None, fault))?;
        let value = scalar(value, others.unwrap_or(Types::TEXT), limits);
        if made.insert(pair.name.clone(), value).is_some() {
            return Err((None, Fault::Repeated));
        }
    }
    Ok(SchemaValue::object(made.into_iter().collect()))
}
