//! The edges: foreign frameworks and formats. Nothing but `lib.rs` and `wiring.rs` imports them.

#[cfg(feature = "axum")]
pub(crate) mod axum;
#[cfg(feature = "config")]
pub mod config;
#[cfg(all(feature = "_auth", feature = "https-client"))]
mod https;
#[cfg(feature = "json-schema")]
pub(crate) mod json_schema;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(any(feature = "_auth", feature = "cache"))]
pub(crate) mod spawn;
#[cfg(feature = "_timer")]
pub(crate) mod timer;
#[cfg(feature = "tonic")]
pub(crate) mod tonic;
