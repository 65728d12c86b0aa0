//! The security headers layer through its public API.
#![cfg(feature = "security-headers")]

mod csp;
mod hsts;
mod merge;
mod nonce;
mod overrides;
mod presets;
mod support;
mod values;
