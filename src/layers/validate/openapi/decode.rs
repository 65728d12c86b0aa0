//! Text into values: RFC 6570's ways of writing lists and objects, and those of OpenAPI beside them.
//!
//! What stands between separators is cut before it is decoded, so that an escaped separator is data.

use std::borrow::Cow;
use std::collections::HashMap;

use super::shape::{Member, Members, Shape, Types};
use crate::spine::json::{Build, JsonLimits, read_as};
use crate::wiring::SchemaValue;

/// How a value is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Form,
    Space,
    Pipe,
    Deep,
    Simple,
    Label,
    Matrix,
}

/// What is escaped, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Escapes {
    /// Nothing is.
    None,
    Percent,
    /// A plus is a space, too.
    Plus,
    /// By percent signs, where they are sound: cookies have all kinds of text.
    Loose,
}

/// A value that has a name, and how it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: Box<str>,
    pub(super) style: Style,
    pub(super) explode: bool,
    pub(super) shape: Shape,
}

/// Why text is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It stands more than once, and may not.
    Repeated,
    /// It is not written as described.
    Malformed,
    /// It is no text.
    Escape,
}

/// Reads the whole of a value out of one text.
pub(super) fn one(field: &Field, raw: &str, escapes: Escapes, limits: &JsonLimits) -> Result<SchemaValue, Fault> {
    let body = match field.style {
        Style::Label => raw.strip_prefix('.').ok_or(Fault::Malformed)?,
        Style::Matrix => return matrix(field, raw.strip_prefix(';').ok_or(Fault::Malformed)?, escapes, limits),
        _ => raw,
    };
    match (&field.shape, field.style, field.explode) {
        (Shape::Json, ..) => json(&text(body, escapes)?, limits),
        (Shape::Scalar(types), ..) => Ok(scalar(text(body, escapes)?, *types, limits)),
        (Shape::List(types), Style::Space, _) => list(cut(body, &["%20", "+"]), *types, escapes, limits),
        (Shape::List(types), Style::Pipe, _) => list(cut(body, &["|", "%7C", "%7c"]), *types, escapes, limits),
        (Shape::List(types), Style::Label, true) => list(body.split('.').collect(), *types, escapes, limits),
        (Shape::List(types), ..) => list(body.split(',').collect(), *types, escapes, limits),
        (Shape::Object(members), Style::Label, true) => {
            object(named(body.split('.'), escapes)?, members, escapes, limits)
        }
        (Shape::Object(members), Style::Space, _) => {
            object(alternating(cut(body, &["%20", "+"]), escapes)?, members, escapes, limits)
        }
        (Shape::Object(members), Style::Pipe, _) => {
            object(alternating(cut(body, &["|", "%7C", "%7c"]), escapes)?, members, escapes, limits)
        }
        (Shape::Object(members), Style::Simple, true) => {
            object(named(body.split(','), escapes)?, members, escapes, limits)
        }
        (Shape::Object(members), ..) => {
            object(alternating(body.split(',').collect(), escapes)?, members, escapes, limits)
        }
    }
}

/// `;color=blue`, and what else RFC 6570 makes of a semicolon; the first one is gone already.
fn matrix(field: &Field, body: &str, escapes: Escapes, limits: &JsonLimits) -> Result<SchemaValue, Fault> {
    let own = |part| {
        let (name, value): (&str, &str) = split(part);
        if *text(name, escapes)? == *field.name { Ok(value) } else { Err(Fault::Malformed) }
    };
    match (&field.shape, field.explode) {
        (Shape::List(types), true) => {
            let items = body.split(';').map(own).collect::<Result<_, _>>()?;
            list(items, *types, escapes, limits)
        }
        (Shape::Object(members), true) => object(named(body.split(';'), escapes)?, members, escapes, limits),
        (Shape::List(types), false) => list(own(body)?.split(',').collect(), *types, escapes, limits),
        (Shape::Object(members), false) => {
            object(alternating(own(body)?.split(',').collect(), escapes)?, members, escapes, limits)
        }
        (Shape::Scalar(types), _) => Ok(scalar(text(own(body)?, escapes)?, *types, limits)),
        (Shape::Json, _) => json(&text(own(body)?, escapes)?, limits),
    }
}

/// A list of items that were cut already.
pub(super) fn list(
    items: Vec<&str>,
    types: Types,
    escapes: Escapes,
    limits: &JsonLimits,
) -> Result<SchemaValue, Fault> {
    if items.len() > limits.max_values {
        return Err(Fault::Malformed);
    }
    let items = items.into_iter().map(|item| Ok(scalar(text(item, escapes)?, types, limits)));
    Ok(SchemaValue::list(items.collect::<Result<_, _>>()?))
}

/// An object of members that were cut already. A member that may be a list may stand more than once.
pub(super) fn object(
    pairs: Vec<(Cow<'_, str>, &str)>,
    members: &Members,
    escapes: Escapes,
    limits: &JsonLimits,
) -> Result<SchemaValue, Fault> {
    if pairs.len() > limits.max_values {
        return Err(Fault::Malformed);
    }
    // Names are the sender's, and may be thousands.
    let mut lists: HashMap<Cow<'_, str>, Vec<SchemaValue>> = HashMap::new();
    let mut made: HashMap<Cow<'_, str>, SchemaValue> = HashMap::new();
    for (name, raw) in pairs {
        let Member { types, is_list, .. } = members.get(&name);
        let value = scalar(text(raw, escapes)?, types, limits);
        if is_list {
            lists.entry(name).or_default().push(value);
        } else if made.insert(name, value).is_some() {
            return Err(Fault::Repeated);
        }
    }
    let lists = lists.into_iter().map(|(name, items)| (name, SchemaValue::list(items)));
    Ok(SchemaValue::object(made.into_iter().chain(lists).collect()))
}

impl Members {
    /// What a member of this name is. One that may not be there is text, for the schema to say so.
    fn get(&self, name: &str) -> Member {
        let known = self.known.iter().find(|(held, _)| **held == *name);
        let other = || Member { types: self.others.unwrap_or(Types::TEXT), is_list: false, is_object: false };
        known.map_or_else(other, |(_, member)| *member)
    }
}

/// `R=100`, `G=200`.
fn named<'a>(parts: impl Iterator<Item = &'a str>, escapes: Escapes) -> Result<Vec<(Cow<'a, str>, &'a str)>, Fault> {
    let pair = |part: &'a str| {
        let (name, value) = part.split_once('=').ok_or(Fault::Malformed)?;
        Ok((text(name, escapes)?, value))
    };
    parts.map(pair).collect()
}

/// `R`, `100`, `G`, `200`.
fn alternating(parts: Vec<&str>, escapes: Escapes) -> Result<Vec<(Cow<'_, str>, &str)>, Fault> {
    let mut pairs = Vec::with_capacity(parts.len() / 2);
    for pair in parts.chunks(2) {
        let [name, value] = *pair else { return Err(Fault::Malformed) };
        pairs.push((text(name, escapes)?, value));
    }
    Ok(pairs)
}

/// A name and a value; a name alone has an empty one.
pub(super) fn split(part: &str) -> (&str, &str) {
    part.split_once('=').unwrap_or((part, ""))
}

/// Cuts at each of several spellings of a separator.
fn cut<'a>(raw: &'a str, separators: &[&str]) -> Vec<&'a str> {
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < raw.len() {
        let rest = raw.get(at..).unwrap_or_default();
        match separators.iter().find(|separator| rest.starts_with(**separator)) {
            Some(separator) => {
                parts.push(raw.get(start..at).unwrap_or_default());
                at += separator.len();
                start = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    parts.push(raw.get(start..).unwrap_or_default());
    parts
}

/// Decodes text.
pub(super) fn text(raw: &str, escapes: Escapes) -> Result<Cow<'_, str>, Fault> {
    let has_plus = escapes == Escapes::Plus && raw.contains('+');
    if escapes == Escapes::None || (!raw.contains('%') && !has_plus) {
        return Ok(Cow::Borrowed(raw));
    }
    if !is_sound(raw.as_bytes()) {
        return if escapes == Escapes::Loose { Ok(Cow::Borrowed(raw)) } else { Err(Fault::Escape) };
    }
    let spaced = if has_plus { Cow::Owned(raw.replace('+', " ")) } else { Cow::Borrowed(raw) };
    let decoded = percent_encoding::percent_decode_str(&spaced).decode_utf8().map(|text| text.into_owned());
    match decoded {
        Ok(text) => Ok(Cow::Owned(text)),
        Err(_) if escapes == Escapes::Loose => Ok(Cow::Borrowed(raw)),
        Err(_) => Err(Fault::Escape),
    }
}

/// Whether each percent sign is followed by two digits.
fn is_sound(raw: &[u8]) -> bool {
    let mut after = raw.split(|byte| *byte == b'%').skip(1);
    after.all(|rest| matches!(rest, [high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

/// The value that a text stands for: what its types make of it, and text where they make nothing of it.
pub(super) fn scalar(text: Cow<'_, str>, types: Types, limits: &JsonLimits) -> SchemaValue {
    let made = match &*text {
        "true" if types.has(Types::FLAG) => Some(SchemaValue::flag(true)),
        "false" if types.has(Types::FLAG) => Some(SchemaValue::flag(false)),
        "" | "null" if types.has(Types::NULL) && !types.has(Types::TEXT) => Some(SchemaValue::null()),
        number => number_of(number, types, limits),
    };
    made.unwrap_or_else(|| SchemaValue::text(text))
}

/// A number as JSON writes it: whoever reads it behind us reads the same one.
fn number_of(text: &str, types: Types, limits: &JsonLimits) -> Option<SchemaValue> {
    if !types.has(Types::WHOLE) {
        return None;
    }
    let (first, last) = (*text.as_bytes().first()?, *text.as_bytes().last()?);
    let is_whole = || text.bytes().skip(usize::from(first == b'-')).all(|byte| byte.is_ascii_digit());
    // Everything else that JSON has begins with something else, and spaces around it are none of the number.
    if !(first == b'-' || first.is_ascii_digit()) || !last.is_ascii_digit() {
        return None;
    }
    if !types.has(Types::NUMBER) && !is_whole() {
        return None;
    }
    read_as(text.as_bytes(), limits).ok()
}

fn json(text: &str, limits: &JsonLimits) -> Result<SchemaValue, Fault> {
    read_as(text.as_bytes(), limits).map_err(|_| Fault::Malformed)
}
