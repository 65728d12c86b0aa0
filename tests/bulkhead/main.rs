//! Bulkheads through their public API.
#![cfg(feature = "bulkhead")]

mod cancel;
mod keys;
mod layer;
mod leak;
mod queue;
mod sockets;
mod support;
