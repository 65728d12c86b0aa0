//! The credential of a request, as it was sent, and where it may stand.

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, header};

use crate::spine::cookie;
use crate::spine::field;
use crate::spine::request::RequestView;

/// What a request carries.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Credential<'a> {
    None,
    Bearer(&'a [u8], Place),
    Basic(&'a [u8]),
    ApiKey(&'a [u8]),
    /// A scheme that is not known here, or a field that cannot be read.
    Unknown,
    /// More than one.
    Several,
    /// One that a browser adds by itself, on a request that another site may have made it send.
    CrossSite,
}

/// Where a token stood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Header,
    Cookie,
    WebSocket,
    Query,
}

/// Where tokens may stand, beside `Authorization`.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// The cookie's name.
    pub(super) cookie: Option<Box<str>>,
    /// What a WebSocket protocol that is a token begins with.
    pub(super) websocket: Option<Box<str>>,
    /// The parameter's name.
    pub(super) query: Option<Box<str>>,
}

pub(super) const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
const PROTOCOL: HeaderName = header::SEC_WEBSOCKET_PROTOCOL;

impl<'a> Credential<'a> {
    /// One more credential. A request carries one: with two, somebody between here and the client may have looked at the
    /// other.
    fn and(self, other: Self) -> Self {
        if self == Self::None { other } else { Self::Several }
    }
}

impl Places {
    /// Looks at all places where a credential may stand.
    pub(super) fn find<'a>(&self, request: RequestView<'a>) -> Credential<'a> {
        let headers = request.headers();
        let mut found = Credential::None;
        for field in headers.get_all(header::AUTHORIZATION) {
            found = found.and(authorization(field));
        }
        for key in headers.get_all(API_KEY) {
            found = found.and(Credential::ApiKey(key.as_bytes()));
        }
        if let Some(name) = &self.cookie {
            let held = cookie::pairs(headers).filter_map(cookie::name_and_value);
            for (_, token) in held.filter(|(held, _)| *held == name.as_bytes()) {
                let is_ours = is_safe(request) || is_same_origin(headers);
                found =
                    found.and(if is_ours { Credential::Bearer(token, Place::Cookie) } else { Credential::CrossSite });
            }
        }
        if let Some(prefix) = &self.websocket {
            for token in protocols(headers).filter_map(|protocol| protocol.strip_prefix(prefix.as_bytes())) {
                found = found.and(Credential::Bearer(token, Place::WebSocket));
            }
        }
        if let Some(name) = &self.query {
            for token in parameters(request.uri()).filter_map(|parameter| value_of(parameter, name)) {
                found = found.and(Credential::Bearer(token.as_bytes(), Place::Query));
            }
        }
        found
    }

    /// Takes the credential off a request, wherever one may stand.
    pub(super) fn strip<B>(&self, request: &mut Request<B>) {
        request.headers_mut().remove(header::AUTHORIZATION);
        request.headers_mut().remove(API_KEY);
        if let Some(name) = &self.cookie {
            let is_other = |pair: &&[u8]| cookie::name_and_value(pair).is_none_or(|(held, _)| held != name.as_bytes());
            let left: Vec<_> = cookie::pairs(request.headers()).filter(is_other).collect();
            let left = left.join(&b"; "[..]);
            replace(request.headers_mut(), header::COOKIE, &left);
        }
        if let Some(prefix) = &self.websocket {
            let left: Vec<_> =
                protocols(request.headers()).filter(|protocol| !protocol.starts_with(prefix.as_bytes())).collect();
            let left = left.join(&b", "[..]);
            replace(request.headers_mut(), PROTOCOL, &left);
        }
        if let Some(name) = &self.query {
            without_parameter(request.uri_mut(), name);
        }
    }
}

/// `Bearer` or `Basic`, in any case, and what follows after spaces (RFC 6750 section 2.1, RFC 9110 section 11.1).
fn authorization(field: &HeaderValue) -> Credential<'_> {
    let bytes = field.as_bytes();
    let Some(end) = bytes.iter().position(|byte| *byte == b' ') else { return Credential::Unknown };
    let (scheme, rest) = bytes.split_at(end);
    let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
    let rest = rest.get(spaces..).unwrap_or_default();
    if scheme.eq_ignore_ascii_case(b"bearer") {
        Credential::Bearer(rest, Place::Header)
    } else if scheme.eq_ignore_ascii_case(b"basic") {
        Credential::Basic(rest)
    } else {
        Credential::Unknown
    }
}

/// The protocols that a WebSocket client offers (RFC 6455 section 11.3.4).
fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    field::list(headers, &PROTOCOL)
}

fn parameters(uri: &Uri) -> impl Iterator<Item = &str> {
    uri.query().unwrap_or_default().split('&')
}

fn value_of<'a>(parameter: &'a str, name: &str) -> Option<&'a str> {
    parameter.split_once('=').filter(|(held, _)| *held == name).map(|(_, value)| value)
}

/// Whether a request changes nothing, as far as HTTP knows (RFC 9110 section 9.2.1). A WebSocket's handshake is a GET, and
/// opens a way to change everything.
fn is_safe(request: RequestView<'_>) -> bool {
    let is_safe = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    is_safe && !request.headers().contains_key(header::UPGRADE)
}

/// Whether a browser says that a page of this origin made it send the request (Fetch Metadata). What says nothing is no
/// browser of our days, or was kept from saying it.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    sites.next().is_some_and(|site| site == "same-origin") && sites.next().is_none()
}

/// Puts a value in the place of all of a field's, or takes the field away.
fn replace(headers: &mut HeaderMap, name: HeaderName, value: &[u8]) {
    match HeaderValue::from_bytes(value) {
        Ok(value) if !value.is_empty() => {
            headers.insert(name, value);
        }
        _ => {
            headers.remove(name);
        }
    }
}

fn without_parameter(uri: &mut Uri, name: &str) {
    let left: Vec<_> = parameters(uri).filter(|parameter| value_of(parameter, name).is_none()).collect();
    let path = if left.iter().all(|parameter| parameter.is_empty()) {
        uri.path().to_owned()
    } else {
        format!("{}?{}", uri.path(), left.join("&"))
    };
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = PathAndQuery::try_from(path).ok();
    // Part of a target is a target.
    *uri = Uri::from_parts(parts).unwrap_or_default();
}
