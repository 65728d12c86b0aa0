//! JSON Web Tokens, checked as the strictest resource server does.

mod algorithm;
mod claims;
mod fault;
mod issuer;
mod key;
mod key_set;
mod token;
mod verifier;

pub use self::algorithm::Algorithm;
pub use self::claims::Profile;
pub use self::fault::TokenFault;
pub use self::issuer::{Issuer, Keys};
pub use self::key::VerifyingKey;
pub use self::key_set::KeySet;
pub use self::verifier::{JwtVerifier, VerifyError, verify_jws};
