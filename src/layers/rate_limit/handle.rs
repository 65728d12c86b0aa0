//! Watching and changing a running limiter.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::layer::Core;
use super::policy::Limit;
use super::quota::Quota;
use super::rule::{Rule, meter_of};
use crate::spine::config::ConfigError;

/// Watches and changes a running limiter, from anywhere. Clones are the same handle.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::rate_limit::{Quota, RateLimit};
///
/// let layer = RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build()?;
/// let handle = layer.handle();
/// assert_eq!(handle.snapshot("default").map(|policy| policy.keys), Some(0));
/// // An incident: everybody gets a tenth.
/// handle.set_quota("default", Quota::new(10).per(Duration::from_secs(60)))?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct RateLimitHandle {
    core: Arc<Core>,
}

impl RateLimitHandle {
    pub(super) const fn of(core: Arc<Core>) -> Self {
        Self { core }
    }

    pub(super) fn core(&self) -> &Core {
        &self.core
    }

    /// The policies' names, in order.
    pub fn policies(&self) -> impl Iterator<Item = &str> {
        self.core.limiter.rules.iter().map(|rule| &*rule.policy.name)
    }

    /// How a policy is doing; `None` when there is none of that name.
    #[must_use]
    pub fn snapshot(&self, policy: &str) -> Option<PolicySnapshot> {
        let index = self.index(policy)?;
        let rule = self.core.limiter.rules.get(index)?;
        let shared = self.core.shared.as_ref().and_then(|shared| shared.keys(index));
        Some(PolicySnapshot {
            keys: shared.unwrap_or_else(|| rule.table.keys()),
            overflowed: rule.table.overflowed(),
            shadowed: rule.shadowed.load(Ordering::Relaxed),
            limit: rule.table.meter().limit(),
        })
    }

    /// How many requests wait at the moment.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.core.waiting.taken()
    }

    /// Changes a policy's quota. What a key has left stays as it is, as far as the new quota has room for it: nobody
    /// gains credit, and nobody waits longer than one refill of the new quota.
    ///
    /// # Errors
    ///
    /// There is no such policy, it counts requests in flight, it may wait and the new quota is a fixed window, or the
    /// quota cannot be.
    pub fn set_quota<Q>(&self, policy: &str, quota: Q) -> Result<(), ConfigError>
    where
        Q: TryInto<Quota>,
        Q::Error: Into<ConfigError>,
    {
        let quota = quota.try_into().map_err(Into::into)?;
        let rule = self.rule(policy).ok_or_else(|| {
            let names = self.policies().collect::<Vec<_>>().join("`, `");
            ConfigError::new("policy", policy, "is no policy of this limiter", format!("name one of `{names}`"))
        })?;
        if rule.is_concurrent() {
            const MEND: &str = "use `set_concurrent`";
            return Err(ConfigError::new("policy", policy, "counts requests in flight", MEND));
        }
        let limit = Limit::Rate(quota);
        if !rule.policy.max_wait.is_zero() && !meter_of(limit).paces() {
            const MEND: &str = "give it a token bucket";
            return Err(ConfigError::new("policy", policy, "lets requests wait, which a window cannot", MEND));
        }
        self.replace(rule, limit);
        if let (Some(shared), Some(index)) = (&self.core.shared, self.index(policy)) {
            shared.set_quota(index, quota, self.core.now());
        }
        Ok(())
    }

    /// Changes how many requests of a key may run at a time. Those that run are not cut off.
    ///
    /// # Errors
    ///
    /// There is no such policy, it counts requests in time, or the limit is 0.
    pub fn set_concurrent(&self, policy: &str, limit: u32) -> Result<(), ConfigError> {
        let rule = self.rule(policy).filter(|rule| rule.is_concurrent()).ok_or_else(|| {
            const MEND: &str = "name one that was made by `Policy::concurrent`";
            ConfigError::new("policy", policy, "is no concurrency policy of this limiter", MEND)
        })?;
        let limit = std::num::NonZeroU32::new(limit)
            .ok_or_else(|| ConfigError::new("quota", 0, "lets nothing through", "write 1 or more"))?;
        self.replace(rule, Limit::Concurrent(limit));
        Ok(())
    }

    /// Forgets every key of a policy: all quotas are whole again. `false` when there is no such policy, or when it
    /// counts requests in flight, which cannot be forgotten. Of counts that are shared, what this instance knows is
    /// forgotten, and not what the store holds.
    #[allow(clippy::must_use_candidate, reason = "it is called for what it does")]
    pub fn reset(&self, policy: &str) -> bool {
        let rule = self.rule(policy).filter(|rule| !rule.is_concurrent());
        if let (Some(shared), Some(index)) = (&self.core.shared, self.index(policy)) {
            shared.forget(index);
        }
        rule.inspect(|rule| rule.table.clear()).is_some()
    }

    fn replace(&self, rule: &Rule, limit: Limit) {
        rule.table.set_meter(meter_of(limit), self.core.now());
        self.core.limiter.describe();
    }

    fn index(&self, policy: &str) -> Option<usize> {
        self.policies().position(|name| name == policy)
    }

    fn rule(&self, policy: &str) -> Option<&Rule> {
        self.core.limiter.rules.iter().find(|rule| &*rule.policy.name == policy)
    }
}

/// How a policy was doing at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PolicySnapshot {
    /// Keys that it remembers, of shared counts those that this instance knows something of: slots that are taken. A key
    /// whose quota has come back takes one until something sweeps it away.
    pub keys: usize,
    /// Requests of new keys that found its table full.
    pub overflowed: u64,
    /// Requests that it would have refused, had it been enforced.
    pub shadowed: u64,
    /// What a key may use at once: the burst, the requests of a window, or those in flight.
    pub limit: u32,
}
