//! JSON Web Tokens, checked as the strictest resource server does.

mod algorithm;
mod cache;
mod claims;
mod fault;
mod issuer;
mod key;
mod key_set;
mod revocation;
mod token;
mod verifier;

pub use self::algorithm::Algorithm;
pub use self::claims::Profile;
pub use self::fault::TokenFault;
pub use self::issuer::{Issuer, Keys};
pub use self::key::VerifyingKey;
pub use self::key_set::KeySet;
pub use self::revocation::{Denylist, DenylistFull, Revocation, TokenFacts};
pub use self::verifier::{JwtVerifier, VerifyError, verify_jws};
