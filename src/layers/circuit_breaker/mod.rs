//! A circuit breaker: fail fast on a dependency that is unwell, and let it recover without a stampede.
//!
//! # When to use it
//!
//! Around whatever a service calls and cannot do without for long: an HTTP or gRPC client, an upstream, a database. While
//! the dependency is down, callers get their answer at once instead of after a timeout, and it is left alone to recover.
//! Where calls are few, `consecutive_failures` sees an outage first; where they are many, the rates do.
//!
//! # Around a client
//!
//! ```
//! use bytes::Bytes;
//! use http::Request;
//! use http_body_util::Empty;
//! use hyper_util::client::legacy::Client;
//! use hyper_util::rt::TokioExecutor;
//! use tower::{Layer, ServiceExt};
//! use tower_rampart::circuit_breaker::CircuitBreaker;
//! use tower_rampart::client::ClientError;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let breaker = CircuitBreaker::new("payments").consecutive_failures(3).build()?;
//! let handle = breaker.handle();
//! let client = breaker.client().layer(Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>());
//!
//! # let nobody = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?;
//! let call = || client.clone().oneshot(Request::get(format!("http://{nobody}/")).body(Empty::new()).unwrap());
//! for _ in 0..3 {
//!     // Nobody is there: connections are refused.
//!     assert!(matches!(call().await, Err(ClientError::Inner(_))));
//! }
//! // From now on nobody is asked, and the error says when to come back.
//! let refused = call().await.unwrap_err();
//! assert!(refused.is_refused() && refused.retry_after().is_some());
//! assert_eq!(handle.snapshot().totals.opened, 1);
//! # Ok(())
//! # }
//! ```
//!
//! # As a layer like any other, configured
//!
//! ```
//! use std::time::Duration;
//! use tower_rampart::circuit_breaker::{CircuitBreaker, OnAbandoned, Window};
//! use tower_rampart::key::AuthorityKey;
//!
//! let layer = CircuitBreaker::new("upstreams")
//!     // A circuit for each host, a thousand at most.
//!     .per_key(AuthorityKey, 1000)
//!     .window(Window::time(Duration::from_secs(10)))
//!     .failure_rate(0.5)
//!     .min_calls(20)
//!     .slow_call(Duration::from_secs(2))
//!     .slow_rate(0.8)
//!     .open_for(Duration::from_secs(1))
//!     .max_open(Duration::from_secs(60))
//!     .probes(3)
//!     .probes_needed(2)
//!     .ramp_up(Duration::from_secs(10))
//!     .on_abandoned(OnAbandoned::FailAfter(Duration::from_secs(1)))
//!     .on_change(|name, change| println!("{name}: {} -> {} ({})", change.from, change.to, change.reason))
//!     .build()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # The states
//!
//! ```text
//!                 failures in a row, failure rate, slow rate
//!      ┌────────┐ ────────────────────────────────────────▶ ┌────────┐
//!      │ closed │                                           │  open  │ ◀── too many probes failed
//!      └────────┘ ◀──┐                                      └────────┘     or hung: twice as long
//!           ▲        │                                          │              ▲
//!           │        └─────── enough probes ──────┐             │ the interval │
//!  all pass │                   succeeded         │             ▼ is over      │
//!      ┌─────────┐                               ┌───────────────┐             │
//!      │ ramp-up │ ◀──────────────────────────── │   half-open   │ ────────────┘
//!      └─────────┘   (where there is a ramp)     └───────────────┘
//!
//!      forced open: until its time, then half-open      disabled: all pass, nothing counts
//! ```
//!
//! - **Closed.** The window is one that slides: the last calls, each pushed out by the next, or the last seconds in ten
//!   buckets. It is judged after each failure and slow call, at the call that makes `min_calls` full, and, by time, as
//!   old calls leave it. It need not be full.
//! - **Open.** For `open_for`, doubling each time in a row up to `max_open`, give or take `jitter`. What the dependency
//!   asked for (`Retry-After`, `grpc-retry-pushback-ms`) makes it longer, up to `max_open`. Openings are
//!   forgotten one by one, for each `forget_after` of health.
//! - **Half-open.** `probes` calls pass at a time, and never one more. It closes when `probes_needed` have succeeded and opens as
//!   soon as that is out of reach. A probe has a lease: one that hangs is a failure, one whose answer came in time
//!   and streams on is a success. One that is left, or says nothing, gives its slot to the next; so does one that its
//!   caller holds up (below), which goes on beside its successor.
//! - A result counts only in the state in which its call began. It moves with calls, never by itself: no task, no timer.
//!
//! # What counts
//!
//! | what happened | verdict |
//! |---|---|
//! | 2xx, 3xx, 4xx, 501, 505 | success, once the body has ended or been left |
//! | 408, 425, other 5xx | failure; with `Retry-After` too, which also makes the time open longer |
//! | 429; gRPC 8 | overload: counts in the rate and fails probes, but not in a row |
//! | gRPC 2, 4, 13, 14, 15, in headers or trailers; no gRPC status at all | failure |
//! | gRPC-web, whose status is in its body | success, but for a status in its head |
//! | other gRPC statuses | success; CANCELLED after a slow call is a timeout, and a failure |
//! | an error of the service, in `poll_ready` too | failure, unless [`classify_errors`](CircuitBreaker::classify_errors) says otherwise |
//! | a body that breaks off | failure |
//! | a panic | failure |
//! | a call that is left, by an outer timeout say | failure when it was slow ([`OnAbandoned`]), else nothing |
//! | a refusal by a layer further in, as a response; as an error with [`RefusalsAside`] | nothing |
//! | a [`Rejection`](crate::Rejection) for a deadline that passed further in | as a call that is left |
//! | a head that comes after `slow_call` | slow, beside the above; a slow probe has failed |
//! | a call that something else held up, where the request carries a [`Holdup`](crate::Holdup) | its time counts from when nothing did; cut off meanwhile, or soon after: nothing |
//!
//! A client that sends half a body and waits makes every service slow: before one that takes bodies from strangers, put a
//! [`Holdup`](crate::Holdup) into each request, outside of this layer. It also tells the wait for a place in a bulkhead further
//! in from the service's time. A probe that is held up when its lease ends has not failed: the next call has its slot, and what
//! the held-up one comes to in the end says nothing. So callers that stall their probes do not open a circuit again. Sixteen
//! calls at most have lost their slots and go on; beyond, such a probe has failed. A timeout for uploads, or a bulkhead, ends them
//! sooner.
//!
//! Errors in `poll_ready` belong to no request, and so to no key.
//!
//! # What the client sees
//!
//! | form | a refused call |
//! |---|---|
//! | [`CircuitBreakerLayer`], HTTP | 503 `application/problem+json`, `Retry-After` of 1 s or more |
//! | [`CircuitBreakerLayer`], gRPC | `grpc-status: 14`, `grpc-retry-pushback-ms` |
//! | [`CircuitBreakerLayer::client`] | [`ClientError::Refused`](crate::client::ClientError::Refused) |
//! | [`on_refused`](CircuitBreaker::on_refused) | what the hook answers |
//! | [`WhenOpen::Pend`] | the service is not ready, and a balancer takes another |
//!
//! Each carries the [`Rejection`](crate::Rejection), in the response's extensions or the error's chain
//! ([`Rejection::in_error`](crate::Rejection::in_error)): what retries must leave such calls alone.
//!
//! # Clients that are no tower service
//!
//! reqwest, a database, a queue: [`CircuitBreakerHandle::admit`] gives leave for one call.
//!
//! ```
//! use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerHandle};
//! # struct Reqwest; struct Answer(u16); struct Failed;
//! # impl Answer { fn status(&self) -> u16 { self.0 } }
//! # impl Reqwest { async fn send(&self) -> Result<Answer, Failed> { Ok(Answer(200)) } }
//!
//! async fn guarded(breaker: &CircuitBreakerHandle, client: &Reqwest) -> Option<Answer> {
//!     // Dropped at an await, the permit is a call that was left.
//!     let permit = breaker.admit().ok()?;
//!     match client.send().await {
//!         Ok(answer) if answer.status() < 500 => {
//!             permit.success();
//!             Some(answer)
//!         }
//!         _ => {
//!             permit.failure();
//!             None
//!         }
//!     }
//! }
//! ```
//!
//! # Order in the stack
//!
//! Toward a dependency, outermost first: retry, **circuit breaker**, timeout of one try, bulkhead, client.
//!
//! - **Timeouts inside**, so that a timeout is an answer like any other. One outside is seen too, but only where the call
//!   was slow when it was cut off: keep `slow_call`, or [`OnAbandoned::FailAfter`], below it.
//! - **Retries outside**, so that each try is counted, and a circuit that opens ends them. They must leave refusals
//!   alone; a refusal costs no budget.
//! - **The bulkhead inside**, since its refusals say nothing of the dependency. A probe that it refuses gives its slot back.
//! - On a server's side it may stand on routes whose handlers call one dependency; around the client is better.
//!
//! # Cost
//!
//! A call through a closed circuit takes no lock, allocates nothing and boxes nothing: one atomic word says what to do, and
//! the window is atomics too. Only time windows, slow calls and open circuits read the clock. A time window costs the
//! same at any traffic. Circuits by key are found under a read lock. A refusal of the client form allocates nothing
//! beside what `metrics` needs to count it; one that is a response allocates the response. `benches/peers` has the numbers.
//!
//! State is this process's own. What another instance sees of a dependency may differ for good reasons, and a shared store
//! would be one more thing to break.

mod circuit;
mod circuits;
mod client;
mod describe;
mod errors;
mod forced;
mod future;
mod half_open;
mod handle;
mod judge;
mod layer;
mod machine;
mod permit;
mod probes;
mod readiness;
mod registry;
mod service;
mod settings;
mod stalls;
mod state;
mod sync;
mod terms;
mod window;
mod word;

pub use self::client::{CircuitBreakerClientLayer, CircuitBreakerClientService};
pub use self::errors::{AllErrors, ClassifyError, ErrorsBy, RefusalsAside};
pub use self::future::{ClientFuture, ResponseFuture};
pub use self::handle::{Changed, CircuitBreakerHandle, CircuitBreakerSnapshot, Counts, Watch};
pub use self::layer::{CircuitBreaker, CircuitBreakerLayer};
pub use self::permit::Permit;
pub use self::readiness::Readiness;
pub use self::service::CircuitBreakerService;
pub use self::settings::{Mode, OnAbandoned, WhenOpen, Window};
pub use self::state::{Change, Reason, State};
