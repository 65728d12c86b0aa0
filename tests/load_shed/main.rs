//! Load shedding, and the client's throttle.
#![cfg(all(feature = "bulkhead", feature = "load-shed"))]

#[cfg(feature = "config")]
mod config;
mod judgement;
mod layer;
mod overload;
mod simulation;
mod sockets;
mod support;
mod throttle;
