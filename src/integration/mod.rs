//! The edges: foreign frameworks and formats. Nothing but `lib.rs` and `wiring.rs` imports them.

#[cfg(feature = "axum")]
pub(crate) mod axum;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "metrics")]
pub(crate) mod metrics;
#[cfg(feature = "cache")]
pub(crate) mod spawn;
#[cfg(any(feature = "rate-limit", feature = "cache"))]
pub(crate) mod timer;
#[cfg(feature = "tonic")]
pub(crate) mod tonic;
