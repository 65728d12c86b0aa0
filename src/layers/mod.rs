//! One folder for each layer; none imports another.

#[cfg(feature = "_auth")]
pub mod auth;
#[cfg(feature = "_auth")]
pub mod authz;
#[cfg(feature = "bulkhead")]
pub mod bulkhead;
#[cfg(feature = "cache")]
pub mod cache;
#[cfg(feature = "circuit-breaker")]
pub mod circuit_breaker;
#[cfg(feature = "deadline")]
pub mod deadline;
#[cfg(feature = "load-shed")]
pub mod load_shed;
#[cfg(feature = "rate-limit")]
pub mod rate_limit;
#[cfg(feature = "retry")]
pub mod retry;
#[cfg(feature = "security-headers")]
pub mod security_headers;
#[cfg(feature = "validate")]
pub mod validate;
