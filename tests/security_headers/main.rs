//! The security headers layer through its public API.
#![cfg(feature = "security-headers")]

#[cfg(feature = "axum")]
mod axum;
mod csp;
mod hsts;
mod merge;
mod nonce;
mod overrides;
mod presets;
mod support;
mod values;
