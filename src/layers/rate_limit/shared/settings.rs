//! What users write.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use super::store::Store;

/// Counts that a limiter shares with other instances, and what it does when it cannot.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tower_rampart::rate_limit::{MemoryStore, OnStoreFailure, Quota, RateLimit, SharedCounts};
///
/// let counts = SharedCounts::new(MemoryStore::new()).leased(true).on_failure(OnStoreFailure::Open);
/// let layer = RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60)))
///     .shared_counts(counts)
///     .build_throttle()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is shared until it is given to a limiter"]
pub struct SharedCounts {
    pub(super) store: Arc<dyn Store>,
    pub(super) leased: bool,
    pub(super) on_failure: OnStoreFailure,
}

/// What a limiter does with a request while its store fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnStoreFailure {
    /// It counts by itself, with its share of each quota.
    Local {
        /// Among how many instances a quota is divided.
        instances: NonZeroU32,
    },
    /// It lets the request through, and tells it nothing of quotas.
    Open,
    /// It refuses it, with 503.
    Closed,
}

/// Among so many instances a quota is divided unless it is said.
const DEFAULT_INSTANCES: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

impl Default for OnStoreFailure {
    fn default() -> Self {
        Self::Local { instances: DEFAULT_INSTANCES }
    }
}

impl SharedCounts {
    /// Counts in a store that is asked for each request.
    pub fn new(store: impl Store) -> Self {
        Self { store: Arc::new(store), leased: false, on_failure: OnStoreFailure::default() }
    }

    /// Takes tokens in batches: up to a tenth of the burst at a time, for up to a second, more as a key asks for more.
    ///
    /// Never more is admitted than the quota. Less may be: what an instance has taken and not used when its lease ends is
    /// lost, and a twentieth of a bucket, or a second's worth of it, is kept back. Clients are told what their instance
    /// knows, which others may have taken. Quotas with a burst below ten are asked about one by one, and so are those
    /// whose policy judges responses, lets requests wait, shuts keys out, is a shadow, or has a `quota_by`.
    pub const fn leased(mut self, leased: bool) -> Self {
        self.leased = leased;
        self
    }

    /// What happens while the store fails. Each of two instances counts by half of the quota, unless it is said.
    pub const fn on_failure(mut self, choice: OnStoreFailure) -> Self {
        self.on_failure = choice;
        self
    }
}

impl fmt::Debug for SharedCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCounts")
            .field("leased", &self.leased)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}
