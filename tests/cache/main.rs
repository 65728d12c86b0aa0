//! The response cache through its public API.
#![cfg(feature = "cache")]

mod bounds;
mod coalescing;
mod completion;
mod heads;
mod hits;
#[cfg(feature = "test-util")]
mod instances;
mod invalidation;
mod model;
mod stale;
mod support;
#[cfg(feature = "test-util")]
mod tier;
mod validation;
mod varying;
