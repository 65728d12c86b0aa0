//! Where an issuer's keys are: OpenID Connect Discovery 1.0 section 4, RFC 8414 section 3.

use http::Uri;

use crate::spine::address::{is_trustworthy, may_lead, origin_and_path};
use crate::spine::json::{Json, JsonLimits, read};

/// How an issuer's metadata is read.
const LIMITS: JsonLimits = JsonLimits::of_whole(64 << 10, 8, 4096);

/// The documents that may describe an issuer, in the order in which they are asked for: OpenID Connect appends to its
/// path, RFC 8414 puts its own before it.
pub(super) fn documents(issuer: &str) -> Option<[Uri; 2]> {
    let (origin, path) = origin_and_path(issuer)?;
    let uri = |text: String| text.parse::<Uri>().ok().filter(is_trustworthy);
    Some([
        uri(format!("{origin}{path}/.well-known/openid-configuration"))?,
        uri(format!("{origin}/.well-known/oauth-authorization-server{path}"))?,
    ])
}

/// Where the keys are, by a document that speaks of this issuer and no other (RFC 8414 section 3.3: byte for byte). It
/// leads no further than a redirect from the issuer would.
pub(super) fn keys_of(document: &[u8], issuer: &str) -> Option<Uri> {
    let document = read(document, LIMITS).ok()?;
    if document.get("issuer").and_then(Json::text) != Some(issuer) {
        return None;
    }
    let (from, to) = (issuer.parse().ok()?, document.get("jwks_uri").and_then(Json::text)?.parse().ok()?);
    may_lead(&from, &to).then_some(to)
}
