//! Bulkheads through their public API.
#![cfg(feature = "bulkhead")]

mod cancel;
#[cfg(feature = "config")]
mod config;
mod keys;
mod layer;
mod leak;
mod queue;
mod sockets;
mod support;
