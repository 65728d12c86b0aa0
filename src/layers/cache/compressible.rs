//! Whether a response's bytes may become fewer.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// Types that are text, or like it, beside `text/*`.
const LIKE_TEXT: [&str; 9] = [
    "application/json",
    "application/javascript",
    "application/x-javascript",
    "application/xml",
    "application/x-ndjson",
    "application/graphql",
    "application/wasm",
    "application/manifest",
    "image/svg",
];

/// By its fields: text that is in no coding yet. What has no type is as likely as not to be packed already.
pub(super) fn compresses(fields: &HeaderMap) -> bool {
    let is_identity = |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !fields.get_all(CONTENT_ENCODING).iter().all(is_identity) {
        return false;
    }
    let Some(media) = fields.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_suffixed = media.ends_with("+json") || media.ends_with("+xml");
    media.starts_with("text/") || is_suffixed || LIKE_TEXT.iter().any(|like| media.starts_with(like))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&'static str, &'static str)]) -> bool {
        let named = |(name, value): &(&'static str, &'static str)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        };
        compresses(&fields.iter().map(named).collect())
    }

    #[test]
    fn text_is_and_what_is_packed_is_not() {
        for media in ["text/html; charset=utf-8", "Application/JSON", "application/problem+json", "image/svg+xml"] {
            assert!(of(&[("content-type", media)]), "{media}");
            assert!(of(&[("content-type", media), ("content-encoding", "identity")]), "{media}");
            assert!(!of(&[("content-type", media), ("content-encoding", "gzip")]), "{media}");
        }
        for media in ["image/png", "video/mp4", "application/zip", "application/octet-stream", "font/woff2", ""] {
            assert!(!of(&[("content-type", media)]), "{media}");
        }
        assert!(!of(&[]));
    }
}
