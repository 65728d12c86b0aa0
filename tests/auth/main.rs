//! The authentication layer through its public API.
//!
//! Both of jsonwebtoken's providers are compiled in here, at which its own `decode` panics. Ours must not.
#![cfg(feature = "_auth")]

mod api_key;
mod attacks;
mod basic;
mod cache;
mod claims;
mod http_rules;
mod introspection;
mod json;
mod keys;
mod layer;
#[path = "../support/log.rs"]
mod log;
mod places;
mod refresh;
mod remote;
mod resource;
mod rfc8725;
mod sockets;
mod support;
