//! Hashes of secrets.

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    // A SHA-256 has 32 bytes.
    digest.as_ref().try_into().unwrap_or_default()
}

/// Compares in a time that does not depend on where two hashes differ.
pub(super) fn equal(one: &[u8; 32], other: &[u8; 32]) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}
