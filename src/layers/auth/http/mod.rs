//! Asking other servers: for keys, for what an opaque token means.

mod client;

pub use self::client::HttpClient;
pub(super) use self::client::{Fault, Limits};
