//! What every layer stands on. It imports no layer and no framework.

pub(crate) mod body;
#[cfg(feature = "auth")]
pub(crate) mod challenge;
pub(crate) mod classify;
pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod event;
#[cfg(feature = "auth")]
pub(crate) mod gate;
pub(crate) mod identity;
#[cfg(feature = "auth")]
pub(crate) mod json;
pub mod key;
#[cfg(feature = "security-headers")]
pub(crate) mod nonce;
pub(crate) mod path;
pub mod problem;
pub(crate) mod rejection;
pub(crate) mod request;
pub(crate) mod response;
#[cfg(feature = "cache")]
pub(crate) mod shared;
