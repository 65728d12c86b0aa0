//! The edges: foreign frameworks and formats. Nothing but `lib.rs` and `wiring.rs` imports them.

#[cfg(feature = "axum")]
pub(crate) mod axum;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "decompression")]
pub(crate) mod decompression;
#[cfg(all(feature = "_auth", feature = "auth-https-client"))]
mod https;
#[cfg(feature = "json-schema")]
pub(crate) mod json_schema;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(any(feature = "_auth", feature = "cache", feature = "rate-limit"))]
pub(crate) mod spawn;
#[cfg(feature = "_sleep")]
pub(crate) mod timer;
#[cfg(feature = "tonic")]
pub(crate) mod tonic;
#[cfg(feature = "openapi-yaml")]
pub(crate) mod yaml;
