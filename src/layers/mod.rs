//! One folder for each layer; none imports another.

#[cfg(feature = "_auth")]
pub mod auth;
#[cfg(feature = "_auth")]
pub mod authz;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "circuit-breaker")]
pub mod circuit_breaker;
#[cfg(feature = "rate-limit")]
pub mod rate_limit;
#[cfg(feature = "security-headers")]
pub mod security_headers;
#[cfg(feature = "validate")]
pub mod validate;
