//! Load shedding by a limit that finds itself, and its counterpart on the client's side.
//!
//! # When to use it
//!
//! On every service that can be asked for more than it can do. Without it, whoever comes under overload waits behind work
//! whose clients have given up: everything is done, and nothing in time. A fixed limit helps as long as it is right; this
//! one follows the service.
//!
//! ```
//! use tower_rampart::load_shed::LoadShed;
//!
//! let layer = LoadShed::gradient2().never_shed(["/healthz"]).build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! Everything said:
//!
//! ```
//! use std::time::Duration;
//! use http::Method;
//! use tower_rampart::load_shed::{Criticality, LoadShed};
//!
//! let layer = LoadShed::aimd(Duration::from_millis(500))
//!     .min_limit(8)
//!     .initial_limit(32)
//!     .max_limit(512)
//!     .window(Duration::from_millis(500))
//!     .never_shed(["/healthz", "/readyz"])
//!     .never_shed_when(|request| request.method() == Method::OPTIONS)
//!     // What somebody waits for comes before the crawler.
//!     .criticality(|request| match request.uri().path() {
//!         path if path.starts_with("/checkout") => Criticality::CriticalPlus,
//!         path if path.starts_with("/export") => Criticality::Sheddable,
//!         _ => Criticality::Critical,
//!     })
//!     .retry_after(Duration::from_secs(2))
//!     .build()?;
//! // Watch it, or bound the limit, while it runs.
//! let handle = layer.handle();
//! assert_eq!(handle.snapshot().limit, 32);
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # How the limit is found
//!
//! Requests in flight are counted, and what they came to is gathered for a [`window`](LoadShed::window). There is no queue:
//! what does not fit in is refused at once. (A short one for bursts is a [bulkhead](crate::bulkhead)'s, further in.)
//!
//! * [`gradient2`](LoadShed::gradient2) compares the mean latency with the one that is expected, and follows their ratio;
//!   up to one and a half times the expected one is left alone. The expected one is learnt while nothing is shed; while
//!   there is shedding it is measured anew from time to time, behind a third of the limit.
//! * [`aimd`](LoadShed::aimd) adds one as long as the mean latency is below the one you say, and takes a tenth away when
//!   it is not.
//!
//! A request is in flight until its response has ended. Streams that stay open for hours are, too, and when they are as many as
//! the limit, nobody gets in from whose answers more could be learnt: for those take [`until_head`](LoadShed::until_head).
//!
//! A limit that is not made use of does not grow. Both shrink when more than a tenth of a window's answers say that there
//! is no capacity:
//!
//! | answer | counts as |
//! |---|---|
//! | 2xx to 4xx but 408, 425, 429; gRPC codes of the same kind | work done, by its latency to the head |
//! | 503; gRPC 14 | overload |
//! | 429, gRPC 8 | nothing, unless [`throttled_is_overload`](LoadShed::throttled_is_overload) |
//! | other failures, broken bodies, errors, other refusals of layers further in | nothing: failures are quick, and must not look like good times |
//! | left by its client before the head; cut off by a deadline: 504, gRPC 4, a refusal by a layer further in | its latency so far, if that is more than there should be; else nothing: who has little time says nothing about the service |
//!
//! # What the client sees
//!
//! 503 with `Retry-After`, gRPC status 14 with `grpc-retry-pushback-ms`, or, of a [`client`](LoadShedLayer::client) layer,
//! [`ClientError::Refused`](crate::client::ClientError::Refused).
//!
//! Metrics: `rampart_load_shed_refused_total{status}`, `rampart_load_shed_shed_total{criticality}`,
//! `rampart_adaptive_throttle_refused_total{status}`.
//!
//! # Criticality
//!
//! The less it matters that a request is answered, the sooner it is shed: [`Criticality`] has the shares of the limit. It
//! comes from the request's extensions, where an outer layer puts it, or from a closure; never from a header by itself,
//! since whoever may claim to be critical will.
//!
//! # The client's side
//!
//! A refusal costs a server something too, and a client that goes on asking keeps it busy refusing. [`AdaptiveThrottle`]
//! refuses for it, by the formula of Google's SRE book: as much as is asked for beyond K times what is accepted.
//!
//! ```
//! use tower_rampart::load_shed::AdaptiveThrottle;
//!
//! let layer = AdaptiveThrottle::new().k(2.0).build()?.client();
//! assert_eq!(layer.handle().snapshot().probability, 0.0);
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! It has no states: it cannot be stuck open, and needs no probes. For few requests a circuit breaker is the better
//! choice, since the formula needs many to say something. It lives here and not under a feature of its own, since the two
//! sides share the judgement of answers and the future, and neither brings a dependency.
//!
//! # Order
//!
//! Far outside, right after the security headers: what is shed should have cost nothing yet, and the latency should be the
//! whole one. The throttle stands around a client, outside of its circuit breaker.
//!
//! # Cost
//!
//! Two readings of the clock, two atomic steps and a short lock for each request; no allocation. A shed one reads no clock but
//! during a measurement, and costs what its answer costs: a problem document, or nothing but a typed error.

mod aimd;
mod body;
mod criticality;
mod describe;
mod future;
mod gradient2;
mod handle;
mod judge;
mod layer;
mod limit;
#[cfg(test)]
mod limit_tests;
mod sample;
mod service;
mod state;
mod sync;
mod throttle;
mod ticket;

pub use self::body::InFlight;
pub use self::criticality::Criticality;
pub use self::future::ResponseFuture;
pub use self::handle::{LoadShedHandle, LoadShedSnapshot};
pub use self::layer::{LoadShed, LoadShedLayer};
pub use self::service::LoadShedService;
pub use self::throttle::{
    AdaptiveThrottle, AdaptiveThrottleHandle, AdaptiveThrottleLayer, AdaptiveThrottleService, AdaptiveThrottleSnapshot,
    Asked,
};
pub use self::ticket::Ticket;
