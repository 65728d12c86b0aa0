//! Retries: what may be made twice is, at a distance, and never so often that it becomes the trouble.
//!
//! tower has the [engine](https://docs.rs/tower/0.5/tower/retry/); this is what it asks: a policy for HTTP and gRPC, bodies
//! that can be sent again, and a budget.
//!
//! # When to use it
//!
//! Around clients, at one place of a call's way. Two hops that try three times each are nine calls to the last one.
//!
//! ```
//! use bytes::Bytes;
//! use http_body_util::Full;
//! use hyper_util::client::legacy::Client;
//! use hyper_util::rt::TokioExecutor;
//! use tower::Layer;
//! use tower_rampart::retry::{ReplayBody, Retries, RetryLayer};
//!
//! let policy = Retries::new().build()?;
//! // The client is given bodies that are kept; whoever calls gives it any.
//! let client = Client::builder(TokioExecutor::new()).build_http::<ReplayBody<Full<Bytes>>>();
//! let client = RetryLayer::new(policy).layer(client);
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! A tonic channel to a service whose calls may all be made twice:
//!
//! ```
//! use std::time::Duration;
//! use http::Request;
//! use tonic::transport::Endpoint;
//! use tower::ServiceBuilder;
//! use tower_rampart::retry::{ReplayBody, Retries, RetryLayer};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let policy = Retries::new()
//!     .max_attempts(4)
//!     .backoff(Duration::from_millis(20), Duration::from_secs(1))
//!     .grpc_is_idempotent()
//!     .build()?;
//! let channel = Endpoint::from_static("http://127.0.0.1:50051").connect_lazy();
//! let channel = ServiceBuilder::new()
//!     .layer(RetryLayer::new(policy))
//!     .map_request(|request: Request<ReplayBody<tonic::body::Body>>| request.map(tonic::body::Body::new))
//!     .service(channel);
//! // PollsClient::new(channel)
//! # drop(channel);
//! # Ok(())
//! # }
//! ```
//!
//! # What is tried again
//!
//! Calls that may be made twice: GET, HEAD, OPTIONS, PUT, DELETE (RFC 9110 section 9.2.2), those with an
//! `Idempotency-Key`, and what [`idempotent_when`](Retries::idempotent_when) and
//! [`grpc_is_idempotent`](Retries::grpc_is_idempotent) say. Of these:
//!
//! | what happened | another try |
//! |---|---|
//! | no connection, or one that broke off before the head | yes |
//! | a try that took too long ([`TimedOut`](crate::TimedOut)) | yes |
//! | 502, 503, 504 | yes, after `Retry-After` if there is one |
//! | 429 with `Retry-After` | yes, after it |
//! | 429 without, any other status | no |
//! | gRPC `UNAVAILABLE` in the head (trailers-only), or in trailers right behind it | yes |
//! | gRPC with a pushback (`grpc-retry-pushback-ms`) | after exactly so long; never, if it is negative or no number |
//! | a status in gRPC's trailers behind a message, a body that breaks off | no: the answer has begun, and somebody may have seen it |
//! | a [`Rejection`](crate::Rejection) of ours, in the response or as the error's cause | no, and it costs no budget |
//!
//! A retry is given up, and the last answer passed on, when there were enough of them, when the budget is spent, when the next
//! try would come at the [`Deadline`](crate::Deadline) or later, when the server asks for a longer wait than
//! [`max_wait`](Retries::max_wait), and when the body cannot be sent again.
//!
//! The head of a gRPC answer that says nothing of its status is held back until there is a frame behind it, for 100 ms at most
//! ([`trailers_within`](Retries::trailers_within)): where that frame are the trailers, nobody has seen anything of the answer
//! yet. The last try is not held back, nor what may not be made twice. By the letter of gRPC's retry design (A6) the head alone
//! commits a call; with tower's own layer around the policy it does.
//!
//! # When
//!
//! Anywhere between now and a wait that doubles with each try, up to a most: full jitter, so that clients that failed together
//! do not return together. `Retry-After`, in seconds or as a date (RFC 9110 section 10.2.3), makes the wait longer and never
//! shorter; a date is compared with the answer's own `Date`, since clocks differ. The answer that failed is dropped before the
//! wait, and what it held is free.
//!
//! # Budget
//!
//! Of the requests of the last ten seconds a fifth may be tried again, and ten in any case. When everything fails, load grows
//! by that share, instead of by the number of tries. Requests that a layer further in refuses, an open circuit say, count for
//! nothing: the upstream has not seen them. (With tower's own layer, those that may not be made twice do count.) Clones of a
//! policy have one budget: make one policy for each upstream.
//! [`RetryPolicy::budget`] shows it.
//!
//! # Bodies
//!
//! [`ReplayBody`] keeps what passes, up to 64 KiB for each call and 64 MiB together, while it streams through. The next try
//! gets that, and then the rest. A longer body is sent once; nothing waits until it is known how long it is. When the server
//! answers while the body is still on its way, the try before is cut off, so that no two of them read the rest.
//!
//! # What layers further in see
//!
//! The same request, extensions included, and from the second try on an [`Attempt`], in gRPC `grpc-previous-rpc-attempts` too.
//! The response of such a try has the [`Attempt`] in its extensions.
//!
//! With feature `metrics`, `rampart_retry_retries_total` counts further tries, and `rampart_retry_stopped_total` failures that were
//! passed on, by `reason`: `attempts`, `budget`, `deadline`, `retry_after`, `body`, `timer`.
//!
//! # Order
//!
//! Inside the deadline, outside the circuit breaker and the timeout for each try. So a breaker sees each try, and what it refuses
//! is not tried again. A hedge, a balancer or a reconnecting client stands further in.
//!
//! The error type is looked into for refusals: errors that implement `Error` are as they come, for boxed ones take
//! [`RetryPolicy::boxed_errors`]. The inner service must be `Clone`, since another try asks a clone of it.
//!
//! # Cost
//!
//! One reading of the clock and one addition for each request, and the same again for one that is refused further in. What may be made twice is cloned: head and extensions. A body
//! that is kept takes two allocations, and the buffer that it is copied into as it passes; a gRPC answer that is held back takes
//! one, and a timer if there is something to wait for.

mod asked;
mod attempt;
mod backoff;
mod body;
mod budget;
#[cfg(test)]
mod budget_tests;
mod decide;
mod describe;
mod errors;
mod future;
mod layer;
mod peek;
mod policy;
mod repeat;
mod room;
mod service;
mod sync;

pub use self::attempt::Attempt;
pub use self::body::ReplayBody;
pub use self::errors::{Boxed, Typed, ViewError};
pub use self::future::{RetryFuture, RetryWait};
pub use self::layer::{Retries, RetryLayer};
pub use self::peek::PeekedBody;
pub use self::policy::{RetryBudget, RetryPolicy};
pub use self::service::RetryService;
