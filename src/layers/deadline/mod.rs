//! Deadlines: no request takes longer than somebody waits for it, and whoever is asked on its behalf knows how long that is.
//!
//! # When to use it
//!
//! In every service, and around every client. A timeout that each hop keeps to itself lets the last hop work for a client that
//! has left long ago; a deadline travels along.
//!
//! ```
//! use tower_rampart::deadline::Deadlines;
//!
//! // Thirty seconds, and less where `grpc-timeout` asks for less.
//! let layer = Deadlines::new().build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! A service with its own maximum, a field of its own, and bodies that end in time too:
//!
//! ```
//! use std::time::Duration;
//! use http::HeaderName;
//! use tower_rampart::deadline::{Deadlines, TimeoutField};
//!
//! let layer = Deadlines::new()
//!     .max_time(Duration::from_secs(10))
//!     .add_field(TimeoutField::seconds(HeaderName::from_static("x-request-timeout")))
//!     .build_with_body()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! Around a client: each try has two seconds, and the next server is told what is left of the deadline.
//!
//! ```
//! use std::time::Duration;
//! use tower::{ServiceBuilder, service_fn};
//! use tower_rampart::deadline::{PropagateDeadlineLayer, TryTimeoutLayer};
//!
//! # let client = service_fn(|_: http::Request<String>| async { Ok::<_, ()>(http::Response::new(String::new())) });
//! let client = ServiceBuilder::new()
//!     .layer(TryTimeoutLayer::new(Duration::from_secs(2))?)
//!     .layer(PropagateDeadlineLayer::grpc())
//!     .service(client);
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # Which time counts
//!
//! The smallest of the maximum, each field that the client sends, and a deadline that stands in the extensions already. It
//! begins when the layer is called, and covers everything up to the response's head: [`DeadlineBodyLayer`] covers the body
//! too. A stream that is to stay open for as long as both sides like has no deadline, or one for its head alone.
//!
//! The result is a [`Deadline`](crate::Deadline) in the request's extensions. Handlers hand it on to the requests that they
//! make; retries do not sleep beyond it.
//!
//! `grpc-timeout` is read as gRPC's grammar says: at most eight digits and one of `H M S m u n`. Other fields are
//! milliseconds or seconds, as [`TimeoutField`] says. What is malformed, or stands twice, is refused, since two servers may
//! read it in two ways. What is told to the next server is rounded down and never to nothing: a call of which less is left
//! than the field can say is not made.
//!
//! # What the client sees
//!
//! | | HTTP | gRPC |
//! |---|---|---|
//! | a field that is malformed or stands twice | 400 | 3 |
//! | a deadline that has passed before the service was asked, or before its head was there | 504 | 4 |
//! | one that passed within a body, where bodies are covered | the connection or stream is cut | 4, in the trailers |
//! | a try that got no answer, if it was the last | 504 | 4 |
//!
//! The call is dropped before the answer is given. An answer that is there when the deadline is looked at counts, even if it is
//! seen late.
//!
//! [`TryTimeoutLayer`] says what became of a call that was made, so that its answer carries [`TimedOut`](crate::TimedOut) and
//! no [`Rejection`](crate::Rejection): circuit breakers count it, retries try again.
//!
//! # Order
//!
//! On the server: outside everything that waits (pacing, authentication by other servers, bodies that are read), inside what
//! must see every response. On the client, outermost first: the deadline, retry, circuit breaker, **the timeout for each
//! try**, bulkhead, **what tells the next server**, client.
//!
//! Where to put which timeout:
//!
//! - The deadline outside retries is what the client waits in all. The timeout inside them is for one try, so that a server
//!   that hangs leaves time for another one: about the deadline divided by the tries, and above the slowest answer that is
//!   still a good one.
//! - A timeout inside a circuit breaker is counted by it. Outside, it is seen as a call that was left.
//! - Outside a bulkhead, the wait for a place counts, and a call that waited too long gives its turn up.
//! - A server's maximum is a little shorter than that of the proxy before it, so that the one who knows more answers.
//!
//! Time spent in `poll_ready` is not counted, since there is no request yet. Waiting needs a tokio runtime: without one, calls
//! take as long as they like, which is said once.
//!
//! # Cost
//!
//! One reading of the clock, and the extension that holds the deadline. A timer is made when the service does not answer at
//! once: one allocation. A layer whose terms bound nothing reads no clock.

mod body;
mod describe;
mod future;
mod layer;
mod propagate;
mod service;
mod terms;
mod timeout;
mod try_timeout;

pub use self::body::DeadlineBody;
pub use self::future::{BodyResponseFuture, ResponseFuture};
pub use self::layer::{DeadlineBodyLayer, DeadlineLayer, Deadlines};
pub use self::propagate::{PropagateDeadlineLayer, PropagateDeadlineService};
pub use self::service::{DeadlineBodyService, DeadlineService};
pub use self::timeout::TimeoutField;
pub use self::try_timeout::{TryFuture, TryTimeoutLayer, TryTimeoutService};
