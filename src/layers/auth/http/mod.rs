//! Asking other servers: for keys, for what an opaque token means.

mod client;

pub use self::client::HttpClient;
#[cfg(feature = "auth-introspection")]
pub(super) use self::client::Limits;
pub(super) use self::client::{Fault, within};
