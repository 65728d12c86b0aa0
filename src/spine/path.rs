//! Path patterns, and every way in which a server may read a path.
//!
//! A rule that is bound to a path must not be escaped by writing the path another way. What a backend makes of `//`,
//! `%2F` or `..` is its own affair, so a path with such things is taken in all its readings, and a pattern matches it
//! when it matches any of them.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use crate::spine::config::ConfigError;

/// A pattern for request paths: `*` is one segment, `**` any number of them, none included.
///
/// Percent-escapes are decoded on both sides, and a slash at the end makes no difference. `/api/**` matches `/api` too.
/// A path with dot segments, `//`, `%2F`, `%5C` or `%00` is matched in every reading that a server may have of it, and
/// one with a malformed escape is matched by every pattern.
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
/// The longest path whose readings are looked at one by one. A longer one with something suspicious in it is matched
/// by every pattern.
const MAX_SUSPICIOUS_BYTES: usize = 1024;

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
                _ if segment.contains('*') => Err(refuse("mixes `*` with text in one segment")),
                _ => decode(segment.as_bytes(), Escapes::ALL_LITERAL)
                    .map(|literal| Segment::Literal(literal.into()))
                    .ok_or_else(|| refuse("has a malformed escape")),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), segments: segments.into() })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// How a reading treats what servers differ about.
#[derive(Debug, Clone, Copy)]
struct Escapes {
    slashes_decoded: bool,
    backslash_is_slash: bool,
    nul_cuts: bool,
    slashes_collapsed: bool,
    dots_resolved: bool,
}

impl Escapes {
    const ALL_LITERAL: Self = Self {
        slashes_decoded: false,
        backslash_is_slash: false,
        nul_cuts: false,
        slashes_collapsed: false,
        dots_resolved: false,
    };

    /// Every combination.
    fn every() -> impl Iterator<Item = Self> {
        (0_u8..32).map(|bits| Self {
            slashes_decoded: bits & 1 != 0,
            backslash_is_slash: bits & 2 != 0,
            nul_cuts: bits & 4 != 0,
            slashes_collapsed: bits & 8 != 0,
            dots_resolved: bits & 16 != 0,
        })
    }
}

/// The readings of one path.
#[derive(Debug)]
pub(crate) enum PathReadings<'a> {
    /// Nobody disagrees about it.
    Plain(Cow<'a, [u8]>),
    Several(Vec<Vec<u8>>),
    /// Malformed: it may be read as anything.
    Anything,
}

impl<'a> PathReadings<'a> {
    /// Reads a path.
    pub(crate) fn of(path: &'a str) -> Self {
        let bytes = path.as_bytes();
        if !is_suspicious(bytes) {
            return if bytes.contains(&b'%') {
                decode(bytes, Escapes::ALL_LITERAL).map_or(Self::Anything, |path| Self::Plain(Cow::Owned(path)))
            } else {
                Self::Plain(Cow::Borrowed(bytes))
            };
        }
        // Dots and slashes together mean something else in each order in which a server may resolve them, and two slashes
        // at the beginning may be half a URL.
        if bytes.len() > MAX_SUSPICIOUS_BYTES || is_beyond_reading(bytes) {
            return Self::Anything;
        }
        let mut readings: Vec<Vec<u8>> = Vec::new();
        for escapes in Escapes::every() {
            let Some(reading) = decode(bytes, escapes) else { return Self::Anything };
            let reading = normalise(reading, escapes);
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        Self::Several(readings)
    }

    /// The path, decoded, when servers agree about it.
    #[cfg(any(feature = "_auth", feature = "validate"))]
    pub(crate) fn into_plain(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Plain(Cow::Borrowed(path)) => std::str::from_utf8(path).ok().map(Cow::Borrowed),
            Self::Plain(Cow::Owned(path)) => String::from_utf8(path).ok().map(Cow::Owned),
            Self::Several(_) | Self::Anything => None,
        }
    }

    /// Whether servers agree about the path.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whether the pattern matches at least one reading.
    pub(crate) fn any(&self, pattern: &PathPattern) -> bool {
        match self {
            Self::Plain(path) => pattern.matches_reading(path),
            Self::Several(readings) => readings.iter().any(|reading| pattern.matches_reading(reading)),
            Self::Anything => true,
        }
    }

    /// Whether the pattern matches whatever the reading: for a rule that lets through.
    #[cfg(any(feature = "load-shed", feature = "rate-limit"))]
    pub(crate) fn all(&self, pattern: &PathPattern) -> bool {
        match self {
            Self::Plain(path) => pattern.matches_reading(path),
            Self::Several(readings) => readings.iter().all(|reading| pattern.matches_reading(reading)),
            Self::Anything => false,
        }
    }
}

/// Whether servers may disagree about the path.
fn is_suspicious(path: &[u8]) -> bool {
    let mut bytes = path;
    // A dot segment needs a slash before it, which may be written in any of these ways.
    while let Some((byte, rest)) = bytes.split_first() {
        let odd = match byte {
            b'\\' => true,
            b'/' => {
                matches!(rest, [b'/', ..] | [b'.'] | [b'.', b'.' | b'/' | b'%', ..] | [b'%', b'2', b'e' | b'E', ..])
            }
            b'%' => matches!(rest, [b'2', b'f' | b'F', ..] | [b'5', b'c' | b'C', ..] | [b'0', b'0', ..]),
            _ => false,
        };
        if odd {
            return true;
        }
        bytes = rest;
    }
    !path.starts_with(b"/")
}

/// Whether a path has more readings than those that are tried: it begins with two slashes, or has dot segments and
/// slashes that servers differ about, however they are written.
fn is_beyond_reading(path: &[u8]) -> bool {
    let Some(decoded) =
        decode(path, Escapes { slashes_decoded: true, backslash_is_slash: true, ..Escapes::ALL_LITERAL })
    else {
        return false;
    };
    // Where two slashes come first, some servers take what follows for a host.
    if decoded.starts_with(b"//") {
        return true;
    }
    let has_dots = decoded.split(|byte| matches!(byte, b'/' | 0)).any(|segment| segment == b"." || segment == b"..");
    let odd: [&[u8]; 6] = [b"//", b"\\", b"%2F", b"%2f", b"%5", b"%00"];
    has_dots && odd.iter().any(|odd| path.windows(odd.len()).any(|part| part == *odd))
}

/// Decodes escapes; `None` when one is malformed. `%2F` and `%5C` stay as they are where slashes are not decoded.
fn decode(path: &[u8], escapes: Escapes) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => {
                let (high, low) = (hex(*bytes.next()?)?, hex(*bytes.next()?)?);
                let decoded_byte = high << 4 | low;
                if !escapes.slashes_decoded && b"/\\".contains(&decoded_byte) {
                    // One spelling of the escape, so that patterns and paths agree.
                    decoded.extend_from_slice(if decoded_byte == b'/' { b"%2F" } else { b"%5C" });
                    continue;
                }
                decoded_byte
            }
            byte => *byte,
        };
        match byte {
            0 if escapes.nul_cuts => break,
            b'\\' if escapes.backslash_is_slash => decoded.push(b'/'),
            byte => decoded.push(byte),
        }
    }
    Some(decoded)
}

const fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

fn normalise(path: Vec<u8>, escapes: Escapes) -> Vec<u8> {
    if !escapes.slashes_collapsed && !escapes.dots_resolved {
        return path;
    }
    let mut segments: Vec<&[u8]> = Vec::new();
    let inner = path.strip_prefix(b"/").unwrap_or(&path);
    for segment in inner.split(|byte| *byte == b'/') {
        match segment {
            b"" if escapes.slashes_collapsed => {}
            b"." if escapes.dots_resolved => {}
            b".." if escapes.dots_resolved => {
                segments.pop();
            }
            segment => segments.push(segment),
        }
    }
    let mut normal = vec![b'/'];
    normal.extend(segments.join(&b'/'));
    normal
}
