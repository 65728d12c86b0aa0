//! The trailers of a gRPC answer that is nothing but a head and them.
//!
//! A server that fails behind its head says so there. As long as nobody has seen the head, another try may take its place; so it
//! is held back for a moment, and no longer than until there is something else to see.

mod body;
mod future;
mod service;

pub use self::body::PeekedBody;
pub(super) use self::future::Trailers;
pub(super) use self::service::Peek;
