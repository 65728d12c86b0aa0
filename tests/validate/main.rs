//! The validation layer through its public API.
#![cfg(feature = "validate")]

mod bodies;
mod coded;
mod config;
mod costs;
mod grpc;
mod heads;
mod json;
mod layer;
#[path = "../support/log.rs"]
mod log;
mod multipart;
mod openapi;
mod parsed;
mod schema;
mod sockets;
mod support;
