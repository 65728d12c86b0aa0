//! What COMPARE.md says of others, asked of them, and of ours beside them. A new version of theirs that behaves otherwise
//! fails here, and the document is mended.

mod breakers;
mod caches;
mod headers;
mod limits;
#[cfg(feature = "roas")]
mod openapi;
mod whole;
