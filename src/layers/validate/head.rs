//! Checks of a request's head: everything that can be refused before a byte of the body is asked for.

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use super::breach::{Breach, Check};
use super::limits::Limits;
use crate::spine::path::PathReadings;
use crate::spine::problem::ProblemKind;
use crate::spine::request::{RequestView, method_override};

/// Fields that stand once or not at all; with two, everybody takes another (RFC 9110 section 5.3).
const ONCE: [(HeaderName, &str); 6] = [
    (header::HOST, "host"),
    (header::CONTENT_TYPE, "content-type"),
    (header::CONTENT_LENGTH, "content-length"),
    (header::AUTHORIZATION, "authorization"),
    (header::IF_MODIFIED_SINCE, "if-modified-since"),
    (header::RANGE, "range"),
];

/// Looks at method, target and fields, the cheapest first. `tell` hears of each breach and says whether to go on.
pub(super) fn check(
    request: RequestView<'_>,
    limits: &Limits,
    methods: &[Method],
    tell: &mut dyn FnMut(Breach) -> Result<(), Breach>,
) -> Result<(), Breach> {
    let mut each = |breach: Option<Breach>| breach.map_or(Ok(()), &mut *tell);
    each(method(request.method(), methods))?;
    each(length(request.uri(), limits))?;
    each(path(request.uri()))?;
    each(query(request.uri(), limits))?;
    each(fields(request.headers(), limits))?;
    each(overridden(request))
}

fn method(method: &Method, allowed: &[Method]) -> Option<Breach> {
    let is_allowed = allowed.is_empty() || allowed.contains(method);
    (!is_allowed).then(|| Breach::new(Check::Method, ProblemKind::MethodNotAllowed, "The method is not allowed."))
}

fn length(uri: &Uri, limits: &Limits) -> Option<Breach> {
    let bytes = uri.path_and_query().map_or(0, |target| target.as_str().len());
    (bytes > limits.uri_bytes).then(|| {
        let detail = format!("The target is longer than {} bytes.", limits.uri_bytes);
        Breach::new(Check::UriLength, ProblemKind::UriTooLong, detail)
    })
}

/// A path that two servers may read in two ways is refused, never rewritten: what stands behind would see another one.
fn path(uri: &Uri) -> Option<Breach> {
    let refuse = |detail: &'static str| Some(Breach::new(Check::Path, ProblemKind::BadRequest, detail));
    let path = uri.path();
    // `*` is what OPTIONS may ask about; CONNECT has no path at all.
    if path == "*" || path.is_empty() {
        return None;
    }
    let readings = PathReadings::of(path);
    if !readings.is_plain() {
        return refuse("The path can be read in more than one way.");
    }
    if !path.contains('%') {
        return None;
    }
    match readings.into_plain() {
        None => refuse("The path is not UTF-8."),
        Some(decoded) if decoded.chars().any(char::is_control) => refuse("The path has control characters."),
        Some(decoded) if has_escape(decoded.as_bytes()) => refuse("The path is encoded twice."),
        Some(_) => None,
    }
}

/// Whether something is left that a second decoding would change.
fn has_escape(decoded: &[u8]) -> bool {
    decoded
        .windows(3)
        .any(|three| matches!(three, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

fn query(uri: &Uri, limits: &Limits) -> Option<Breach> {
    let query = uri.query()?;
    let refuse = |detail: String| Some(Breach::new(Check::Query, ProblemKind::BadRequest, detail));
    let mut count = 0;
    for parameter in query.split('&') {
        count += 1;
        if count > limits.query_parameters {
            return refuse(format!("The query has more than {} parameters.", limits.query_parameters));
        }
        if parameter.len() > limits.query_parameter_bytes {
            return refuse(format!("A parameter is longer than {} bytes.", limits.query_parameter_bytes));
        }
        if let Err(detail) = check_encoded(parameter.as_bytes()) {
            return refuse(detail.to_owned());
        }
    }
    None
}

/// A part of a form or query that everybody decodes alike: whole escapes, UTF-8, no control characters but space.
pub(super) fn check_encoded(part: &[u8]) -> Result<(), &'static str> {
    let mut rest = part;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some([high, low]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {}
            _ => return Err("A parameter has a broken escape."),
        }
        rest = rest.get(at + 3..).unwrap_or_default();
    }
    let decoded = percent_encoding::percent_decode(part);
    let text = decoded.decode_utf8().map_err(|_| "A parameter is not UTF-8.")?;
    // Line breaks and tabs are text that people write into forms.
    let is_odd = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.chars().any(is_odd) { Err("A parameter has control characters.") } else { Ok(()) }
}

fn fields(headers: &HeaderMap, limits: &Limits) -> Option<Breach> {
    let too_large = |detail: String| Some(Breach::new(Check::Headers, ProblemKind::HeaderFieldsTooLarge, detail));
    if headers.len() > limits.header_fields {
        return too_large(format!("There are more than {} header fields.", limits.header_fields));
    }
    if headers.values().any(|value| value.len() > limits.header_value_bytes) {
        return too_large(format!("A header field is longer than {} bytes.", limits.header_value_bytes));
    }
    // Most requests have no field twice.
    if headers.len() == headers.keys_len() {
        return None;
    }
    let twice = ONCE.iter().find(|(name, _)| headers.get_all(name).iter().nth(1).is_some());
    twice.map(|(_, name)| {
        Breach::new(Check::Headers, ProblemKind::BadRequest, "A header field stands twice that stands once.")
            .named(name)
    })
}

fn overridden(request: RequestView<'_>) -> Option<Breach> {
    let method = request.method().as_str().as_bytes();
    let is_other = |value: &HeaderValue| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(method);
    let mut overrides = request.headers().iter().filter(|(_, value)| is_other(value));
    let name = overrides.find_map(|(name, _)| method_override(name.as_str()))?;
    let breach = Breach::new(Check::MethodOverride, ProblemKind::BadRequest, "A field names another method.");
    Some(breach.named(name))
}
