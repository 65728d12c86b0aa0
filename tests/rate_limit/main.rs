//! The rate limiting layers through their public API.
#![cfg(feature = "rate-limit")]

mod concurrency;
mod conditions;
mod fields;
mod handle;
mod keys;
mod lists;
mod model;
mod overflow;
mod policies;
mod quota;
mod refusals;
mod support;
mod throttle;
mod warnings;
