//! A compact JWS (RFC 7515), taken apart and checked before any arithmetic.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::key::MAX_KEY_ID_BYTES;
use crate::spine::json::{Json, JsonLimits, read};

/// How a header is read: it is small and flat.
const HEADER_LIMITS: JsonLimits = JsonLimits::of_whole(4096, 4, 64);
/// How claims are read.
const CLAIMS_LIMITS: JsonLimits = JsonLimits::of_whole(1 << 20, 16, 4096);

/// A token whose form is sound, and nothing else.
pub(super) struct Token<'a> {
    pub(super) header: Header,
    /// What was signed: header and payload as they stand.
    pub(super) signed: &'a [u8],
    payload: &'a str,
    signature: &'a str,
}

/// What a token says of itself.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) key_id: Option<String>,
    pub(super) typ: Option<String>,
}

impl<'a> Token<'a> {
    /// Takes a token apart: size, characters and dots first, which costs junk no more than a look at its bytes.
    pub(super) fn parse(token: &'a [u8], max_bytes: usize) -> Result<Self, TokenFault> {
        if token.len() > max_bytes {
            return Err(TokenFault::TooLong);
        }
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if !token.iter().all(is_plain) {
            return Err(TokenFault::Characters);
        }
        let text = std::str::from_utf8(token).map_err(|_| TokenFault::Characters)?;
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(TokenFault::Segments);
        };
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(TokenFault::Segments);
        }
        let signed = token.get(..header.len() + 1 + payload.len()).unwrap_or_default();
        Ok(Self { header: Header::read(&decode(header)?)?, signed, payload, signature })
    }

    pub(super) fn signature(&self) -> Result<Vec<u8>, TokenFault> {
        decode(self.signature)
    }

    /// The payload, whoever wrote it.
    pub(super) fn payload(&self) -> Result<Vec<u8>, TokenFault> {
        decode(self.payload)
    }
}

/// The claims in a payload, whoever wrote them.
pub(super) fn claims_in(payload: &[u8]) -> Result<Json<'_>, TokenFault> {
    let claims = read(payload, CLAIMS_LIMITS).map_err(TokenFault::Claims)?;
    if claims.members().is_some() { Ok(claims) } else { Err(TokenFault::ClaimsForm) }
}

/// base64url without padding, in its one form: unused bits are zero.
fn decode(segment: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(segment).map_err(|_| TokenFault::Base64)
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Self, TokenFault> {
        let header = read(bytes, HEADER_LIMITS).map_err(TokenFault::Header)?;
        let members = header.members().ok_or(TokenFault::HeaderForm)?;
        // Extensions that must be understood (RFC 7515 section 4.1.11), payloads that are not encoded (RFC 7797), and
        // what belongs to encryption. Keys and their addresses (`jwk`, `jku`, `x5u`, ...) are never looked at.
        if members.iter().any(|(name, _)| matches!(&**name, "crit" | "b64" | "zip" | "enc")) {
            return Err(TokenFault::Extension);
        }
        let text = |name: &str| match header.get(name) {
            None => Ok(None),
            Some(value) => value.text().map(Some).ok_or(TokenFault::HeaderForm),
        };
        let algorithm = text("alg")?.ok_or(TokenFault::HeaderForm)?;
        let key_id = text("kid")?;
        if key_id.is_some_and(|id| id.len() > MAX_KEY_ID_BYTES) {
            return Err(TokenFault::HeaderForm);
        }
        let algorithm = Algorithm::of_name(algorithm).ok_or(TokenFault::Algorithm)?;
        Ok(Self { algorithm, key_id: key_id.map(str::to_owned), typ: text("typ")?.map(str::to_owned) })
    }
}
