//! Bulkheads: bounded concurrency, with a bounded queue, by key and in all.
//!
//! # When to use it
//!
//! Around a client, so that one dependency that hangs does not take all of a service's connections, tasks and memory with
//! it. Around a handler whose work is costly: an export, a report, a hash of a password.
//!
//! ```
//! use tower_rampart::bulkhead::Bulkhead;
//!
//! // 64 requests in flight; the next one is refused at once.
//! let layer = Bulkhead::new(64).build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! Everything said:
//!
//! ```
//! use std::time::Duration;
//! use tower_rampart::bulkhead::Bulkhead;
//! use tower_rampart::key::AuthorityKey;
//!
//! let layer = Bulkhead::new(256)
//!     .name("suppliers")
//!     // 64 may wait for a place, first come, first served, each for 100 ms at most.
//!     .queue(64, Duration::from_millis(100))
//!     // No supplier gets more than 32 of the 256 places, or 8 of those in the queue.
//!     .per_key(AuthorityKey, 32)
//!     .max_queued_per_key(8)
//!     .retry_after(Duration::from_secs(2))
//!     .build()?;
//! // Watch it, or change a bound, while it runs.
//! let handle = layer.handle();
//! handle.set_max_concurrent_per_key(16)?;
//! assert_eq!(handle.snapshot().in_flight, 0);
//! // Around a client whose callers match on errors.
//! let client_layer = layer.client();
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # What it holds, and for how long
//!
//! A place is taken in `call` and held until the body of the response has ended, broken off or been dropped; a future
//! that is dropped gives it back at once, wherever it was. Being ready takes nothing. tower's own `ConcurrencyLimit` takes
//! its permit in `poll_ready`, so that a clone which is ready and never called, or which `LoadShed` has turned away, keeps
//! capacity for as long as it lives; `tests/bulkhead/leak.rs` shows it of theirs and shows that it is not so here.
//!
//! With a key, a request takes a place of its key first and one of all afterwards: the other way round, a key that is full
//! would hold places that others need. A key has a compartment as long as it has requests, so that there are never more
//! compartments than requests in flight and waiting, and nothing to sweep. Keys are hashed with a secret, and nowhere kept.
//!
//! # What the client sees
//!
//! | | HTTP | gRPC | typed ([`client`](BulkheadLayer::client)) |
//! |---|---|---|---|
//! | no place, and no queue or a full one | 503, `Retry-After` | 14, `grpc-retry-pushback-ms` | [`ClientError::Refused`](crate::client::ClientError::Refused) |
//! | waited as long as it may | the same | the same | the same |
//!
//! `/metrics`: `rampart_bulkhead_refused_total{status}`, `rampart_bulkhead_waited_total{bulkhead}`,
//! `rampart_bulkhead_waited_in_vain_total{bulkhead}`.
//!
//! # Order
//!
//! Toward an upstream innermost: retry, circuit breaker, timeout of a try, bulkhead, client. So a request that waits here
//! is cut off by the timeout, and one that is retried gives its place back between its tries. On the server's side inside
//! whatever refuses without looking at the handler. A short queue takes up bursts; a long one makes every request late,
//! and [`load_shed`](crate::load_shed) is the better answer to that.
//!
//! A circuit breaker further out takes the wait for a place for the service's slowness, unless the request carries a
//! [`Holdup`](crate::Holdup), which is told of it.
//!
//! # Cost
//!
//! One uncontended lock when a request comes and one when it goes, two more with a key; no allocation. Who waits costs a
//! clone of the inner service, a timer, a box and an entry in the queue.

mod body;
mod compartment;
#[cfg(test)]
mod compartment_tests;
mod describe;
mod future;
mod handle;
mod layer;
mod level;
mod places;
mod refusal;
mod service;
mod sync;

pub use self::body::Held;
pub use self::future::ResponseFuture;
pub use self::handle::{BulkheadHandle, BulkheadSnapshot};
pub use self::layer::{Bulkhead, BulkheadLayer};
pub use self::service::BulkheadService;
