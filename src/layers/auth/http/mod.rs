//! Asking other servers: for keys, for what an opaque token means.

mod client;
mod rules;

pub use self::client::HttpClient;
pub(super) use self::client::{Fault, Limits};
pub(super) use self::rules::{is_trustworthy, origin_and_path};
