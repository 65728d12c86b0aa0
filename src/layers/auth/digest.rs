//! Hashes of secrets.

use jsonwebtoken::jwk::ThumbprintHash;
use subtle::ConstantTimeEq as _;

use super::provider::PROVIDER;

/// SHA-256; `None` where the provider has none, so that nothing is equal to anything.
pub(super) fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    (PROVIDER.key_utils.compute_digest)(bytes, ThumbprintHash::SHA256).ok()?.try_into().ok()
}

/// Compares in a time that does not depend on where two hashes differ.
pub(super) fn equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    one.ct_eq(other).into()
}
