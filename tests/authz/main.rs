//! The authorization layer through its public API.
#![cfg(feature = "_auth")]

mod config;
mod layer;
#[path = "../support/log.rs"]
mod log;
mod policies;
mod predicates;
mod table;
