//! A polling service with tower-rampart's layers around it, and a page to use it by.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::indexing_slicing, clippy::panic, clippy::unwrap_used))]

mod app;
mod clock;
mod completion;
pub mod config;
#[path = "../../gateway/src/connections.rs"]
mod connections;
mod db;
mod digest;
mod fault;
#[path = "../../gateway/src/first_bytes.rs"]
mod first_bytes;
#[path = "../../gateway/src/gauges.rs"]
mod gauges;
mod grpc;
mod http;
mod marks;
mod news;
mod observe;
mod outbox;
#[path = "../../gateway/src/pem.rs"]
mod pem;
mod people;
mod polls;
mod server;
#[path = "../../gateway/src/shown.rs"]
mod shown;
#[path = "../../gateway/src/signals.rs"]
mod signals;
mod stack;
mod start;
mod trace;
mod upstream;
mod watcher;

pub use self::start::main;

/// The gRPC twin's messages, client and server, made from `proto/poll.proto`.
#[allow(missing_debug_implementations, clippy::use_self, clippy::large_futures, reason = "it is generated")]
pub mod proto {
    tonic::include_proto!("poll.v1");
}

/// Who refuses, where it is not a layer.
const ORIGIN: tower_rampart::Origin = tower_rampart::Origin::Custom("poll_api");
