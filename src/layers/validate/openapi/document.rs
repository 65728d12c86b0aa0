//! A document, and what its references lead to: places in itself, and nowhere else.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;

use super::keywords::{self, Kind};
use crate::spine::json::Json;

/// A description, as it was read.
#[derive(Debug)]
pub(super) struct Document {
    root: Json<'static>,
    pub(super) version: Version,
}

/// The versions that are told apart: 3.0 has a dialect of its own, 3.2 adds to 3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Version {
    V30,
    V31,
    V32,
}

/// What is wrong with a document, each with its place.
#[derive(Debug, Default)]
pub(super) struct Faults {
    told: Vec<(String, String)>,
    untold: usize,
}

/// The most problems that are told: whoever has more begins with these.
const MAX_TOLD: usize = 200;
/// References that lead to references, one after another.
const MAX_HOPS: usize = 16;
const CIRCLE: &str = "the reference leads round in a circle";

impl Faults {
    pub(super) fn add(&mut self, at: &str, what: impl Into<String>) {
        let fault = (at.to_owned(), what.into());
        if self.told.contains(&fault) {
            return;
        }
        if self.told.len() < MAX_TOLD { self.told.push(fault) } else { self.untold += 1 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// All of them as one text, a line for each.
    pub(super) fn text(&self) -> String {
        let mut text = match self.told.len() + self.untold {
            1 => String::from("has a problem:"),
            count => format!("has {count} problems:"),
        };
        for (at, what) in &self.told {
            // Writing to a `String` cannot fail.
            let _ = write!(text, "\n  {at}: {what}");
        }
        if self.untold > 0 {
            let _ = write!(text, "\n  and {} more", self.untold);
        }
        text.push('\n');
        text
    }
}

impl Document {
    /// Looks at what a document says it is.
    pub(super) fn of(root: Json<'static>, faults: &mut Faults) -> Self {
        let says = root.get("openapi").and_then(Json::text).unwrap_or_default();
        let version = match says.split('.').collect::<Vec<_>>()[..] {
            ["3", "0", ..] => Some(Version::V30),
            ["3", "1", ..] => Some(Version::V31),
            ["3", "2", ..] => Some(Version::V32),
            _ => None,
        };
        if version.is_none() {
            let what = if root.get("swagger").is_some() {
                "the document is of Swagger 2.0; convert it to OpenAPI 3"
            } else {
                "the version is none of 3.0, 3.1 and 3.2"
            };
            faults.add("#/openapi", what);
        }
        Self { root, version: version.unwrap_or(Version::V31) }
    }

    pub(super) const fn root(&self) -> &Json<'static> {
        &self.root
    }

    /// Tells of all references that lead nowhere or out, whether anything is judged by them or not.
    pub(super) fn check_references(&self, faults: &mut Faults) {
        let mut sound = HashSet::new();
        for part in ["paths", "components"] {
            let held = self.root.get(part).into_iter();
            held.for_each(|held| self.check_references_in(held, &below("#", part), &mut sound, faults));
        }
    }

    fn check_references_in<'d>(
        &'d self,
        json: &'d Json<'static>,
        at: &str,
        sound: &mut HashSet<&'d str>,
        faults: &mut Faults,
    ) {
        match json {
            Json::Object(members) => {
                for (name, value) in members {
                    let place = below(at, name);
                    match (&**name, value) {
                        ("$ref", Json::Text(reference)) if sound.contains(&**reference) => {}
                        ("$ref", Json::Text(reference)) => match self.target(reference) {
                            Ok(_) => drop(sound.insert(reference)),
                            Err(what) => faults.add(&place, what),
                        },
                        // Data, which may look like anything.
                        ("default" | "enum" | "const" | "example" | "examples", _) if !has_own_names(at) => {}
                        (name, _) if name.starts_with("x-") => {}
                        _ => self.check_references_in(value, &place, sound, faults),
                    }
                }
            }
            Json::List(items) => {
                let each = items.iter().enumerate();
                each.for_each(|(index, value)| self.check_references_in(value, &item(at, index), sound, faults));
            }
            _ => {}
        }
    }

    /// What stands at a pointer such as `#/components/schemas/Poll`.
    pub(super) fn at(&self, pointer: &str) -> Option<&Json<'static>> {
        let path = pointer.strip_prefix('#')?;
        if path.is_empty() {
            return Some(&self.root);
        }
        path.strip_prefix('/')?.split('/').try_fold(&self.root, |held, token| {
            let token = unescaped(token);
            match held {
                Json::Object(_) => held.get(&token),
                Json::List(items) => items.get(token.parse::<usize>().ok()?),
                _ => None,
            }
        })
    }

    /// The place that a reference names, if there is one in this document.
    pub(super) fn target(&self, reference: &str) -> Result<String, &'static str> {
        let Some(fragment) = reference.strip_prefix('#') else {
            return Err("the reference leads out of the document, and nothing is fetched");
        };
        let decoded = percent_encoding::percent_decode_str(fragment).decode_utf8();
        let fragment = decoded.map_err(|_| "the reference is not UTF-8")?;
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return Err("the reference names an anchor; write a JSON pointer");
        }
        let pointer = format!("#{fragment}");
        if self.at(&pointer).is_none() { Err("the reference leads nowhere") } else { Ok(pointer) }
    }

    /// Where a schema stands that another one is nothing but a reference to.
    fn meant(&self, at: &str) -> Option<String> {
        let Json::Object(members) = self.at(at)? else { return None };
        let (_, reference) = members.iter().find(|(name, _)| name == "$ref")?;
        // In 3.0 nothing beside a reference counts.
        let is_alone = self.version == Version::V30
            || members
                .iter()
                .all(|(name, _)| name == "$ref" || keywords::kind(name, self.version) == Some(Kind::Words));
        self.target(reference.text().filter(|_| is_alone)?).ok()
    }

    /// Where a schema stands once its references are followed. One that leads round to itself says nothing, and would let
    /// everything through.
    pub(super) fn schema_at(&self, at: &str) -> Result<String, &'static str> {
        let mut place = at.to_owned();
        for _ in 0..MAX_HOPS {
            match self.meant(&place) {
                Some(next) => place = next,
                None => return Ok(place),
            }
        }
        Err(CIRCLE)
    }

    /// Follows references until something else stands there.
    pub(super) fn resolve(&self, at: &str, faults: &mut Faults) -> Option<(String, &Json<'static>)> {
        let mut place = at.to_owned();
        for _ in 0..MAX_HOPS {
            let held = self.at(&place)?;
            let Some(reference) = held.get("$ref") else { return Some((place, held)) };
            let Some(reference) = reference.text() else {
                faults.add(&place, "`$ref` is no text");
                return None;
            };
            match self.target(reference) {
                Ok(target) => place = target,
                Err(what) => {
                    faults.add(&below(&place, "$ref"), what);
                    return None;
                }
            }
        }
        faults.add(at, CIRCLE);
        None
    }
}

/// Whether the members of what stands there are called as whoever wrote the document likes.
fn has_own_names(at: &str) -> bool {
    const HOLDERS: [&str; 11] = [
        "$defs",
        "callbacks",
        "definitions",
        "dependentSchemas",
        "headers",
        "parameters",
        "pathItems",
        "properties",
        "requestBodies",
        "responses",
        "schemas",
    ];
    at.rsplit('/').next().is_some_and(|name| HOLDERS.contains(&name))
}

/// The place of a member.
pub(super) fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", escaped(name))
}

/// The place of an item.
pub(super) fn item(at: &str, index: usize) -> String {
    format!("{at}/{index}")
}

/// RFC 6901 section 3.
fn escaped(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) { Cow::Owned(name.replace('~', "~0").replace('/', "~1")) } else { Cow::Borrowed(name) }
}

/// RFC 6901 section 4.
pub(super) fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { Cow::Owned(token.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(token) }
}

/// Members of an object; what is no object is told.
pub(super) fn members<'d>(
    json: Option<&'d Json<'static>>,
    at: &str,
    faults: &mut Faults,
) -> &'d [(Cow<'static, str>, Json<'static>)] {
    match json {
        None => &[],
        Some(Json::Object(members)) => members,
        Some(_) => {
            faults.add(at, "is no object");
            &[]
        }
    }
}

/// Items of a list; what is no list is told.
pub(super) fn items<'d>(json: Option<&'d Json<'static>>, at: &str, faults: &mut Faults) -> &'d [Json<'static>] {
    match json {
        None => &[],
        Some(Json::List(items)) => items,
        Some(_) => {
            faults.add(at, "is no list");
            &[]
        }
    }
}

/// A member that is true or false, and false where it is left out.
pub(super) fn flag(json: &Json<'static>, name: &str, at: &str, faults: &mut Faults) -> bool {
    flag_or(json, name, false, at, faults)
}

pub(super) fn flag_or(json: &Json<'static>, name: &str, default: bool, at: &str, faults: &mut Faults) -> bool {
    match json.get(name) {
        None => default,
        Some(Json::Flag(flag)) => *flag,
        Some(_) => {
            faults.add(&below(at, name), "is neither true nor false");
            default
        }
    }
}
