//! Authentication: who sent a request, by a JSON Web Token or an API key.
//!
//! # When to use it
//!
//! Around everything that is not for everybody, outside of whatever asks who the caller is: limits per user,
//! authorization, a cache for each.
//!
//! ```
//! use tower_rampart::auth::{Algorithm, Auth, Issuer, JwtVerifier, KeySet};
//! # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
//!
//! let verifier = JwtVerifier::new([Issuer::new("https://idp.example/")
//!     .audience("api")
//!     .algorithms([Algorithm::EdDsa])
//!     .keys(KeySet::from_jwks(jwks)?)])?;
//! let layer = Auth::new().jwt(verifier).build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! The caller is then an [`Identity`](crate::Identity) in the request's extensions: issuer and subject together, roles,
//! scopes, and a tenant.
//!
//! # What is checked
//!
//! Of a token, in this order: its size and characters, its header (no member twice, nothing that must be understood and
//! is not), its algorithm, its type, the key, the signature, and then `iss`, `aud`, `exp`, `nbf`, `iat` and whatever the
//! [`Profile`] asks for. An algorithm must be named by the issuer's settings, by the key's kind, and by the key's own
//! members; a secret is never taken from a key set, and an issuer's keys open no other issuer's tokens. Nothing in a
//! token makes this layer fetch anything. Tokens bound to their sender (`cnf`) are refused: their proof is not checked.
//!
//! What would weaken the check is an error when the layer is built, or is named `dangerous_*`.
//!
//! # What the client sees
//!
//! | | HTTP | gRPC |
//! |---|---|---|
//! | no credential | 401, `WWW-Authenticate: Bearer realm="api"` | 16 |
//! | one that is no good | 401, `error="invalid_token"` | 16 |
//! | more than one | 400, `error="invalid_request"` | 3 |
//! | there are no keys to judge it by | 503, `Retry-After` | 14 |
//!
//! Why a token is refused is told to nobody but the log, at debug, in words that hold nothing of the token.
//!
//! # Failed logins
//!
//! A limit on them is the rate limiter's: `Policy::new("failed-logins", ..).count_status([401])`.
//!
//! # Order
//!
//! Inside a limit by address, outside a limit by identity.
//!
//! # Cost
//!
//! The signature: some 20 µs for RSA, 60 µs for ECDSA and Ed25519, less than 1 µs for HMAC. A token that was verified
//! within five minutes is known again by two keyed hashes and a lock; its dates, the keys and revocations are looked at
//! all the same.

mod api_key;
mod basic;
mod claims;
mod credential;
mod digest;
mod future;
mod http;
#[cfg(feature = "introspection")]
mod introspection;
mod judge;
mod jwt;
mod known;
mod layer;
mod metadata;
mod provider;
mod service;
mod task;
#[cfg(feature = "auth-test-kit")]
pub mod testing;

pub use self::api_key::{ApiKey, ApiKeys};
pub use self::basic::{Basic, CannotVerify, Login, LoginFuture, VerifyPassword};
pub use self::claims::Claims;
pub use self::future::ResponseFuture;
pub use self::http::HttpClient;
#[cfg(feature = "introspection")]
pub use self::introspection::Introspection;
pub use self::jwt::{
    Algorithm, Denylist, DenylistFull, Issuer, JwtVerifier, KeySet, Keys, Profile, RemoteKeys, Revocation, TokenFacts,
    TokenFault, VerifyError, VerifyingKey, verify_jws,
};
pub use self::layer::{Auth, AuthLayer};
pub use self::metadata::Resource;
pub use self::service::AuthService;
pub use crate::spine::json::JsonFault;
