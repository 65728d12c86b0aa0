#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![forbid(unsafe_code)]
#![warn(missing_docs, unreachable_pub)]

mod integration;
mod layers;
mod spine;
mod wiring;

pub use self::spine::body::ResponseBody;
pub use self::spine::clock::{Clock, ClockHand};
pub use self::spine::config::ConfigError;
pub use self::spine::event::Origin;
pub use self::spine::identity::Identity;
pub use self::spine::rejection::{Refuser, Rejection, RenderRejection};
pub use self::spine::request::{Protocol, RequestFacts, RequestId, RequestView};
pub use self::spine::{key, problem};

/// What counts as failure, overload, or nothing.
pub mod classify {
    pub use crate::spine::classify::{BodyEnd, HeadVerdict, Verdict, classify_end, classify_head};
}

#[cfg(feature = "security-headers")]
pub use self::layers::security_headers;

#[cfg(feature = "config")]
pub use self::integration::config;

/// axum extractors' refusals.
#[cfg(feature = "axum")]
pub mod axum {
    pub use crate::integration::axum::ExtractorRejection;
}
