//! A parameter of a request, or a field of a response: decoded, and judged.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::super::breach::Error;
use super::decode::{Escapes, Fault, Field, one};
use super::fields::{Pair, is_empty, value};
use super::parameter::Parameter;
use super::shape::{Shape, Types};
use crate::spine::json::JsonLimits;
use crate::wiring::{CompiledSchema, MAX_BREACHES, SchemaValue};

/// A parameter, and how else its text may be meant.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) parameter: Parameter,
    other: Option<Other>,
}

/// Another reading of the same text.
#[derive(Debug)]
enum Other {
    /// Its schema takes the one or the other: a number or text, a list or one value.
    Either(Field),
    /// Nothing says what it is, so that its schema has to take both: it may judge numbers, or texts.
    Both(Field),
}

impl Slot {
    pub(super) fn of(parameter: Parameter) -> Self {
        let is_mixed = |types: Types| types != Types::ALL && types.has(Types::TEXT) && types != Types::TEXT;
        let read_as = |shape: Shape| Field { shape, ..parameter.field.clone() };
        let other = match (&parameter.field.shape, parameter.otherwise) {
            (Shape::Scalar(types), _) if is_mixed(*types) => Some(Other::Either(read_as(Shape::Scalar(Types::TEXT)))),
            (Shape::List(_), Some(types)) => Some(Other::Either(read_as(Shape::Scalar(types)))),
            (shape, _) => Some(shape.as_text()).filter(|text| text != shape).map(read_as).map(Other::Both),
        };
        Self { parameter, other }
    }
}

/// What is wrong so far.
#[derive(Debug, Default)]
pub(super) struct Errors {
    pub(super) told: Vec<Error>,
    pub(super) is_truncated: bool,
}

impl Errors {
    fn add(
        &mut self,
        parameter: &Parameter,
        keyword: Cow<'static, str>,
        detail: Cow<'static, str>,
        pointer: Option<String>,
    ) {
        if self.told.len() >= MAX_BREACHES {
            self.is_truncated = true;
            return;
        }
        let name = Some(Cow::Owned(parameter.field.name.to_string()));
        self.told.push(Error { place: Some(parameter.place.name()), pointer, name, keyword, detail });
    }

    /// Something that is wrong with no parameter in particular.
    pub(super) fn add_nameless(&mut self, place: &'static str, words: (&'static str, &'static str)) {
        if self.told.len() >= MAX_BREACHES {
            self.is_truncated = true;
        } else {
            self.told.push(nameless(place, words));
        }
    }

    fn fault(&mut self, parameter: &Parameter, fault: Fault) {
        let (keyword, detail) = words(fault);
        self.add(parameter, keyword.into(), detail.into(), None);
    }
}

pub(super) const fn words(fault: Fault) -> (&'static str, &'static str) {
    match fault {
        Fault::Repeated => ("repeated", "It stands more than once."),
        Fault::Malformed => ("style", "It is not written as described."),
        Fault::Escape => ("encoding", "It cannot be decoded."),
    }
}

/// Judges header fields.
pub(super) fn check_headers(
    slots: &[(HeaderName, Slot)],
    headers: &HeaderMap,
    limits: &JsonLimits,
    errors: &mut Errors,
) {
    for (name, slot) in slots {
        let mut values = headers.get_all(name).iter();
        let (first, second) = (values.next(), values.next());
        let length = first.map_or(0, HeaderValue::len);
        let is_list = matches!(slot.parameter.field.shape, Shape::List(_) | Shape::Object(_));
        let decode = |field: &Field| {
            let Some(first) = first else { return Ok(None) };
            let text = |value: &HeaderValue| std::str::from_utf8(value.as_bytes()).map(str::to_owned);
            let raw = match second {
                None => text(first),
                // RFC 9110 section 5.3: lines of a list are one list.
                Some(_) if is_list => {
                    let lines = headers.get_all(name).iter().map(text);
                    lines.collect::<Result<Vec<_>, _>>().map(|lines| lines.join(","))
                }
                Some(_) => return Err(Fault::Repeated),
            };
            let raw = raw.map_err(|_| Fault::Escape)?;
            let raw = if is_list { raw.split(',').map(str::trim).collect::<Vec<_>>().join(",") } else { raw };
            one(field, raw.trim(), Escapes::None, limits).map(Some)
        };
        look(slot, length, decode, errors);
    }
}

/// Something that is wrong with no parameter in particular.
pub(super) fn nameless(place: &'static str, (keyword, detail): (&'static str, &'static str)) -> Error {
    Error { place: Some(place), pointer: None, name: None, keyword: keyword.into(), detail: detail.into() }
}

pub(super) fn check_pairs(
    slots: &[Slot],
    pairs: &[Pair<'_>],
    length: usize,
    escapes: Escapes,
    limits: &JsonLimits,
    errors: &mut Errors,
) {
    for (index, slot) in slots.iter().enumerate() {
        if slot.parameter.allows_empty && is_empty(index, pairs) {
            continue;
        }
        look(slot, length, |field| value(field, index, pairs, escapes, limits), errors);
    }
}

/// Decodes a parameter and judges it.
pub(super) fn look(
    Slot { parameter, other }: &Slot,
    length: usize,
    decode: impl Fn(&Field) -> Result<Option<SchemaValue>, Fault>,
    errors: &mut Errors,
) {
    let value = match decode(&parameter.field) {
        Ok(Some(value)) => value,
        Ok(None) if parameter.is_required => {
            errors.add(parameter, "required".into(), "The parameter is missing.".into(), None);
            return;
        }
        Ok(None) => return,
        Err(fault) => return errors.fault(parameter, fault),
    };
    let Some(schema) = &parameter.schema else { return };
    let accepts = |field: &Field| decode(field).is_ok_and(|value| value.is_some_and(|value| schema.accepts(&value)));
    let is_accepted = schema.accepts(&value);
    match other {
        None if is_accepted => return,
        Some(Other::Either(field)) if is_accepted || accepts(field) => return,
        Some(Other::Both(field)) if is_accepted => match decode(field) {
            Ok(Some(text)) if !schema.accepts(&text) => return tell(parameter, schema, &text, length, errors),
            _ => return,
        },
        _ => {}
    }
    tell(parameter, schema, &value, length, errors);
}

fn tell(parameter: &Parameter, schema: &CompiledSchema, value: &SchemaValue, length: usize, errors: &mut Errors) {
    for breach in schema.breaches(value, length) {
        let pointer = Some(breach.pointer).filter(|pointer| pointer != "#");
        errors.add(parameter, breach.keyword.into(), breach.detail.into(), pointer);
    }
}
