//! Whose cryptography serves: the one place that chooses.
//!
//! The provider is named outright: jsonwebtoken's own choice panics when both of its features are on, which a stranger's
//! dependency can bring about.

#[cfg(feature = "auth")]
pub(super) use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER as PROVIDER;
#[cfg(not(feature = "auth"))]
pub(super) use jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER as PROVIDER;
