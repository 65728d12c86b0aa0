//! JSON Web Tokens, checked as the strictest resource server does.

mod algorithm;
pub(super) mod caller;
mod claims;
mod fault;
mod issuer;
mod key;
mod key_set;
mod keys;
mod remote;
mod revocation;
mod token;
mod verifier;

pub use self::algorithm::Algorithm;
pub use self::claims::Profile;
#[cfg(feature = "auth-introspection")]
pub(super) use self::claims::date;
pub use self::fault::TokenFault;
pub use self::issuer::Issuer;
pub use self::key::VerifyingKey;
pub use self::key_set::KeySet;
pub use self::keys::Keys;
pub use self::remote::RemoteKeys;
pub use self::revocation::{Denylist, DenylistFull, Revocation, TokenFacts};
pub use self::verifier::{JwtVerifier, VerifyError, verify_jws};
pub(super) use self::verifier::{Unverified, Verified};
