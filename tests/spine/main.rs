//! The spine through its public API.

mod body;
mod classify;
mod client_ip;
#[cfg(feature = "config")]
mod config;
mod event;
mod key;
#[path = "../support/log.rs"]
mod log;
mod outcome;
mod path;
mod problem;
mod small;
