// README's examples need all features, so that its doctests run where they are on.
#![cfg_attr(feature = "full", doc = include_str!("../README.md"))]
#![cfg_attr(not(feature = "full"), doc = "Composable tower layers that defend and speed up HTTP and gRPC services.")]
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
pub use self::spine::identity::Identity;
pub use self::spine::path::PathPattern;
pub use self::spine::rejection::{Refuser, Rejection, RenderRejection};
pub use self::spine::request::{Protocol, RequestFacts, RequestId, RequestView};
pub use self::spine::response::ResponseView;
#[cfg(feature = "cache")]
pub use self::spine::shared::{BodyError, SharedBody};
pub use self::spine::{key, problem};

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
