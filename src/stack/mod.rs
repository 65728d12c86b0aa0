//! The paved path: every layer of a service as one layer, each in its right place.
//!
//! # When to use it
//!
//! As soon as there are two layers. In another order they are worse in ways that nobody sees: a cache outside of
//! authorization tells everybody, validation outside of authentication reads the bodies of strangers, a limit inside of it
//! lets a flood have its signatures checked. A [`Stack`] puts layers into their order, whatever order they are given in:
//!
//! ```
//! # #[cfg(all(feature = "auth", feature = "axum", feature = "deadline", feature = "rate-limit", feature = "security-headers"))] {
//! use std::time::Duration;
//! use axum::{Router, routing::get};
//! use tower_rampart::auth::{ApiKeys, Auth};
//! use tower_rampart::deadline::Deadlines;
//! use tower_rampart::rate_limit::{Quota, RateLimit};
//! use tower_rampart::security_headers::SecurityHeadersLayer;
//! use tower_rampart::stack::Stack;
//!
//! let layer = Stack::new()
//!     .auth(Auth::new().api_keys(ApiKeys::default()).build()?)
//!     .rate_limit_by_address(RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build()?)
//!     .deadline(Deadlines::new().build()?)
//!     .security_headers(SecurityHeadersLayer::api())
//!     .build()?;
//! assert_eq!(
//!     layer.describe(),
//!     "security headers       8 fields, HSTS when secure; 78 removed\n\
//!      deadline               30s at most, less by grpc-timeout, up to the head\n\
//!      rate limit by address  default: 100 per 1m\n\
//!      auth                   API keys of 0; strangers are refused",
//! );
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(layer);
//! # }
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! On axum this is `Router::layer`, `Router::route_layer`, or a handler's. Around a whole router, where it runs before
//! routing, its answers need axum's own body: `MapResponseLayer::new(IntoResponse::into_response).layer(layer.layer(app))`.
//! The same layer on tonic, for all services or for one:
//!
//! ```
//! # #[cfg(all(feature = "deadline", feature = "tonic"))] {
//! use tonic::{service::LayerExt, transport::Server};
//! use tower_rampart::deadline::Deadlines;
//! use tower_rampart::stack::Stack;
//!
//! let layer = Stack::new().deadline(Deadlines::new().build()?).build()?;
//! let (_, health) = tonic_health::server::health_reporter();
//! let for_all = Server::builder().layer(layer.clone()).add_service(health.clone());
//! let for_one = Server::builder().add_service(layer.named_layer(health));
//! # }
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! And on plain hyper, where each connection says who its peer is:
//!
//! ```
//! # #[cfg(feature = "deadline")]
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::convert::Infallible;
//! use http::{Request, Response};
//! use hyper_util::{rt::TokioExecutor, rt::TokioIo, server::conn::auto, service::TowerToHyperService};
//! use tower::{Layer, service_fn};
//! use tower_rampart::deadline::Deadlines;
//! use tower_rampart::key::{PeerAddr, PeerAddrLayer};
//! use tower_rampart::stack::Stack;
//!
//! async fn hello(_: Request<hyper::body::Incoming>) -> Result<Response<String>, Infallible> {
//!     Ok(Response::new("hello".to_owned()))
//! }
//!
//! // Once: what is made for each connection counts for itself.
//! let service = Stack::new().deadline(Deadlines::new().build()?).build()?.layer(service_fn(hello));
//!
//! # let (client, stream) = tokio::io::duplex(1024);
//! # let peer = std::net::SocketAddr::from(([192, 0, 2, 1], 4711));
//! # tokio::spawn(async move {
//! // `stream` and `peer` are what `TcpListener::accept` gives.
//! let service = PeerAddrLayer::new(PeerAddr::new(peer)).layer(service.clone());
//! let connection = auto::Builder::new(TokioExecutor::new());
//! connection.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)).await
//! # });
//! # use tokio::io::{AsyncReadExt, AsyncWriteExt};
//! # let mut client = client;
//! # client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await?;
//! # let mut answer = String::new();
//! # client.read_to_string(&mut answer).await?;
//! # assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "deadline"))]
//! # fn main() {}
//! ```
//!
//! # Places
//!
//! | place, outermost first | what stands there | why there |
//! |---|---|---|
//! | [`outermost`](Stack::outermost) | any layer | |
//! | [`request_id`](Stack::request_id) | tower-http | everything that reports names it |
//! | [`trace`](Stack::trace) | tower-http | it sees every outcome, refusals too |
//! | [`catch_panic`](Stack::catch_panic) | tower-http | its 500 is traced |
//! | `security_headers` | [`security_headers`](crate::security_headers) | refusals and preflights have them |
//! | [`cors`](Stack::cors) | tower-http | preflights are answered before anybody is asked who they are, and pages can read refusals |
//! | `load_shed` | [`load_shed`](crate::load_shed) | the cheapest no |
//! | `deadline` | [`deadline`](crate::deadline) | it covers whatever waits further in |
//! | [`body_limit`](Stack::body_limit) | tower-http | before anybody reads |
//! | `rate_limit_by_address` | [`rate_limit`](crate::rate_limit) | no signature is checked for a flood |
//! | [`before_auth`](Stack::before_auth) | any layer | |
//! | `auth` | [`auth`](crate::auth), or a layer that [`Authenticates`] | |
//! | `rate_limit_by_identity` | [`rate_limit`](crate::rate_limit) | by who it is, and not by who it says it is |
//! | `authz` | [`authz`](crate::authz) | |
//! | [`after_authz`](Stack::after_authz) | any layer: idempotency keys | what is kept for one caller is not played to another |
//! | `validate` | [`validate`](crate::validate) | bodies are read for those who may |
//! | `cache` | [`cache`](crate::cache) | only who may have the answer gets it |
//! | [`compression`](Stack::compression) | tower-http | a hit is compressed already |
//! | `validate_responses` | [`validate`](crate::validate) | before they are compressed or stored |
//! | [`innermost`](Stack::innermost) | any layer | |
//!
//! A place takes one layer; where it takes any, a pair, `(outer, inner)`, is one.
//!
//! Around a client, an [`UpstreamStack`] has its own: outermost, deadline, retry, adaptive throttle, circuit breaker, the
//! timeout for each try, bulkhead, what tells the next server of the deadline, innermost.
//!
//! ```
//! # #[cfg(all(feature = "bulkhead", feature = "circuit-breaker", feature = "deadline", feature = "retry"))] {
//! use std::time::Duration;
//! use tower::{Layer, service_fn};
//! use tower_rampart::bulkhead::Bulkhead;
//! use tower_rampart::circuit_breaker::CircuitBreaker;
//! use tower_rampart::deadline::{PropagateDeadlineLayer, TryTimeoutLayer};
//! use tower_rampart::retry::{Retries, ReplayBody, RetryLayer};
//! use tower_rampart::stack::UpstreamStack;
//!
//! let layer = UpstreamStack::new()
//!     .retry(RetryLayer::new(Retries::new().build()?))
//!     .circuit_breaker(CircuitBreaker::new("payments").build()?)
//!     .try_timeout(TryTimeoutLayer::new(Duration::from_secs(2))?)
//!     .bulkhead(Bulkhead::new(64).build()?)
//!     .propagate_deadline(PropagateDeadlineLayer::grpc())
//!     .build();
//! // What is tried again has a body that can be sent again.
//! let client = layer.layer(service_fn(|_: http::Request<ReplayBody<String>>| async {
//!     Ok::<_, std::convert::Infallible>(http::Response::new(String::new()))
//! }));
//! # }
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # What cannot be built
//!
//! | mistake | what comes of it |
//! |---|---|
//! | authorization, or a limit by identity, without authentication | it does not compile, and the message names what to add |
//! | two layers for one place | it does not compile |
//! | a layer of your own authenticates, and does not say that it puts an [`Identity`](crate::Identity) into requests, by which the cache keeps callers apart | it does not compile: see [`Authenticates`] |
//! | the authentication layer is an empty one, and something behind it asks for callers | [`Stack::build`] is an error |
//! | a policy of one limiter has the name of the other's, by which clients cannot tell their quotas apart | [`Stack::build`] is an error |
//! | rules of a configuration ask for callers, and it has no `[auth]` | loading it is an error, which names the rule |
//!
//! # From a configuration
//!
//! With feature `config`, a `StackConfig` is the tables of a whole stack, and all stacks of configurations are of one type:
//! so a [`ReloadableLayer`] can exchange them while they run. A configuration that is wrong changes nothing.
//!
//! ```
//! # #[cfg(all(feature = "config", feature = "security-headers", feature = "rate-limit"))] {
//! use std::path::Path;
//! use tower_rampart::config::{self, StackConfig};
//! use tower_rampart::stack::ReloadableLayer;
//!
//! let load = |text: &str| config::parse::<StackConfig>(text, "stack.toml")?.load(Path::new("."));
//! let running = load("[security_headers]\n")?;
//! let layer = ReloadableLayer::new(running.stack().build()?);
//! let handle = layer.handle();
//! // `layer` goes to `Router::layer`, and `handle` to whoever watches the file.
//!
//! let error = handle.try_replace(|_| load("[security_header]\n")?.stack().build()).unwrap_err();
//! assert!(error.to_string().starts_with("stack.toml:1: security_header: `security_header` is no known key"));
//! assert_eq!(handle.current().describe(), "security headers  8 fields, HSTS when secure; 78 removed");
//!
//! // It goes on with what was counted, learnt and fetched.
//! let next = load("[security_headers]\npreset = \"web\"\n")?.adopt(&running);
//! handle.replace(next.stack().build()?);
//! # }
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # Cost
//!
//! Of its own, none: the service is what the layers make of the handler, and an empty place is no part of it. On axum each
//! `Router::layer` is a box for the service, one for its future and one for the body of its answer, for each request; a
//! stack of any height is one such call: for six layers half the instructions, and 8 allocations instead of 48. A
//! [`ReloadableLayer`] reads one number for each request. After an exchange, where requests get clones of a service that is
//! never called itself, it makes each of them anew, which costs as much as the clone.

mod building;
#[cfg(feature = "config")]
mod configured;
mod kinds;
mod layer;
mod lines;
mod order;
mod place;
mod reload;
mod server;
mod upstream;

#[cfg(feature = "config")]
pub(crate) use self::configured::Configured;
#[cfg(all(
    feature = "config",
    feature = "bulkhead",
    feature = "circuit-breaker",
    feature = "deadline",
    feature = "retry"
))]
pub use self::configured::ConfiguredUpstreamPlaces;
#[cfg(feature = "config")]
pub use self::configured::{ConfiguredLayer, ConfiguredPlaces};
#[cfg(feature = "circuit-breaker")]
pub use self::kinds::BreaksCircuits;
#[cfg(feature = "deadline")]
pub use self::kinds::KeepsDeadlines;
#[cfg(feature = "rate-limit")]
pub use self::kinds::LimitsRequests;
pub use self::layer::StackLayer;
pub use self::order::{places, upstream_places};
pub use self::place::{After, At, Empty, Filled, First, Free, Knows, Outside, Place, Places, Put};
pub use self::reload::{ReloadHandle, ReloadableLayer, ReloadableService};
pub use self::server::{Authenticates, NoLayers, Stack};
pub use self::upstream::{NoUpstreamLayers, UpstreamStack};
