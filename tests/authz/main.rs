//! The authorization layer through its public API.
#![cfg(feature = "auth")]

mod layer;
mod table;
