//! Paths of a description: `/polls/{id}`, `/reports/{name}.{format}`.

use std::borrow::Cow;

use crate::spine::route::Segment;

/// A path with parameters. They may be parts of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layers::validate) struct PathTemplate {
    text: Box<str>,
    pub(in crate::layers::validate) segments: Box<[Segment]>,
    /// Segments that are more than one parameter, with their places.
    pub(in crate::layers::validate) mixed: Box<[(usize, Box<[Part]>)]>,
    captures: Box<[(Box<str>, usize)]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::layers::validate) enum Part {
    Literal(Box<str>),
    Name(Box<str>),
}

/// What a parameter stands for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Captured<'a> {
    /// A segment, as it was sent.
    Segment(&'a str),
    /// A part of a segment, decoded.
    Part(Cow<'a, str>),
}

const MAX_BYTES: usize = 2048;
const MAX_SEGMENTS: usize = 64;
const AMBIGUOUS: &str = "the path has a segment that servers read in several ways";

impl PathTemplate {
    /// Reads a path; `base` stands before it.
    pub(super) fn parse(base: &str, path: &str) -> Result<Self, &'static str> {
        let text = format!("{}{path}", base.trim_end_matches('/'));
        let Some(rest) = text.strip_prefix('/') else { return Err("the path does not begin with `/`") };
        if text.len() > MAX_BYTES {
            return Err("the path is longer than 2048 bytes");
        }
        let (mut segments, mut mixed, mut captures) = (Vec::new(), Vec::new(), Vec::new());
        let written: Vec<_> = rest.split('/').collect();
        if written.len() > MAX_SEGMENTS {
            return Err("the path has more than 64 segments");
        }
        let last = written.len() - 1;
        for (at, segment) in written.into_iter().enumerate() {
            if segment.is_empty() && at < last {
                return Err("the path has an empty segment");
            }
            let parts = parts(segment)?;
            if matches!(&parts[..], [Part::Literal(literal)] if matches!(&**literal, "." | "..")) {
                return Err(AMBIGUOUS);
            }
            captures.extend(parts.iter().filter_map(|part| match part {
                Part::Literal(_) => None,
                Part::Name(name) => Some((name.clone(), at)),
            }));
            segments.push(match &parts[..] {
                [] => Segment::Literal("".into()),
                [Part::Literal(literal)] => Segment::Literal(literal.clone()),
                [Part::Name(name)] => Segment::Parameter(name.clone()),
                _ => {
                    mixed.push((at, parts.into_boxed_slice()));
                    Segment::Parameter("".into())
                }
            });
        }
        let repeats =
            |at: usize, name: &str| captures.iter().take(at).any(|(held, _): &(Box<str>, usize)| **held == *name);
        if captures.iter().enumerate().any(|(at, (name, _))| repeats(at, name)) {
            return Err("the path names a parameter twice");
        }
        Ok(Self { text: text.into(), segments: segments.into(), mixed: mixed.into(), captures: captures.into() })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// How much its mixed segments say: in how many, and in how many bytes.
    pub(in crate::layers::validate) fn mixture(&self) -> (usize, usize) {
        let bytes = |part: &Part| if let Part::Literal(literal) = part { literal.len() } else { 0 };
        (self.mixed.len(), self.mixed.iter().flat_map(|(_, parts)| parts).map(bytes).sum())
    }

    /// The names of its parameters.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.captures.iter().map(|(name, _)| &**name)
    }

    /// What is the same in two templates that match the same paths.
    pub(in crate::layers::validate) fn form(&self) -> String {
        let mut form = String::new();
        for (at, segment) in self.segments.iter().enumerate() {
            form.push('/');
            match (segment, self.mixed.iter().find(|(held, _)| *held == at)) {
                (_, Some((_, parts))) => parts.iter().for_each(|part| match part {
                    Part::Literal(literal) => form.push_str(literal),
                    Part::Name(_) => form.push_str("{}"),
                }),
                (Segment::Literal(literal), None) => form.push_str(literal),
                _ => form.push_str("{}"),
            }
        }
        form
    }

    /// Whether the segments that are mixed fit a decoded path, whose other segments do.
    pub(in crate::layers::validate) fn fits(&self, path: &str) -> bool {
        self.mixed.iter().all(|(at, parts)| {
            let segment = path.split('/').nth(*at);
            segment.is_some_and(|segment| captured(parts, segment, None).is_some())
        })
    }

    /// What a parameter stands for in a path that fits, as it was sent; both without their first slash.
    pub(super) fn capture<'a>(&self, path: &'a str, name: &str) -> Option<Captured<'a>> {
        let (_, at) = self.captures.iter().find(|(held, _)| **held == *name)?;
        let segment = path.split('/').nth(*at)?;
        let Some((_, parts)) = self.mixed.iter().find(|(held, _)| held == at) else {
            return Some(Captured::Segment(segment));
        };
        let decoded = percent_encoding::percent_decode_str(segment).decode_utf8().ok()?;
        match decoded {
            Cow::Borrowed(decoded) => captured(parts, decoded, Some(name)).map(|part| Captured::Part(part.into())),
            Cow::Owned(decoded) => {
                captured(parts, &decoded, Some(name)).map(|part| Captured::Part(part.to_owned().into()))
            }
        }
    }
}

/// The parts of a segment: literals, decoded, and names in braces.
fn parts(segment: &str) -> Result<Vec<Part>, &'static str> {
    let mut parts = Vec::new();
    let mut rest = segment;
    while !rest.is_empty() {
        let Some(open) = rest.find('{') else {
            parts.push(literal(rest)?);
            break;
        };
        if open > 0 {
            parts.push(literal(rest.get(..open).unwrap_or_default())?);
        }
        let inner = rest.get(open + 1..).unwrap_or_default();
        let (name, after) = inner.split_once('}').ok_or("the path has a brace that is not closed")?;
        if name.is_empty() || name.contains(['{', '/']) {
            return Err("the path has a parameter without a sound name");
        }
        if matches!(parts.last(), Some(Part::Name(_))) {
            return Err("the path has two parameters with nothing between them");
        }
        parts.push(Part::Name(name.into()));
        rest = after;
    }
    Ok(parts)
}

fn literal(text: &str) -> Result<Part, &'static str> {
    if text.contains(['}', '?', '#', '\\', ' ']) || text.chars().any(char::is_control) {
        return Err("the path has a character that no path has");
    }
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8().map_err(|_| "the path is not UTF-8")?;
    if decoded.contains(['/', '\\', '\0']) {
        return Err(AMBIGUOUS);
    }
    Ok(Part::Literal(decoded.into()))
}

/// What a name stands for in a segment, or nothing in particular, if the segment fits. Each part is as short as it can be.
fn captured<'a>(parts: &[Part], segment: &'a str, name: Option<&str>) -> Option<&'a str> {
    let mut rest = segment;
    let mut found = "";
    let mut parts = parts.iter().peekable();
    while let Some(part) = parts.next() {
        let Part::Name(held) = part else {
            let Part::Literal(literal) = part else { return None };
            rest = rest.strip_prefix(&**literal)?;
            continue;
        };
        let is_before_last = parts.len() == 1;
        let end = match parts.peek() {
            None => rest.len(),
            // What stands last stands at the end.
            Some(Part::Literal(literal)) if is_before_last => rest.strip_suffix(&**literal)?.len(),
            // A part has a character at least.
            Some(Part::Literal(literal)) => {
                let first = rest.chars().next()?.len_utf8();
                first + rest.get(first..)?.find(&**literal)?
            }
            Some(Part::Name(_)) => return None,
        };
        let (value, after) = rest.split_at_checked(end)?;
        if value.is_empty() {
            return None;
        }
        if Some(&**held) == name {
            found = value;
        }
        rest = after;
    }
    rest.is_empty().then_some(found)
}
