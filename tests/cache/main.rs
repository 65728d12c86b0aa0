//! The response cache through its public API.
#![cfg(feature = "cache")]

mod coalescing;
mod hits;
mod invalidation;
mod model;
mod stale;
mod support;
mod tier;
mod validation;
