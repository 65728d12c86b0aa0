//! Content types and encodings.

use std::fmt;
use std::str::FromStr;

use http::{HeaderMap, header};

use super::breach::{Breach, Check};
use crate::spine::coding::Coding;
use crate::spine::config::ConfigError;
use crate::spine::field;
use crate::spine::problem::ProblemKind;
use crate::spine::request::Protocol;

/// A media type that bodies may have (RFC 9110 section 8.3.1): `application/json`, `application/*+json`, `image/*`.
///
/// ```
/// use tower_rampart::validate::MediaType;
///
/// let json: MediaType = "application/json".parse()?;
/// assert!("application".parse::<MediaType>().is_err());
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType(Box<str>);

impl MediaType {
    fn matches(&self, essence: &str) -> bool {
        match self.0.split_once('*') {
            None => self.0.eq_ignore_ascii_case(essence),
            Some((before, after)) => {
                let ends = |text: &str, end: &str| {
                    text.len() >= end.len()
                        && text.get(text.len() - end.len()..).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
                };
                let starts = essence.get(..before.len()).is_some_and(|head| head.eq_ignore_ascii_case(before));
                starts && ends(essence.get(before.len()..).unwrap_or_default(), after)
            }
        }
    }
}

impl FromStr for MediaType {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let is_sound = text.split_once('/').is_some_and(|(kind, subtype)| {
            is_token(kind) && is_token(subtype) && !kind.contains('*') && subtype.matches('*').count() < 2
        });
        if is_sound {
            return Ok(Self(text.to_ascii_lowercase().into()));
        }
        Err(ConfigError::new(
            "content_types",
            text,
            "is no media type",
            "write one such as `application/json` or `image/*`",
        ))
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

pub(super) fn is_token(text: &str) -> bool {
    field::is_token(text.as_bytes())
}

/// What kind of body it is, as far as this layer reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyKind {
    Json,
    Form,
    Multipart,
    /// Of gRPC, which no route expects elsewhere.
    Grpc,
    Other,
    /// There may be none, and only reading tells whether there is: HTTP/2 and chunked bodies need not say how long they are.
    Nothing,
}

/// The type that a body says it has: there is one, it can be read, and its charset is UTF-8.
pub(super) fn kind_of(headers: &HeaderMap, allowed: &[MediaType]) -> Result<BodyKind, Breach> {
    let refuse = |detail: &'static str| {
        Err(Breach::new(Check::ContentType, ProblemKind::UnsupportedMediaType, detail).named("content-type"))
    };
    let mut fields = headers.get_all(header::CONTENT_TYPE).iter();
    let Some(field) = fields.next() else { return refuse("The body has no content type.") };
    if fields.next().is_some() {
        return refuse("There is more than one content type.");
    }
    let Ok(field) = field.to_str() else { return refuse("The content type cannot be read.") };
    let essence = match take_type(field) {
        Ok(essence) => essence,
        Err(detail) => return refuse(detail),
    };
    if !allowed.is_empty() && !allowed.iter().any(|allowed| allowed.matches(essence)) {
        return refuse("The content type is not taken here.");
    }
    Ok(kind(essence, headers))
}

/// The type of a field, without its parameters; the charset among them is UTF-8, if there is one.
pub(super) fn take_type(field: &str) -> Result<&str, &'static str> {
    let mut parts = parts(field).map(str::trim);
    let essence = parts.next().unwrap_or_default();
    if !essence.split_once('/').is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype)) {
        return Err("The content type cannot be read.");
    }
    let mut charsets = parts.filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then(|| value.trim().trim_matches('"'))
    });
    let charset = charsets.next();
    if charsets.next().is_some() || charset.is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8")) {
        return Err("The charset is not UTF-8.");
    }
    Ok(essence)
}

/// The boundary of a multipart body (RFC 2046 section 5.1.1): one, of at most 70 characters, the last of which is no space.
/// Quotes, which some must have, are taken off; escapes within them are read in two ways.
pub(super) fn boundary(headers: &HeaderMap) -> Option<&str> {
    let field = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let mut boundaries = parts(field).skip(1).filter_map(|part| {
        let (name, value) = part.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim())
    });
    let value = boundaries.next().filter(|_| boundaries.next().is_none())?;
    let boundary = match value.strip_prefix('"') {
        Some(quoted) => quoted.strip_suffix('"')?,
        None if value.contains(' ') => return None,
        None => value,
    };
    let is_taken = |byte: u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(&byte);
    let is_sound = (1..=70).contains(&boundary.len()) && boundary.bytes().all(is_taken) && !boundary.ends_with(' ');
    is_sound.then_some(boundary)
}

/// What stands between semicolons, but for those in quoted strings (RFC 9110 section 5.6.4).
pub(super) fn parts(field: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    field.split(move |c| {
        let was_escaped = std::mem::take(&mut is_escaped);
        match c {
            '\\' if is_quoted && !was_escaped => is_escaped = true,
            '"' if !was_escaped => is_quoted = !is_quoted,
            _ => {}
        }
        c == ';' && !is_quoted
    })
}

fn kind(essence: &str, headers: &HeaderMap) -> BodyKind {
    let is = |name: &str| essence.eq_ignore_ascii_case(name);
    let is_suffixed =
        essence.len() > 5 && essence.get(essence.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json"));
    if is("application/json") || is_suffixed {
        BodyKind::Json
    } else if is("application/x-www-form-urlencoded") {
        BodyKind::Form
    } else if is("multipart/form-data") {
        BodyKind::Multipart
    } else if Protocol::of_headers(headers) == Protocol::Grpc && !is_grpc_text(essence) {
        BodyKind::Grpc
    } else {
        BodyKind::Other
    }
}

/// gRPC-Web's other way of writing messages: base64, in which no length stands where it is looked for.
fn is_grpc_text(essence: &str) -> bool {
    const TEXT: &str = "application/grpc-web-text";
    essence.get(..TEXT.len()).is_some_and(|start| start.eq_ignore_ascii_case(TEXT))
}

/// Whether a body is encoded in a way that is taken (RFC 9110 section 8.4): as it is, unless more is said, and never twice.
pub(super) fn check_encoding(headers: &HeaderMap, allowed: &[Box<str>]) -> Option<Breach> {
    let mut count = 0;
    let mut is_taken = |coding: &str| {
        if coding.is_empty() || coding.eq_ignore_ascii_case("identity") {
            return true;
        }
        count += 1;
        count == 1 && allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(coding))
    };
    let mut fields = headers.get_all(header::CONTENT_ENCODING).iter();
    let is_sound =
        fields.all(|field| field.to_str().is_ok_and(|field| field.split(',').map(str::trim).all(&mut is_taken)));
    (!is_sound).then(|| {
        let detail = "The content encoding is not taken here.";
        Breach::new(Check::ContentEncoding, ProblemKind::UnsupportedMediaType, detail).named("content-encoding")
    })
}

/// How a body is to be undone that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coded {
    AsItIs,
    By(Coding),
    /// Nobody here can, or it is said in a way that not everybody understands.
    Unknown,
}

/// What a body says of its encoding.
pub(super) fn coded(headers: &HeaderMap) -> Coded {
    let mut fields = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(field) = fields.next() else { return Coded::AsItIs };
    match (field.to_str(), fields.next()) {
        (Ok(name), None) if name.is_empty() || name.eq_ignore_ascii_case("identity") => Coded::AsItIs,
        (Ok(name), None) => Coding::of(name).map_or(Coded::Unknown, Coded::By),
        _ => Coded::Unknown,
    }
}
