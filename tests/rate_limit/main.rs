//! The rate limiting layers through their public API.
#![cfg(feature = "rate-limit")]

mod concurrency;
mod conditions;
#[cfg(feature = "config")]
mod config;
mod fields;
mod handle;
mod keys;
mod lists;
#[path = "../support/log.rs"]
mod log;
mod model;
mod overflow;
mod policies;
mod quota;
mod refusals;
mod regressions;
#[cfg(feature = "test-util")]
mod shared;
#[cfg(feature = "axum")]
mod sockets;
mod support;
mod throttle;
mod warnings;
