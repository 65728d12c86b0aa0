//! Every way in which a server may read a path.

use std::borrow::Cow;

use crate::spine::field::hex;

use super::PathPattern;

/// The longest path whose readings are looked at one by one. A longer one with something suspicious in it is matched
/// by every pattern.
const MAX_SUSPICIOUS_BYTES: usize = 1024;

/// The readings of one path.
#[derive(Debug)]
pub(crate) enum PathReadings<'a> {
    /// Nobody disagrees about it.
    Plain(Cow<'a, [u8]>),
    /// Nobody disagrees about it, but that some servers take the parameters off its segments before they look for a handler.
    WithParameters {
        whole: Cow<'a, [u8]>,
        cut: Vec<Vec<u8>>,
    },
    Several(Vec<Vec<u8>>),
    /// Malformed: it may be read as anything.
    Anything,
}

impl<'a> PathReadings<'a> {
    /// Reads a path.
    pub(crate) fn of(path: &'a str) -> Self {
        let bytes = path.as_bytes();
        if is_clean(bytes) {
            return Self::Plain(Cow::Borrowed(bytes));
        }
        if !is_suspicious(bytes) {
            return Self::agreed(bytes).unwrap_or(Self::Anything);
        }
        // Dots and slashes together mean something else in each order in which a server may resolve them, and two slashes
        // at the beginning may be half a URL.
        if bytes.len() > MAX_SUSPICIOUS_BYTES || is_beyond_reading(bytes) {
            return Self::Anything;
        }
        let mut readings: Vec<Vec<u8>> = Vec::new();
        for escapes in Escapes::every(has_parameters(bytes)) {
            let Some(reading) = decode(bytes, escapes) else { return Self::Anything };
            let reading = normalise(reading, escapes);
            if !readings.contains(&reading) {
                readings.push(reading);
            }
        }
        Self::Several(readings)
    }

    /// A path without what servers read in several ways; `None` when an escape is malformed.
    fn agreed(bytes: &'a [u8]) -> Option<Self> {
        let whole =
            if bytes.contains(&b'%') { Cow::Owned(decode(bytes, Escapes::ALL_LITERAL)?) } else { Cow::Borrowed(bytes) };
        if !has_parameters(bytes) {
            return Some(Self::Plain(whole));
        }
        // Servers take them off before they decode, as they should, or after.
        let mut cut = vec![decode(&without_parameters(bytes), Escapes::ALL_LITERAL)?, without_parameters(&whole)];
        cut.dedup();
        // What is left of a segment that was nothing else is an empty one, which the same servers leave out.
        let collapsed: Vec<_> =
            cut.iter().filter(|reading| reading.windows(2).any(|two| two == b"//")).cloned().collect();
        let collapse = Escapes { slashes_collapsed: true, ..Escapes::ALL_LITERAL };
        cut.extend(collapsed.into_iter().map(|reading| normalise(reading, collapse)));
        cut.retain(|reading| **reading != *whole);
        Some(Self::WithParameters { whole, cut })
    }

    /// The path, decoded, when servers agree about it.
    #[cfg(any(feature = "_auth", feature = "validate"))]
    pub(crate) fn into_plain(self) -> Option<Cow<'a, str>> {
        match self {
            Self::Plain(Cow::Borrowed(path)) | Self::WithParameters { whole: Cow::Borrowed(path), .. } => {
                std::str::from_utf8(path).ok().map(Cow::Borrowed)
            }
            Self::Plain(Cow::Owned(path)) | Self::WithParameters { whole: Cow::Owned(path), .. } => {
                String::from_utf8(path).ok().map(Cow::Owned)
            }
            Self::Several(_) | Self::Anything => None,
        }
    }

    /// What is left of the path, decoded, where a server takes the parameters off its segments; nothing when it has none.
    /// Bytes that are not UTF-8 are kept by replacement characters.
    #[cfg(feature = "_auth")]
    pub(crate) fn without_parameters(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let cut = if let Self::WithParameters { cut, .. } = self { &**cut } else { &[] };
        cut.iter().map(|path| String::from_utf8_lossy(path))
    }

    /// Whether servers agree about the path.
    pub(crate) const fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(_) | Self::WithParameters { .. })
    }

    /// Whether the pattern matches at least one reading.
    pub(crate) fn any(&self, pattern: &PathPattern) -> bool {
        match self {
            Self::Plain(path) => pattern.matches_reading(path),
            Self::WithParameters { whole, cut } => {
                pattern.matches_reading(whole) || cut.iter().any(|path| pattern.matches_reading(path))
            }
            Self::Several(readings) => readings.iter().any(|reading| pattern.matches_reading(reading)),
            Self::Anything => true,
        }
    }

    /// Whether the pattern matches whatever the reading: for a rule that lets through.
    #[cfg(any(feature = "load-shed", feature = "rate-limit"))]
    pub(crate) fn all(&self, pattern: &PathPattern) -> bool {
        match self {
            Self::Plain(path) => pattern.matches_reading(path),
            Self::WithParameters { whole, cut } => {
                pattern.matches_reading(whole) && cut.iter().all(|path| pattern.matches_reading(path))
            }
            Self::Several(readings) => readings.iter().all(|reading| pattern.matches_reading(reading)),
            Self::Anything => false,
        }
    }
}

/// How a reading treats what servers differ about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escapes {
    slashes_decoded: bool,
    backslash_is_slash: bool,
    nul_cuts: bool,
    slashes_collapsed: bool,
    dots_resolved: bool,
    parameters_cut: bool,
}

impl Escapes {
    pub(super) const ALL_LITERAL: Self = Self {
        slashes_decoded: false,
        backslash_is_slash: false,
        nul_cuts: false,
        slashes_collapsed: false,
        dots_resolved: false,
        parameters_cut: false,
    };

    /// Every combination; parameters are cut only where there may be some.
    fn every(has_parameters: bool) -> impl Iterator<Item = Self> {
        (0_u8..if has_parameters { 64 } else { 32 }).map(|bits| Self {
            slashes_decoded: bits & 1 != 0,
            backslash_is_slash: bits & 2 != 0,
            nul_cuts: bits & 4 != 0,
            slashes_collapsed: bits & 8 != 0,
            dots_resolved: bits & 16 != 0,
            parameters_cut: bits & 32 != 0,
        })
    }
}

/// Whether there is nothing in the path that anybody could read in two ways. Nearly all paths end here, so it looks at each
/// byte in the same way, which the compiler makes a few wide steps of.
fn is_clean(path: &[u8]) -> bool {
    let Some((b'/', rest)) = path.split_first() else { return false };
    let is_odd = |odd: bool, byte: &u8| odd | (*byte == b'%') | (*byte == b'\\') | (*byte == b';');
    // A dot segment or an empty one begins behind a slash.
    let begins_oddly =
        |odd: bool, (byte, next): (&u8, &u8)| odd | ((*byte == b'/') & ((*next == b'/') | (*next == b'.')));
    !rest.iter().fold(false, is_odd) && !path.iter().zip(rest).fold(false, begins_oddly)
}

/// Whether servers may disagree about the path.
fn is_suspicious(path: &[u8]) -> bool {
    let mut bytes = path;
    // A dot segment needs a slash before it, which may be written in any of these ways.
    while let Some((byte, rest)) = bytes.split_first() {
        let odd = match byte {
            b'\\' => true,
            b'/' => {
                matches!(
                    rest,
                    [b'/', ..] | [b'.'] | [b'.', b'.' | b'/' | b'%' | b';', ..] | [b'%', b'2', b'e' | b'E', ..]
                )
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

/// Whether a segment may have parameters (RFC 3986 section 3.3).
fn has_parameters(path: &[u8]) -> bool {
    path.contains(&b';') || path.windows(3).any(|part| part.eq_ignore_ascii_case(b"%3b"))
}

/// The path with its segments' parameters taken off.
fn without_parameters(path: &[u8]) -> Vec<u8> {
    let cut = |segment: &'_ [u8]| segment.iter().position(|byte| *byte == b';').unwrap_or(segment.len());
    let segments: Vec<&[u8]> =
        path.split(|byte| *byte == b'/').map(|segment| segment.get(..cut(segment)).unwrap_or(segment)).collect();
    segments.join(&b'/')
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
pub(super) fn decode(path: &[u8], escapes: Escapes) -> Option<Vec<u8>> {
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

fn normalise(path: Vec<u8>, escapes: Escapes) -> Vec<u8> {
    let path = if escapes.parameters_cut { without_parameters(&path) } else { path };
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
