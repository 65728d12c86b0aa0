//! The credential of a request, as it was sent.

use http::{HeaderMap, HeaderValue, header};

/// What a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    None,
    Bearer(&'a [u8]),
    ApiKey(&'a [u8]),
    /// A scheme that is not known here, or a field that cannot be read.
    Unknown,
    /// More than one.
    Several,
}

pub(super) const API_KEY: &str = "x-api-key";

impl<'a> Credential<'a> {
    /// Looks at the fields that carry credentials. One request carries one: with two, somebody between here and the
    /// client may have looked at the other.
    pub(super) fn of(headers: &'a HeaderMap) -> Self {
        let mut authorizations = headers.get_all(header::AUTHORIZATION).iter();
        let mut api_keys = headers.get_all(API_KEY).iter();
        match (authorizations.next(), api_keys.next()) {
            (None, None) => Self::None,
            (Some(_), Some(_)) => Self::Several,
            (Some(_), None) if authorizations.next().is_some() => Self::Several,
            (None, Some(_)) if api_keys.next().is_some() => Self::Several,
            (Some(authorization), None) => bearer(authorization),
            (None, Some(key)) => Self::ApiKey(key.as_bytes()),
        }
    }
}

/// `Bearer`, in any case, and one token after spaces (RFC 6750 section 2.1, RFC 9110 section 11.1).
fn bearer(field: &HeaderValue) -> Credential<'_> {
    const SCHEME: &[u8] = b"bearer ";
    match field.as_bytes().split_at_checked(SCHEME.len()) {
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case(SCHEME) => {
            let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
            Credential::Bearer(rest.get(spaces..).unwrap_or_default())
        }
        _ => Credential::Unknown,
    }
}
