//! The validation layer through its public API.
#![cfg(feature = "validate")]

mod bodies;
mod config;
mod grpc;
mod heads;
mod json;
mod layer;
mod openapi;
mod schema;
mod sockets;
mod support;
