//! Templates for request paths, and the tree that finds the narrowest one. It lives in the spine because rules of
//! authorization and of validation go by the same paths.

mod template;
mod tree;

#[cfg(feature = "validate")]
pub(crate) use self::template::Segment;
pub(crate) use self::template::Template;
pub(crate) use self::tree::Node;

use std::borrow::Cow;

use crate::spine::path::PathReadings;

/// The path, decoded, when servers agree about it. It begins with a slash.
pub(crate) fn plain_path(path: &str) -> Option<Cow<'_, str>> {
    PathReadings::of(path).into_plain().filter(|path| path.starts_with('/'))
}
