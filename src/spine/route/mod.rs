//! Templates for request paths, and the tree that finds the narrowest one. It lives in the spine because rules of
//! authorization and of validation go by the same paths.

mod template;
mod tree;

#[cfg(feature = "validate")]
pub(crate) use self::template::Segment;
pub(crate) use self::template::Template;
#[cfg(feature = "_auth")]
pub(crate) use self::tree::Leaf;
pub(crate) use self::tree::Node;

/// The path, decoded, when servers agree about it. It begins with a slash.
#[cfg(feature = "validate")]
pub(crate) fn plain_path(path: &str) -> Option<std::borrow::Cow<'_, str>> {
    crate::spine::path::PathReadings::of(path).into_plain().filter(|path| path.starts_with('/'))
}
