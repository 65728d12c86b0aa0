//! What stands in access tokens (RFC 9068).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::json;

use super::secret::new_secret;
use crate::clock::now_ms;
use crate::db::User;

pub const ISSUER: &str = "poll-api";
pub const AUDIENCE: &str = "poll-api";
/// Ten minutes.
pub const LIFETIME_SECONDS: i64 = 600;
pub const LIFETIME_MS: i64 = LIFETIME_SECONDS * 1000;

/// Of the claims, which session the token belongs to: read by the authentication layer, for whoever ends it.
#[derive(Debug, Clone, Deserialize)]
pub struct SessionClaims {
    pub sid: String,
}

/// Header and claims, encoded, for somebody to sign.
pub fn to_be_signed(kid: &str, session: &str, user: &User) -> String {
    let now = now_ms() / 1000;
    let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid });
    let claims = json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": user.id,
        "client_id": "poll-api",
        "iat": now,
        "exp": now + LIFETIME_SECONDS,
        "jti": format!("{session}.{}", new_secret()),
        "sid": session,
        "roles": [user.role],
        "preferred_username": user.username,
    });
    let encode = |part: &serde_json::Value| URL_SAFE_NO_PAD.encode(part.to_string());
    format!("{}.{}", encode(&header), encode(&claims))
}
