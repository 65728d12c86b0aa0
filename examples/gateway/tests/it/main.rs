//! The gateway as a program: started, spoken to over real sockets, reloaded, stopped.

mod admin;
mod auth;
mod behind;
mod cache;
mod cache_store;
mod circuit;
mod configuration;
mod documents;
mod hostile;
mod keys;
mod lifecycle;
mod limits;
mod openapi;
mod poisoning;
mod pressure;
mod proxying;
mod redis_server;
mod retries;
mod shared;
mod support;
mod timeouts;
mod validation;
