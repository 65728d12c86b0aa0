//! One folder for each layer; none imports another.

#[cfg(feature = "security-headers")]
pub mod security_headers;
