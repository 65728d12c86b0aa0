//! The authorization layer through its public API.
#![cfg(feature = "_auth")]

mod config;
mod layer;
mod policies;
mod predicates;
mod table;
