//! Composable [tower](https://docs.rs/tower) layers that defend and speed up HTTP and gRPC services. The same layer value
//! runs on axum, tonic, plain hyper and around clients: no error adapters, no framework in its types, and hardly any
//! boxed futures ([what a layer promises](#what-a-layer-promises)).
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "rate-limit", feature = "security-headers"))] {
//! use std::{net::SocketAddr, time::Duration};
//! use axum::{Router, routing::get};
//! use tower_rampart::rate_limit::{Quota, RateLimit};
//! use tower_rampart::security_headers::SecurityHeadersLayer;
//! use tower_rampart::stack::Stack;
//!
//! let layer = Stack::new()
//!     .security_headers(SecurityHeadersLayer::api())
//!     .rate_limit_by_address(RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build()?)
//!     .build()?;
//! let app: Router = Router::new().route("/", get(|| async { "hello" })).layer(layer);
//! // With connect info the layers know who the client is.
//! let app = app.into_make_service_with_connect_info::<SocketAddr>();
//! # }
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! The README begins there, and `docs/recipes.md` has whole programs for axum, tonic, hyper, reqwest and tests.
//!
//! # Where things are
//!
//! Each module is its own manual: when to use it, two examples, what clients see, where it stands, what it costs.
//!
//! | module | what is in it |
//! |---|---|
//! | [`security_headers`] | the fields that browsers heed: presets, a typed policy with nonces |
//! | [`load_shed`], [`bulkhead`] | no more than can be done: a limit that finds itself, a bound that is set; a client's throttle |
//! | [`deadline`] | until when: for a request, for each try, and told to the next server |
//! | [`rate_limit`] | how often: by client, user, route or whatever a key is made of; alone or as several instances |
//! | [`auth`], [`authz`] | who it is, and what they may |
//! | [`validate`] | what may come: heads, bodies, JSON Schema, OpenAPI |
//! | [`cache`] | what was answered before: RFC 9111, one call for a herd, purging by tag |
//! | [`retry`], [`circuit_breaker`] | once more, and whether it is worth asking |
//! | [`stack`] | all of them as one layer, in their order; exchanged while it runs |
//! | [`key`] | whose a request is: addresses behind proxies, callers, fields, tuples, closures |
//! | [`problem`], [`Refuser`] | what a refusal looks like: RFC 9457, gRPC, or as you like |
//! | [`classify`] | what a response, an error or a body's end counts as |
//! | [`client`] | the typed error of layers around clients |
//! | [`config`] | all of it from TOML |
//! | [`redis`] | what instances share |
//! | [`bounds`] | what layers ask of services and bodies |
//! | [`Clock`] | time, which tests move by hand |
//!
//! # In which order
//!
//! Outermost first; [`stack::Stack`] keeps it, whatever order it is told in.
//!
//! | what | why there |
//! |---|---|
//! | request id, trace, catch-panic | they see and name every outcome |
//! | security headers | every response has them, refusals and preflights too |
//! | CORS | preflights carry no credentials, and pages may read refusals |
//! | load shedding | the cheapest no |
//! | deadline | it covers whatever waits further in |
//! | body limit | it bounds bodies before anything looks at them |
//! | rate limit by address | no signature is checked for a flood, and passwords are not guessed |
//! | authentication | everything further in asks who it is |
//! | rate limit by identity | by who it is, and not by who it says it is |
//! | authorization | nothing costly runs for who may not |
//! | validation | bodies are read for those who may |
//! | cache | only who may have an answer gets one |
//! | compression | a hit is compressed already |
//! | validation of responses | nothing that is not as described is compressed or stored |
//!
//! Around a client: the deadline of the whole call, retry, adaptive throttle, circuit breaker, the timeout for each try,
//! bulkhead, what tells the next server of the deadline, and the client. Each try is counted and timed by itself, and a breaker
//! that is open costs no place.
//!
//! # Where on axum
//!
//! A layer value goes to any of these places; `tests/stack/mounts.rs` asks axum what is seen in each.
//!
//! | | [`Router::layer`] | [`Router::route_layer`] | around the router |
//! |---|---|---|---|
//! | routes that were added before | seen | seen | seen |
//! | routes that are added afterwards | not seen | not seen | seen |
//! | another method (405) | seen | seen | seen |
//! | no such route (404, the fallback) | seen, if the fallback was set before | not seen | seen |
//! | the route's template ([`RouteKey`](key::RouteKey)) | known | known | not known yet |
//! | the path within a nested router | the whole one, from outside | the whole one, from outside | the whole one |
//!
//! On a router that is nested afterwards, a layer sees requests for its own routes alone, and a path without what led there; rules of
//! [`authz`] and [`validate`] still speak of the whole path, which axum keeps as `OriginalUri`. So: [`Router::layer`] on the outermost
//! router for whatever every response must have or every request must pass, `route_layer` for what is about routes, around the
//! router for what must know nothing of it, or change the path before it is matched.
//!
//! Around the router, answers need axum's own body, and then axum serves it:
//!
//! ```
//! # #[cfg(all(feature = "axum", feature = "security-headers"))] {
//! use std::net::SocketAddr;
//! use axum::{Router, ServiceExt, extract::Request, response::IntoResponse};
//! use tower::{Layer, util::MapResponseLayer};
//! use tower_rampart::security_headers::SecurityHeadersLayer;
//!
//! let app = SecurityHeadersLayer::api().layer(Router::<()>::new());
//! let app = MapResponseLayer::new(IntoResponse::into_response).layer(app);
//! let app = ServiceExt::<Request>::into_make_service_with_connect_info::<SocketAddr>(app);
//! // axum::serve(listener, app)
//! # }
//! ```
//!
//! [`Router::layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.layer
//! [`Router::route_layer`]: https://docs.rs/axum/0.8/axum/struct.Router.html#method.route_layer
//!
//! # Features
//!
//! Nothing is on by default. `full` turns on all features but two: `auth-rust-crypto`, the alternative to `auth`, and
//! `test-util`.
//!
//! | feature | what it gives |
//! |---|---|
//! | `auth` | authentication by JSON Web Tokens, checked as RFC 8725 and its successor ask, API keys, passwords and client certificates; keys fetched and rotated; authorization by a table of rules, deny by default; needs a C compiler, for aws-lc |
//! | `auth-rust-crypto` | the same with signatures by RustCrypto, for builds without a C compiler, and so with neither `auth-https-client` nor `redis`; RSA and ECDSA are then five to fifteen times slower |
//! | `auth-introspection` | opaque tokens, checked with their issuer (RFC 7662); needs `auth` or `auth-rust-crypto` too |
//! | `auth-https-client` | a client that fetches keys and asks about opaque tokens, by hyper and rustls, whose aws-lc needs a C compiler; any tower HTTP service will do as well; needs `auth` or `auth-rust-crypto` too |
//! | `cache` | a shared response cache (RFC 9111): validation, `Vary`, ranges, stale-while-revalidate, one call for a herd, purging by tag |
//! | `circuit-breaker` | a breaker that fails fast and recovers with exactly so many probes: windows that slide, verdicts from bodies and gRPC trailers, by key, as a response or a typed error |
//! | `deadline` | how long a request may take, by `grpc-timeout`, fields of yours and a maximum; the next server is told what is left; a timeout for each try |
//! | `bulkhead` | bounded concurrency, by key and in all, with a bounded queue; places are held to the end of the body, and none by clones that are ready |
//! | `load-shed` | load shedding by a limit that finds itself (Gradient2, AIMD), by criticality, health checks spared; the client's adaptive throttle by the SRE book's formula |
//! | `rate-limit` | token buckets, fixed windows, pacing and limits in flight per client, user, route or whatever a key is made of; bounded memory, standard fields |
//! | `retry` | a policy for tower's retry: what may be made twice, `Retry-After` and gRPC pushback, bodies that can be sent again, a budget, never past the deadline |
//! | `security-headers` | presets, a typed and checked Content-Security-Policy with lazy nonces, HSTS, fingerprint removal |
//! | `validate` | input validation: hardening of paths, queries and header fields; bodies bounded in length, time and memory; JSON and forms read strictly and handed on as they came, multipart forms and gRPC messages followed while they stream |
//! | `json-schema` | JSON Schema for the bodies of described requests, drafts 4 to 2020-12, compiled once, offline, in linear time |
//! | `decompression` | JSON and forms that come as gzip, deflate or br, where that is allowed: looked at decoded, within a bound, and handed on as they came |
//! | `openapi` | whole OpenAPI documents, 3.0 to 3.2: parameters in all styles, bodies by type, and responses if asked; everything wrong with a document is told when it is read |
//! | `openapi-yaml` | the same written as YAML |
//! | `axum` | the client's address from `ConnectInfo`, route templates, extractors for `CspNonce`, `Identity`, `Claims` and `Validated` |
//! | `tonic` | the client's address and TLS state from tonic's connection info |
//! | `metrics` | counters through the `metrics` facade |
//! | `config` | layers from TOML, with errors that name file, line, key, value and mend |
//! | `test-util` | for your tests: suites that say whether a store of your own keeps what it promises; beside `auth`, an authority whose keys rotate |
//! | `redis` | several instances that count as one, through Redis 6.2 and later, a Redis Cluster, or Valkey: one command for each admitted request, none for a client that is refused; through outages without it; a second tier for caches, with purges that all hear; revocations; needs a C compiler, for aws-lc |
//!
//! # What a layer promises
//!
//! - `Error` is the inner service's error, unchanged. A refusal is a response: `application/problem+json` for HTTP, a
//!   trailers-only status for gRPC. `.client()` of a layer is its form for clients, with a typed error.
//! - The service that was polled ready is the one that is called. Three exceptions call a clone, which they poll ready first:
//!   the cache, so that no hit waits for the origin; retry, for each further try; limits and bulkheads, for a request that
//!   had to wait.
//! - Dropping a future releases all it held.
//! - On the path that waits for nothing there is no boxed future, and no allocation beyond the header fields and request
//!   extensions that must be added, and what reading a token or a body takes. Two exceptions: the cache boxes what goes on to
//!   the origin, and retry copies the head and extensions of what may be tried again.
//! - Everything is bounded, nothing is echoed, nothing panics while requests run, and there is no `unsafe`.
//!
//! # When it does not compile
//!
//! The compiler is told what to say of the commonest mistakes: read its first lines, and the notes below them. Two it puts in its
//! own words. `the trait bound Result<.., ConfigError>: Layer<..> is not satisfied` lacks a `?` after `.build()`. And where a method
//! such as `oneshot` or `call` "exists, but its trait bounds were not satisfied", it does not say why; it does for a function that
//! asks for no more, as servers do:
//!
//! ```
//! fn is_service<B, S: tower::Service<http::Request<B>>>(_: &S) {}
//! ```
//!
//! What the layer wraps is often to blame: behind [`validate`] requests have a `CheckedBody`, behind [`retry`] a `ReplayBody`.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs, unnameable_types, unreachable_pub)]
// Nothing reachable from a request may panic, and every public enum and struct can grow or says why not.
#![warn(
    clippy::exhaustive_enums,
    clippy::exhaustive_structs,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_errors_doc,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::panic,
    clippy::unwrap_used
)]

mod integration;
mod layers;
mod spine;
pub mod stack;
mod wiring;

pub use self::spine::body::ResponseBody;
#[cfg(feature = "_auth")]
pub use self::spine::certificate::ClientCertificate;
#[cfg(feature = "_auth")]
pub use self::spine::challenge::Challenge;
pub use self::spine::clock::{Clock, ClockHand};
pub use self::spine::config::ConfigError;
pub use self::spine::deadline::{Deadline, TimedOut};
pub use self::spine::event::Origin;
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "retry"))]
pub use self::spine::holdup::{Holdup, WatchedBody};
pub use self::spine::identity::Identity;
pub use self::spine::path::PathPattern;
pub use self::spine::rejection::{Refuser, Rejection, RenderRejection};
pub use self::spine::request::{Protocol, RequestFacts, RequestId, RequestView};
pub use self::spine::response::ResponseView;
#[cfg(feature = "cache")]
pub use self::spine::shared::{BodyError, SharedBody};
pub use self::spine::{key, problem};

/// What layers ask of services and bodies.
pub mod bounds {
    pub use crate::spine::bounds::{BytesBody, CloneService};
}

/// What counts as failure, overload, or nothing.
pub mod classify {
    pub use crate::spine::classify::{BodyEnd, HeadVerdict, Verdict, classify_end, classify_head};
    pub use crate::spine::outcome::{ObserveEnd, ObservedBody};
}

/// What layers have for the client's side.
pub mod client {
    pub use crate::spine::client_error::ClientError;
    #[cfg(any(feature = "bulkhead", feature = "deadline", feature = "load-shed"))]
    pub use crate::spine::form::{AsError, AsResponse, Form};
}

#[cfg(feature = "bulkhead")]
pub use self::layers::bulkhead;
#[cfg(feature = "cache")]
pub use self::layers::cache;
#[cfg(feature = "circuit-breaker")]
pub use self::layers::circuit_breaker;
#[cfg(feature = "deadline")]
pub use self::layers::deadline;
#[cfg(feature = "load-shed")]
pub use self::layers::load_shed;
#[cfg(feature = "rate-limit")]
pub use self::layers::rate_limit;
#[cfg(feature = "retry")]
pub use self::layers::retry;
#[cfg(feature = "security-headers")]
pub use self::layers::security_headers;
#[cfg(feature = "validate")]
pub use self::layers::validate;
#[cfg(feature = "_auth")]
pub use self::layers::{auth, authz};

#[cfg(feature = "config")]
pub use self::integration::config;
#[cfg(feature = "redis")]
pub use self::integration::redis;

/// What axum's handlers extract: valid content, and why there is none.
#[cfg(feature = "axum")]
pub mod axum {
    pub use crate::integration::axum::ExtractorRejection;
    #[cfg(feature = "json-schema")]
    pub use crate::integration::axum::Validated;
}

// The examples of these pages run as tests.
#[cfg(all(doctest, feature = "full"))]
#[doc = include_str!("../README.md")]
mod readme {}

#[cfg(all(doctest, feature = "full", feature = "test-util"))]
#[doc = include_str!("../docs/recipes.md")]
mod recipes {}
