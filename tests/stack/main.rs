//! The stack, through its public API.
#![cfg(all(
    feature = "auth",
    feature = "axum",
    feature = "bulkhead",
    feature = "cache",
    feature = "circuit-breaker",
    feature = "config",
    feature = "deadline",
    feature = "load-shed",
    feature = "rate-limit",
    feature = "retry",
    feature = "security-headers",
    feature = "tonic",
    feature = "validate"
))]

mod config;
mod describe;
mod frameworks;
#[path = "../support/loopback.rs"]
mod loopback;
mod mistakes;
mod mounts;
mod neighbours;
mod order;
mod reload;
mod support;
mod upstream;
