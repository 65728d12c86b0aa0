//! Answers that may be cached: JSON with an entity tag, and what the cache is told of it.

use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;
use tower_rampart::cache::CacheHint;

use crate::clock::now_ms;

/// How long the service's own cache keeps what nobody purges.
const KEPT_MS: i64 = 60_000;

/// Such an answer. Clients must ask each time, and are told 304 when nothing has changed; the cache inside the service
/// keeps it until it is purged, but not beyond `until_ms`, when it changes by itself.
pub fn cached(request: &HeaderMap, body: &Value, until_ms: Option<i64>, tags: &[&str]) -> Response {
    let body = body.to_string();
    let left_ms = until_ms.map_or(KEPT_MS, |until| until.saturating_sub(now_ms()).clamp(0, KEPT_MS));
    let ttl = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
    let etag = etag(&body);
    let mut response = if matches(request, &etag) {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::from(body));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        headers.insert(ETAG, etag);
    }
    let hint = tags.iter().fold(CacheHint::new().ttl(ttl), |hint, tag| hint.add_tag(*tag));
    response.extensions_mut().insert(hint);
    response
}

/// Weak, because compression changes the bytes.
fn etag(body: &str) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, body.as_bytes());
    let short = digest.as_ref().get(..12).unwrap_or_default();
    format!("W/\"{}\"", URL_SAFE_NO_PAD.encode(short))
}

/// RFC 9110 section 13.1.2, by weak comparison.
fn matches(request: &HeaderMap, etag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let ours = opaque(etag);
    // Our own tags have no commas.
    let named = request.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    named.flat_map(|value| value.split(',')).any(|tag| tag.trim() == "*" || opaque(tag) == ours)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_compared_weakly() {
        let tag = etag("{}");
        assert!(tag.starts_with("W/\""));
        let asks = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, HeaderValue::from_str(text).unwrap());
            matches(&headers, &tag)
        };
        assert!(asks(&tag) && asks("*") && asks(&format!("\"x\", {}", tag.trim_start_matches("W/"))));
        assert!(!asks("\"x\"") && !asks(""));
        assert!(!matches(&HeaderMap::new(), &tag));
    }
}
