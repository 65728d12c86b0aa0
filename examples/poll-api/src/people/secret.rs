//! Secrets that nobody can guess, and what is stored of them.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::digest::digest;

/// 256 random bits, as 43 characters.
pub fn new_secret() -> String {
    let mut bytes = [0_u8; 32];
    // The generator is seeded by the system, and there is no going on without it.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        std::process::abort();
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What is stored of a secret: it has too many bits to be guessed from its hash.
pub fn hash_of(secret: &str) -> String {
    digest(secret.as_bytes())
}
