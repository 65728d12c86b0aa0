//! The response cache through its public API.
#![cfg(feature = "cache")]

mod coalescing;
mod hits;
mod invalidation;
mod stale;
mod support;
mod validation;
