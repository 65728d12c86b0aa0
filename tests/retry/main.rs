//! The retry policy through its public API, under tower's own engine.
#![cfg(feature = "retry")]

mod bodies;
mod budget;
#[cfg(feature = "config")]
mod config;
mod policy;
mod sockets;
mod support;
mod trailers;
