//! The circuit breaker through its public API.
#![cfg(feature = "circuit-breaker")]

mod cancel;
#[cfg(feature = "config")]
mod config;
mod edges;
#[cfg(feature = "metrics")]
mod gauge;
mod holdup;
mod layer;
#[path = "../support/loopback.rs"]
mod loopback;
mod model;
mod sequences;
mod settings;
mod sockets;
mod steering;
mod support;
mod verdicts;
