//! What instances share through Redis, against a server that each test starts and breaks.
#![cfg(feature = "redis")]

#[cfg(all(feature = "cache", feature = "test-util"))]
mod cache;
#[cfg(all(feature = "auth", feature = "cache", feature = "test-util"))]
mod cluster;
mod limits;
#[path = "../support/log.rs"]
mod log;
mod outages;
#[cfg(all(feature = "auth", feature = "test-util"))]
mod revocations;
mod support;
mod values;
