//! Path patterns, and every way in which a server may read a path.
//!
//! A rule that is bound to a path must not be escaped by writing the path another way. What a backend makes of `//`,
//! `%2F` or `..` is its own affair, so a path with such things is taken in all its readings, and a pattern matches it
//! when it matches any of them.

mod readings;

use std::fmt;
use std::str::FromStr;

pub(crate) use self::readings::PathReadings;
use self::readings::{Escapes, decode};
use crate::spine::config::ConfigError;

/// A pattern for request paths: `*` is one segment, `**` any number of them, none included. As routers write it, `{id}` is one
/// segment too, and `{*rest}` any number.
///
/// Percent-escapes are decoded on both sides, and a slash at the end makes no difference. `/api/**` matches `/api` too.
/// A path with dot segments, `//`, `%2F`, `%5C` or `%00` is matched in every reading that a server may have of it, one with
/// path parameters (`/polls;v=1`, RFC 3986 section 3.3) with and without them, and one with a malformed escape is matched by
/// every pattern.
///
/// ```
/// use tower_rampart::PathPattern;
///
/// let polls: PathPattern = "/v1/polls/*/votes".parse()?;
/// assert!(polls.matches("/v1/polls/17/votes"));
/// assert!(polls.matches("/v1/x/../polls/17/%76otes"));
/// assert!(!polls.matches("/v1/polls/votes"));
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: Box<str>,
    segments: Box<[Segment]>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Literal(Box<[u8]>),
    One,
    Any,
}

/// The most bytes of a pattern.
const MAX_PATTERN_BYTES: usize = 1024;

impl PathPattern {
    /// Whether any reading of the path is matched.
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        PathReadings::of(path).any(self)
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    fn matches_reading(&self, reading: &[u8]) -> bool {
        // `/**` is asked for most.
        if matches!(*self.segments, [Segment::Any]) {
            return true;
        }
        let trimmed = reading.strip_prefix(b"/").unwrap_or(reading);
        // Most patterns and paths part at the first segment.
        if let [Segment::Literal(literal), ..] = &*self.segments
            && !trimmed.starts_with(literal)
        {
            return false;
        }
        let trimmed = trimmed.strip_suffix(b"/").unwrap_or(trimmed);
        matches_segments(&self.segments, Some(trimmed).filter(|path| !path.is_empty()))
    }
}

/// `rest` is what is left of the path, without its leading slash; `None` when nothing is.
///
/// The leftmost match of what stands between two `**` is as good as any other, so only the last `**` is ever resumed:
/// the work is at most the path's segments times the pattern's.
fn matches_segments(pattern: &[Segment], rest: Option<&[u8]>) -> bool {
    let (mut pattern, mut rest) = (pattern, rest);
    let mut resume: Option<(&[Segment], Option<&[u8]>)> = None;
    loop {
        if let Some((Segment::Any, others)) = pattern.split_first() {
            resume = Some((others, rest));
            pattern = others;
            continue;
        }
        match (pattern.split_first(), rest) {
            (None, None) => return true,
            (Some((first, others)), Some(path)) => {
                let (segment, after) = split_segment(path);
                if first.fits(segment) {
                    (pattern, rest) = (others, after);
                    continue;
                }
            }
            (Some(_), None) | (None, Some(_)) => {}
        }
        // What follows the last `**` begins one segment later.
        let Some((others, Some(path))) = resume else { return false };
        let (_, after) = split_segment(path);
        resume = Some((others, after));
        (pattern, rest) = (others, after);
    }
}

impl Segment {
    fn fits(&self, segment: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => **literal == *segment,
            Self::One => !segment.is_empty(),
            Self::Any => true,
        }
    }
}

fn split_segment(path: &[u8]) -> (&[u8], Option<&[u8]>) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..)),
        None => (path, None),
    }
}

impl FromStr for PathPattern {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let refuse = |breach: &'static str| {
            ConfigError::new("paths", text, breach, "write one such as `/login`, `/polls/*/votes` or `/api/**`")
        };
        if text.len() > MAX_PATTERN_BYTES {
            return Err(refuse("is longer than 1024 bytes"));
        }
        let Some(path) = text.strip_prefix('/') else { return Err(refuse("does not begin with `/`")) };
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || b"?#".contains(&byte)) {
            return Err(refuse("holds what no path holds"));
        }
        let path = path.strip_suffix('/').unwrap_or(path);
        let segments = if path.is_empty() { Vec::new() } else { path.split('/').collect() };
        let segments: Vec<_> = segments
            .into_iter()
            .map(|segment| match segment {
                "" => Err(refuse("has an empty segment")),
                "." | ".." => Err(refuse("has a dot segment")),
                "**" => Ok(Segment::Any),
                "*" => Ok(Segment::One),
                // What no path holds would match nothing, and a limit on it would limit nobody.
                _ if segment.starts_with(':') => {
                    Err(ConfigError::new("paths", text, "has a parameter with a colon", COLON))
                }
                _ if segment.contains(['{', '}']) => parameter(segment)
                    .ok_or_else(|| refuse("mixes a parameter with text in one segment, or does not name it")),
                _ if segment.contains('*') => Err(refuse("mixes `*` with text in one segment")),
                _ => decode(segment.as_bytes(), Escapes::ALL_LITERAL)
                    .map(|literal| Segment::Literal(literal.into()))
                    .ok_or_else(|| refuse("has a malformed escape")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), segments: segments.into() })
    }
}

const COLON: &str = "write `*` or `{id}` for one segment; a colon that is meant is `%3A`";

/// What routers write for `*` and `**`.
fn parameter(segment: &str) -> Option<Segment> {
    let inner = segment.strip_prefix('{')?.strip_suffix('}')?;
    let (name, made) = inner.strip_prefix('*').map_or((inner, Segment::One), |name| (name, Segment::Any));
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_name.then_some(made)
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
