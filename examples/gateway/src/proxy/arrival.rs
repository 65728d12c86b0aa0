//! What is left of a request before anything looks at it. What the upstream does not get must choose nothing on the way
//! there: no variant in the cache, no rule, no limit.

use http::header::{COOKIE, EXPECT, TE};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Version};
use tower_rampart::cache::CacheBypass;
use tower_rampart::key::{ClientIp, SecureTransport};
use tower_rampart::{Protocol, RequestView};

use super::headers::{X_FORWARDED_PROTO, begins_with, has_token, is_identity, keeps_proto, strip_hop_by_hop};
use super::target;

/// Removes what is this hop's or a stranger's claim.
pub fn receive<B>(request: &mut Request<B>, client_ip: &ClientIp) {
    let view = RequestView::of(request);
    let trusted = client_ip.trusts_peer_of(view);
    // Whoever asks for the client later finds no claim any more: a proxy that was forgotten among the trusted ones shows
    // itself here.
    let _ = client_ip.resolve(view);
    // A proxy may tell it by `Forwarded` alone, in which nothing further in looks for it. Over TLS all is HTTPS.
    let is_told_secure = trusted && view.extensions().get::<SecureTransport>().is_none() && client_ip.is_secure(view);
    if target::host(request).is_err() {
        // It will be refused, whatever is stored.
        request.extensions_mut().insert(CacheBypass);
    }

    let is_http2 = request.version() == Version::HTTP_2;
    let headers = request.headers_mut();
    // A handshake is refused further in, and layers know it by these fields.
    if !target::asks_for_websocket(headers) {
        leave_hop(headers);
    }
    strip_claims(headers, trusted);
    if is_told_secure && !keeps_proto(headers) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static("https"));
    }
    if is_http2 {
        join_cookies(headers);
    }
}

/// RFC 9110 section 7.6.1.
fn leave_hop(headers: &mut HeaderMap) {
    let wants_trailers = has_token(headers, &TE, b"trailers");
    // A trusted proxy's word about its client is not the client's to take back.
    strip_hop_by_hop(headers, is_forwarding);
    // The server has sent `100 Continue` by the time the body is read.
    headers.remove(EXPECT);
    // gRPC servers ask for it; anybody else's is this hop's, and so are the trailers that it announces.
    if wants_trailers && Protocol::of_headers(headers) == Protocol::Grpc {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Identity is ours to state, and so is the client's address unless a trusted proxy states it. A spelling with `_` is never
/// a proxy's.
fn strip_claims(headers: &mut HeaderMap, trusted: bool) {
    let is_proxys = |name: &HeaderName| trusted && !name.as_str().contains('_');
    let is_claim = |name: &&HeaderName| is_identity(name) || (is_forwarding(name) && !is_proxys(name));
    let claims: Vec<HeaderName> = headers.keys().filter(is_claim).cloned().collect();
    for name in claims {
        headers.remove(name);
    }
}

/// Whether a field is a proxy's word about its client, in any spelling that a server may read so.
fn is_forwarding(name: &HeaderName) -> bool {
    let is = |known: &str| name.as_str().len() == known.len() && begins_with(name, known);
    begins_with(name, "x-forwarded-") || ["forwarded", "x-real-ip", "cf-connecting-ip"].into_iter().any(is)
}

/// RFC 9113 section 8.2.3: what HTTP/2 may send in crumbs is one field everywhere else.
fn join_cookies(headers: &mut HeaderMap) {
    let crumbs: Vec<&[u8]> = headers.get_all(COOKIE).iter().map(HeaderValue::as_bytes).collect();
    if crumbs.len() < 2 {
        return;
    }
    // Parts of fields, with what fields may hold between them.
    if let Ok(cookie) = HeaderValue::from_maybe_shared(bytes::Bytes::from(crumbs.join(&b"; "[..]))) {
        headers.insert(COOKIE, cookie);
    }
}

#[cfg(test)]
#[path = "arrival_tests.rs"]
mod tests;
