//! Content-Security-Policy: built from types or read from text, checked for meaning, rendered once.

mod check;
mod directive;
mod policy;
mod source;

pub use self::policy::{ContentSecurityPolicy, Csp};
pub use self::source::Source;
