//! The security headers layer through its public API.
#![cfg(feature = "security-headers")]

#[cfg(feature = "axum")]
mod axum;
mod csp;
mod hsts;
#[cfg(feature = "axum")]
#[path = "../support/log.rs"]
mod log;
mod merge;
mod nonce;
mod overrides;
mod presets;
mod support;
mod values;
