//! What a schema says of the form of a value, as far as text must be turned into one.

use std::ops::{BitAnd, BitOr};

use super::document::{Document, Version};
use crate::spine::json::Json;

/// Types that a value may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    pub(super) const NULL: Self = Self(1);
    pub(super) const FLAG: Self = Self(2);
    pub(super) const WHOLE: Self = Self(4);
    /// Numbers of any kind.
    pub(super) const NUMBER: Self = Self(8 | 4);
    pub(super) const TEXT: Self = Self(16);
    pub(super) const LIST: Self = Self(32);
    pub(super) const OBJECT: Self = Self(64);
    const NONE: Self = Self(0);
    pub(super) const ALL: Self = Self(127);

    /// Whether all of the others are among these.
    pub(super) const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The same, and text where it may be anything.
    pub(super) fn or_text(self) -> Self {
        if self == Self::ALL { Self::TEXT } else { self }
    }

    fn named(name: &str) -> Self {
        match name {
            "null" => Self::NULL,
            "boolean" => Self::FLAG,
            "integer" => Self::WHOLE,
            "number" => Self::NUMBER,
            "string" => Self::TEXT,
            "array" => Self::LIST,
            "object" => Self::OBJECT,
            _ => Self::ALL,
        }
    }

    const fn of(value: &Json<'static>) -> Self {
        match value {
            Json::Null => Self::NULL,
            Json::Flag(_) => Self::FLAG,
            Json::Number(_) => Self::NUMBER,
            Json::Text(_) => Self::TEXT,
            Json::List(_) => Self::LIST,
            Json::Object(_) => Self::OBJECT,
        }
    }
}

impl BitOr for Types {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Types {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// How text becomes a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar(Types),
    List(Types),
    Object(Box<Members>),
    /// It is written as JSON.
    Json,
}

impl Shape {
    /// The same, with text wherever anything may stand.
    pub(super) fn as_text(&self) -> Self {
        let text = Types::or_text;
        match self {
            Self::Scalar(types) => Self::Scalar(text(*types)),
            Self::List(types) => Self::List(text(*types)),
            Self::Object(members) => {
                let known = members
                    .known
                    .iter()
                    .map(|(name, member)| (name.clone(), Member { types: text(member.types), ..*member }));
                Self::Object(Box::new(Members { known: known.collect(), others: members.others.map(text) }))
            }
            Self::Json => Self::Json,
        }
    }
}

/// The members that an object may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) known: Vec<(Box<str>, Member)>,
    /// What members of other names are, where there may be any.
    pub(super) others: Option<Types>,
}

/// A member: what it is, and whether it is a list of such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) types: Types,
    pub(super) is_list: bool,
    pub(super) is_object: bool,
}

/// How deep is looked: schemas may contain themselves.
const MAX_DEPTH: usize = 8;

/// The shape of a schema's values.
pub(super) fn shape(document: &Document, schema: &Json<'static>) -> Shape {
    let member = member(document, schema);
    if member.is_list {
        Shape::List(item_types(document, schema))
    } else if member.is_object {
        Shape::Object(Box::new(object_members(document, schema)))
    } else {
        Shape::Scalar(member.types)
    }
}

/// The same of a member, whose own members nobody asks for. Where a schema lets everything through, what it says of items
/// and members tells what is meant.
pub(super) fn member(document: &Document, schema: &Json<'static>) -> Member {
    let types = types(document, schema, MAX_DEPTH);
    let says = |keyword| types != Types::ALL || each(document, schema, keyword, MAX_DEPTH).next().is_some();
    let is_list = types.has(Types::LIST) && says("items");
    let is_object = !is_list && types.has(Types::OBJECT) && says("properties");
    Member { types: if is_list { item_types(document, schema) } else { types }, is_list, is_object }
}

/// What a value may be that is written as a list, and is none.
pub(super) fn scalar_beside(document: &Document, schema: &Json<'static>) -> Option<Types> {
    let types = types(document, schema, MAX_DEPTH);
    let scalars = types & (Types::NULL | Types::FLAG | Types::NUMBER | Types::TEXT);
    (types != Types::ALL && scalars != Types::NONE).then_some(scalars)
}

fn item_types(document: &Document, schema: &Json<'static>) -> Types {
    let items = each(document, schema, "items", MAX_DEPTH);
    items.map(|items| types(document, items, MAX_DEPTH)).reduce(BitAnd::bitand).unwrap_or(Types::ALL)
}

/// The members of a schema's objects.
pub(super) fn object_members(document: &Document, schema: &Json<'static>) -> Members {
    let mut known: Vec<(Box<str>, Member)> = Vec::new();
    for properties in each(document, schema, "properties", MAX_DEPTH) {
        let Json::Object(properties) = properties else { continue };
        for (name, schema) in properties {
            if !known.iter().any(|(held, _)| **held == **name) {
                known.push(((**name).into(), member(document, schema)));
            }
        }
    }
    let others = match each(document, schema, "additionalProperties", MAX_DEPTH).next() {
        None | Some(Json::Flag(true)) => Some(Types::ALL),
        Some(Json::Flag(false)) => None,
        Some(schema) => Some(types(document, schema, MAX_DEPTH)),
    };
    Members { known, others }
}

/// What a keyword says in a schema and in all that it is put together from.
fn each<'d>(
    document: &'d Document,
    schema: &'d Json<'static>,
    keyword: &'static str,
    depth: usize,
) -> Box<dyn Iterator<Item = &'d Json<'static>> + 'd> {
    let Some(depth) = depth.checked_sub(1) else { return Box::new(std::iter::empty()) };
    let here = schema.get(keyword).into_iter();
    let referred = referred(document, schema).into_iter();
    let parts = ["allOf", "anyOf", "oneOf"].into_iter().filter_map(|name| schema.get(name)?.list()).flatten();
    Box::new(here.chain(referred.chain(parts).flat_map(move |part| each(document, part, keyword, depth))))
}

fn referred<'d>(document: &'d Document, schema: &Json<'static>) -> Option<&'d Json<'static>> {
    document.at(&document.target(schema.get("$ref")?.text()?).ok()?)
}

/// The types that a schema lets through.
pub(super) fn types(document: &Document, schema: &Json<'static>, depth: usize) -> Types {
    let Some(depth) = depth.checked_sub(1) else { return Types::ALL };
    if *schema == Json::Flag(false) {
        return Types::NONE;
    }
    let all = |parts: &Json<'static>, start: Types, put: fn(Types, Types) -> Types| {
        let parts = parts.list().unwrap_or_default().iter();
        parts.map(|part| types(document, part, depth)).fold(start, put)
    };
    let mut found = match schema.get("type") {
        Some(Json::Text(name)) => Types::named(name),
        Some(Json::List(names)) => {
            names.iter().filter_map(Json::text).map(Types::named).fold(Types::NONE, BitOr::bitor)
        }
        _ => Types::ALL,
    };
    if document.version == Version::V30 && schema.get("nullable") == Some(&Json::Flag(true)) {
        found = found | Types::NULL;
    }
    if let Some(referred) = referred(document, schema) {
        found = found & types(document, referred, depth);
    }
    if let Some(values) = schema.get("enum").and_then(Json::list) {
        found = found & values.iter().map(Types::of).fold(Types::NONE, BitOr::bitor);
    }
    if let Some(value) = schema.get("const") {
        found = found & Types::of(value);
    }
    if let Some(parts) = schema.get("allOf") {
        found = all(parts, found, BitAnd::bitand);
    }
    for name in ["anyOf", "oneOf"] {
        if let Some(parts) = schema.get(name) {
            found = found & all(parts, Types::NONE, BitOr::bitor);
        }
    }
    found
}

/// What a keyword says, for whoever asks about one.
pub(super) fn each_of<'d>(
    document: &'d Document,
    schema: &'d Json<'static>,
    keyword: &'static str,
) -> impl Iterator<Item = &'d Json<'static>> {
    each(document, schema, keyword, MAX_DEPTH)
}
