//! The choices that a policy leaves to its user.

use std::fmt;
use std::sync::Arc;

use crate::spine::key::KeyExtractor;

/// What happens to a request that lacks what a policy counts by.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum OnMissingKey {
    /// It is refused: with 500 where the server left something out, with 400 or 403 where the client did.
    #[default]
    Refuse,
    /// All such requests share one bucket.
    Shared,
    /// It is let through uncounted.
    Pass,
    /// It is counted by something else, in buckets apart from the others.
    Fallback(Arc<dyn KeyExtractor>),
}

impl OnMissingKey {
    /// Counts by something else.
    pub fn fallback(key: impl KeyExtractor) -> Self {
        Self::Fallback(Arc::new(key))
    }
}

impl fmt::Debug for OnMissingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refuse => "Refuse",
            Self::Shared => "Shared",
            Self::Pass => "Pass",
            Self::Fallback(_) => "Fallback(..)",
        })
    }
}

/// What happens to the charge of a request that brought no response: its client left, or the service failed.
///
/// Only policies that judge responses ask; all others keep every charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnAbandoned {
    /// It stands: whoever leaves before the answer gains nothing by it.
    #[default]
    Charged,
    /// It is taken back.
    Refunded,
}

/// What a policy does with those that are over its limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Refuses them.
    #[default]
    Enforce,
    /// Lets them through, and counts and logs that it would have refused.
    Shadow,
    /// Enforces for about so many percent of the keys, always the same ones, and shadows the others.
    EnforceShare {
        /// 0 to 100.
        percent: u8,
    },
}
