//! What every layer stands on. It imports no layer and no framework.

#[cfg(feature = "_auth")]
pub(crate) mod address;
pub(crate) mod body;
pub(crate) mod bounds;
#[cfg(any(feature = "retry", feature = "validate"))]
pub(crate) mod byte_pool;
#[cfg(feature = "_auth")]
pub(crate) mod certificate;
#[cfg(feature = "_auth")]
pub(crate) mod challenge;
pub(crate) mod classify;
pub(crate) mod client_error;
pub(crate) mod clock;
#[cfg(feature = "validate")]
pub(crate) mod coding;
pub(crate) mod config;
pub(crate) mod cookie;
#[cfg(any(feature = "cache", feature = "circuit-breaker", feature = "retry"))]
pub(crate) mod date;
pub(crate) mod deadline;
pub(crate) mod describe;
pub(crate) mod event;
pub(crate) mod field;
#[cfg(any(feature = "bulkhead", feature = "deadline", feature = "load-shed"))]
pub(crate) mod form;
#[cfg(any(feature = "_auth", feature = "deadline"))]
pub(crate) mod gate;
pub(crate) mod grpc;
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "retry"))]
pub(crate) mod holdup;
pub(crate) mod identity;
#[cfg(any(feature = "_auth", feature = "validate"))]
pub(crate) mod json;
pub mod key;
#[cfg(feature = "security-headers")]
pub(crate) mod nonce;
pub(crate) mod outcome;
pub(crate) mod path;
pub mod problem;
#[cfg(any(feature = "load-shed", feature = "retry"))]
pub(crate) mod random;
pub(crate) mod rejection;
pub(crate) mod request;
pub(crate) mod response;
pub(crate) mod retry_after;
#[cfg(any(feature = "_auth", feature = "validate"))]
pub(crate) mod route;
#[cfg(feature = "cache")]
pub(crate) mod shared;
#[cfg(any(feature = "_auth", feature = "circuit-breaker", feature = "rate-limit"))]
pub(crate) mod signal;
#[cfg(any(feature = "_auth", feature = "rate-limit"))]
pub(crate) mod slots;
#[cfg(any(feature = "cache", feature = "rate-limit"))]
pub(crate) mod store;
#[cfg(any(feature = "_auth", feature = "circuit-breaker", feature = "rate-limit"))]
pub(crate) mod sync;
pub(crate) mod texts;
