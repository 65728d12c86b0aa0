//! Cookies, read in one way by whoever looks for one: what a layer takes a token from, a limit must find too.

use http::{HeaderMap, header};

/// The cookies of a request, in all of its fields (RFC 6265 section 4.2.1, RFC 9113 section 8.2.3), as they are written.
pub(crate) fn pairs(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let fields = headers.get_all(header::COOKIE).iter();
    let pairs = fields.flat_map(|field| field.as_bytes().split(|byte| *byte == b';'));
    pairs.map(<[u8]>::trim_ascii).filter(|pair| !pair.is_empty())
}

/// A cookie's name and value, without the spaces around its name (RFC 6265 section 5.2); `None` where it has no name.
pub(crate) fn name_and_value(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    let (name, value) = pair.split_at(equals);
    Some((name.trim_ascii(), value.get(1..).unwrap_or_default()))
}
