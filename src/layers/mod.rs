//! One folder for each layer; none imports another.

#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "auth")]
pub mod authz;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "rate-limit")]
pub mod rate_limit;
#[cfg(feature = "security-headers")]
pub mod security_headers;
