//! The deadline layers through their public API.
#![cfg(feature = "deadline")]

mod body;
mod client;
#[cfg(feature = "config")]
mod config;
mod layer;
#[path = "../support/loopback.rs"]
mod loopback;
mod sockets;
mod support;
