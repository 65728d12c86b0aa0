//! The retry policy through its public API, under tower's own engine.
#![cfg(feature = "retry")]

mod bodies;
mod budget;
#[cfg(feature = "config")]
mod config;
#[path = "../support/loopback.rs"]
mod loopback;
mod policy;
mod sockets;
mod support;
mod trailers;
