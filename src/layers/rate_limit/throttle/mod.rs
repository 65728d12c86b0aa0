//! Waiting instead of refusing.
//!
//! The bucket is the queue: a request that must wait takes its token now, from the future, and the next one of its key
//! is told to come after it. What waits is a timer and the request, bounded by `max_wait` for each key and by
//! `max_waiting` in all.

mod future;
mod layer;
mod service;

pub use self::future::ThrottleFuture;
pub use self::layer::ThrottleLayer;
pub use self::service::ThrottleService;
