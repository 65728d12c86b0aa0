//! The poll API from outside: a process of its own, over real sockets.

mod browser;
mod configuration;
mod events;
mod faults;
mod grpc;
mod instances;
mod limits;
mod operations;
mod outbox;
mod people;
mod polls;
mod postgres;
mod readme;
#[path = "../../../gateway/tests/it/redis_server.rs"]
mod redis_server;
mod support;
mod traces;
