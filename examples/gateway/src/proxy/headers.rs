//! What the upstream and the client get to see of each other's fields.

use std::net::IpAddr;

use http::header::{
    AGE, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE,
    EXPIRES, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE, VARY, VIA,
};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};
use tower_rampart::key::{PeerAddr, SecureTransport};
use tower_rampart::{Identity, RequestId, RequestView};

use crate::pipeline::REQUEST_ID;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// RFC 9110 section 7.6.1, and the fields of a proxy's own authentication (section 11.7).
const HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Who the client is by address: fields of one request, in no key of the cache.
const ADDRESSES: [HeaderName; 4] =
    [X_FORWARDED_FOR, FORWARDED, HeaderName::from_static("x-real-ip"), HeaderName::from_static("cf-connecting-ip")];

/// Writes what the upstream may rely on. What could strip it or contradict it has gone when the request came.
pub fn rewrite_request<B>(request: &mut Request<B>, forward_credentials: bool) {
    let view = RequestView::of(request);
    let identity = Identity::of(view).cloned();
    let peer = PeerAddr::of(view).map(PeerAddr::ip);
    let id = RequestId::of(view);
    let is_secure = request.extensions().get::<SecureTransport>().is_some();
    let via = if request.version() == Version::HTTP_2 { "2 tower-rampart" } else { "1.1 tower-rampart" };

    let headers = request.headers_mut();
    if let Some(identity) = identity {
        if !forward_credentials {
            headers.remove(AUTHORIZATION);
            headers.remove("x-api-key");
        }
        state_identity(headers, &identity);
    }
    let proto = if is_secure { "https" } else { "http" };
    match peer {
        Some(peer) => {
            join(headers, &X_FORWARDED_FOR, &peer.to_string());
            if headers.contains_key(FORWARDED) {
                join(headers, &FORWARDED, &forwarded_element(peer, proto));
            }
        }
        // The cache refreshes what it has, for everybody: nobody is to know who asked first.
        None => {
            for name in &ADDRESSES {
                headers.remove(name);
            }
        }
    }
    if !keeps_proto(headers) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(proto));
    }
    if let Some(id) = id {
        headers.insert(REQUEST_ID, id.as_header_value().clone());
    }
    headers.append(VIA, HeaderValue::from_static(via));
}

/// Fields without which a message means another one: RFC 9110 section 7.6.1 lets `Connection` name none that is for all who
/// receive it.
const FOR_ALL: [HeaderName; 10] = [
    HOST,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    CONTENT_RANGE,
    CACHE_CONTROL,
    EXPIRES,
    AGE,
    VARY,
    HeaderName::from_static("cdn-cache-control"),
];

/// Removes what was the upstream's hop.
pub fn rewrite_response(headers: &mut HeaderMap) {
    if headers.contains_key(TRANSFER_ENCODING) {
        // RFC 9112 section 6.3: the body ended where its coding said, and what goes on must not say otherwise.
        headers.remove(CONTENT_LENGTH);
    }
    strip_hop_by_hop(headers, |_| false);
}

/// Removes this hop's fields, and those that `Connection` names unless it cannot have them.
pub fn strip_hop_by_hop(headers: &mut HeaderMap, is_kept: impl Fn(&HeaderName) -> bool) {
    let named: Vec<HeaderName> = tokens(headers, &CONNECTION)
        .filter_map(|token| HeaderName::from_bytes(token).ok())
        .filter(|name| !FOR_ALL.contains(name) && !is_kept(name))
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

/// What the upstream may rely on about the caller.
fn state_identity(headers: &mut HeaderMap, identity: &Identity) {
    // What servers cut off at the ends of a field, or of a list's entry, would make another name of it.
    let is_whole = |text: &str| !text.is_empty() && text.trim() == text;
    // A list in one field has no room for names with commas.
    let is_plain = |role: &&str| is_whole(role) && !role.chars().any(|c| c == ',' || c.is_control());
    let roles: Vec<_> = identity.roles().filter(is_plain).collect();
    let fields = [
        ("x-auth-subject", identity.subject().to_owned()),
        ("x-auth-issuer", identity.issuer().to_owned()),
        ("x-auth-roles", roles.join(",")),
    ];
    for (name, value) in fields.into_iter().filter(|(name, value)| *name == "x-auth-roles" || is_whole(value)) {
        if let Ok(value) = HeaderValue::try_from(value.into_bytes()) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
}

/// Whether a field states who the caller is, in any spelling that a server may read so.
pub fn is_identity(name: &HeaderName) -> bool {
    begins_with(name, "x-auth-")
}

/// Some servers read `_` as `-`, so names are compared that way.
pub fn begins_with(name: &HeaderName, beginning: &str) -> bool {
    let mut read = name.as_str().bytes().map(|byte| if byte == b'_' { b'-' } else { byte });
    beginning.bytes().all(|expected| read.next() == Some(expected))
}

/// Appends to the list that is there, as one line: many servers read the first line alone.
fn join(headers: &mut HeaderMap, name: &HeaderName, element: &str) {
    let mut list = Vec::new();
    for line in headers.get_all(name) {
        list.extend_from_slice(line.as_bytes());
        list.extend_from_slice(b", ");
    }
    list.extend_from_slice(element.as_bytes());
    if let Ok(value) = HeaderValue::from_maybe_shared(bytes::Bytes::from(list)) {
        headers.insert(name, value);
    }
}

/// RFC 7239 section 6: an IPv6 address stands in brackets, and so in quotes.
fn forwarded_element(peer: IpAddr, proto: &str) -> String {
    match peer {
        IpAddr::V4(v4) => format!("for={v4};proto={proto}"),
        IpAddr::V6(v6) => format!("for=\"[{v6}]\";proto={proto}"),
    }
}

/// Whether there is a word about the client's scheme that can be passed on. Only a trusted proxy's is still there.
pub fn keeps_proto(headers: &HeaderMap) -> bool {
    let mut words = tokens(headers, &X_FORWARDED_PROTO).peekable();
    words.peek().is_some()
        && words.all(|word| word.eq_ignore_ascii_case(b"http") || word.eq_ignore_ascii_case(b"https"))
}

/// Whether a list has this entry, whatever parameters it has.
pub fn has_token(headers: &HeaderMap, name: &HeaderName, wanted: &[u8]) -> bool {
    // `trailers;q=1` asks for trailers as well.
    let names = tokens(headers, name).filter_map(|token| token.split(|&byte| byte == b';').next());
    names.into_iter().any(|token| token.trim_ascii().eq_ignore_ascii_case(wanted))
}

fn tokens<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
