//! What is limited, and how: the settings of one policy.

use std::collections::HashSet;
use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

use super::choice::{Mode, OnAbandoned, OnMissingKey};
use super::fields::HeaderStyle;
use super::place::Overflow;
use super::quota::{Quota, QuotaKind};
use crate::spine::config::ConfigError;
use crate::spine::key::KeyExtractor;
use crate::spine::path::PathPattern;
use crate::spine::request::RequestView;
use crate::spine::response::ResponseView;

/// One named limit: what is counted, under which key, and what follows.
///
/// A layer has one or several. All of them must admit a request; when one refuses, none is charged.
///
/// ```
/// use std::time::Duration;
/// use http::StatusCode;
/// use tower_rampart::key::{ClientIp, IdentityKey};
/// use tower_rampart::rate_limit::{Policy, Quota, RateLimit};
///
/// // Ten failed logins an hour from one address; guesses that run side by side do not slip by.
/// let logins = Policy::new("failed-logins", Quota::new(10).per(Duration::from_secs(3600)))
///     .key(ClientIp::new())
///     .paths(["/login"])
///     .count_statuses([StatusCode::UNAUTHORIZED]);
///
/// let daily = Policy::new("daily", Quota::new(10_000).per(Duration::from_secs(86_400))).key(IdentityKey);
///
/// let layer = RateLimit::new().add_policy(logins).add_policy(daily).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a policy limits nothing until it is added to a layer"]
pub struct Policy {
    pub(super) name: Arc<str>,
    pub(super) limit: Limit,
    pub(super) key: Option<Arc<dyn KeyExtractor>>,
    pub(super) on_missing_key: OnMissingKey,
    pub(super) quota_by: Option<QuotaBy>,
    pub(super) cost: Option<CostBy>,
    pub(super) settle: Option<Settle>,
    pub(super) on_abandoned: OnAbandoned,
    pub(super) paths: Vec<PathPattern>,
    pub(super) mode: Mode,
    pub(super) block_for: Duration,
    pub(super) max_wait: Duration,
    pub(super) max_keys: usize,
    pub(super) overflow: Overflow,
    pub(super) exempt: HashSet<Vec<Vec<u8>>>,
    pub(super) denied: HashSet<Vec<Vec<u8>>>,
    pub(super) partition_key: bool,
    /// Where it is told of by other fields than the layer's other policies.
    pub(super) headers: Option<HeaderStyle>,
    /// The first setting that cannot be.
    fault: Option<ConfigError>,
}

/// A quota that depends on the request.
pub(super) type QuotaBy = Arc<dyn Fn(RequestView<'_>) -> Option<Quota> + Send + Sync>;
/// What a request costs.
pub(super) type CostBy = Arc<dyn Fn(RequestView<'_>) -> u32 + Send + Sync>;

/// What a policy counts.
#[derive(Debug, Clone, Copy, Hash)]
pub(super) enum Limit {
    Rate(Quota),
    Concurrent(NonZeroU32),
}

/// What a response means for its request's charge.
#[derive(Clone)]
pub(super) enum Settle {
    /// It stands when this holds.
    When(Arc<dyn Fn(ResponseView<'_>) -> bool + Send + Sync>),
    /// It is replaced by this.
    Cost(Arc<dyn Fn(ResponseView<'_>) -> u32 + Send + Sync>),
}

impl Settle {
    /// What a request comes to that took so much.
    pub(super) fn cost(&self, reserved: u32, response: ResponseView<'_>) -> u32 {
        match self {
            Self::When(holds) if holds(response) => reserved,
            Self::When(_) => 0,
            Self::Cost(cost) => cost(response),
        }
    }
}

/// The keys that a policy remembers unless told otherwise: 24 MB of table.
pub(super) const DEFAULT_MAX_KEYS: usize = 1_000_000;
/// The most keys of a policy: 24 GB of table.
const MAX_KEYS: usize = 1_000_000_000;
/// The longest a request can be made to wait: clients and proxies give up before.
const MAX_WAIT: Duration = Duration::from_secs(300);
const MAX_BLOCK: Duration = Duration::from_secs(365 * 86_400);
const MAX_NAME_BYTES: usize = 64;
/// The most path patterns of a policy.
const MAX_PATHS: usize = 256;

impl Policy {
    /// A limit on requests in time.
    pub fn new<Q>(name: impl Into<Arc<str>>, quota: Q) -> Self
    where
        Q: TryInto<Quota>,
        Q::Error: Into<ConfigError>,
    {
        match quota.try_into() {
            Ok(quota) => Self::of(name.into(), Limit::Rate(quota)),
            Err(error) => {
                let mut policy = Self::of(name.into(), Limit::Concurrent(NonZeroU32::MIN));
                policy.blame(error.into());
                policy
            }
        }
    }

    /// A limit on requests at a time. A request counts from its start until the body of its response has ended.
    pub fn concurrent(name: impl Into<Arc<str>>, limit: u32) -> Self {
        let mut policy = Self::of(name.into(), Limit::Concurrent(NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN)));
        if limit == 0 {
            policy.blame(ConfigError::new("quota", 0, "lets nothing through", "write 1 or more"));
        }
        policy
    }

    fn of(name: Arc<str>, limit: Limit) -> Self {
        Self {
            name,
            limit,
            key: None,
            on_missing_key: OnMissingKey::default(),
            quota_by: None,
            cost: None,
            settle: None,
            on_abandoned: OnAbandoned::default(),
            paths: Vec::new(),
            mode: Mode::default(),
            block_for: Duration::ZERO,
            max_wait: Duration::ZERO,
            max_keys: DEFAULT_MAX_KEYS,
            overflow: Overflow::default(),
            exempt: HashSet::new(),
            denied: HashSet::new(),
            partition_key: false,
            headers: None,
            fault: None,
        }
    }

    /// Whose requests are counted together: [`ClientIp`](crate::key::ClientIp), [`IdentityKey`](crate::key::IdentityKey),
    /// any other extractor, or a tuple of them.
    pub fn key(mut self, key: impl KeyExtractor) -> Self {
        self.key = Some(Arc::new(key));
        self
    }

    /// What happens to a request that has no key.
    pub fn on_missing_key(mut self, choice: OnMissingKey) -> Self {
        self.on_missing_key = choice;
        self
    }

    /// A quota that depends on the request: on a claim, a plan, a table of tiers. `None` leaves the policy's own.
    ///
    /// It is asked on every request, so keep [`Quota`]s at hand instead of building them. A kind other than the
    /// policy's (a fixed window for a token bucket) lends its numbers alone.
    pub fn quota_by(mut self, quota: impl Fn(RequestView<'_>) -> Option<Quota> + Send + Sync + 'static) -> Self {
        self.quota_by = Some(Arc::new(quota));
        self
    }

    /// What a request costs; 1 where nothing is said. At 0 a request is refused only when nothing is left, and takes
    /// nothing. More than the burst is refused for good, without `Retry-After`.
    pub fn cost(mut self, cost: impl Fn(RequestView<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.cost = Some(Arc::new(cost));
        self
    }

    /// Lets a charge stand only when this holds of the response. It is made before the request runs and taken back
    /// afterwards, so that requests side by side are counted too.
    pub fn count_when(mut self, holds: impl Fn(ResponseView<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.settle = Some(Settle::When(Arc::new(holds)));
        self
    }

    /// Counts only responses with one of these statuses: 401 for failed logins.
    pub fn count_statuses(self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        let counted: Vec<_> = statuses.into_iter().collect();
        if counted.is_empty() {
            return self;
        }
        self.count_when(move |response| counted.contains(&response.status()))
    }

    /// Replaces what [`cost`](Self::cost) reserved by what the response says it did cost: tokens, rows, points. A
    /// request that turns out dearer leaves its key in debt.
    pub fn charge_after(mut self, cost: impl Fn(ResponseView<'_>) -> u32 + Send + Sync + 'static) -> Self {
        self.settle = Some(Settle::Cost(Arc::new(cost)));
        self
    }

    /// What happens to the charge of a request that brought no response.
    pub const fn on_abandoned(mut self, choice: OnAbandoned) -> Self {
        self.on_abandoned = choice;
        self
    }

    /// Which fields tell clients of this policy, where they are others than [`RateLimit::headers`](super::RateLimit::headers)
    /// says. A response has the fields of one style: that of the policy that refused, else of the tightest.
    pub const fn headers(mut self, style: HeaderStyle) -> Self {
        self.headers = Some(style);
        self
    }

    /// Which paths it is about; all, unless it is said. See [`PathPattern`]. They replace those that were said before.
    pub fn paths<T: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = T>) -> Self {
        self.paths.clear();
        for pattern in patterns {
            match pattern.as_ref().parse() {
                Ok(pattern) => self.paths.push(pattern),
                Err(error) => self.blame(error),
            }
        }
        if self.paths.len() > MAX_PATHS {
            self.blame(ConfigError::new("paths", self.paths.len(), "are too many patterns", "write at most 256"));
        }
        self
    }

    /// Enforce, or only look.
    pub fn mode(mut self, mode: Mode) -> Self {
        if let Mode::EnforceShare { percent: percent @ 101.. } = mode {
            self.blame(ConfigError::new("percent", percent, "is more than all", "write 0 to 100"));
        }
        self.mode = mode;
        self
    }

    /// Shuts a key out for a time when a request of it is refused, or until its quota would have let it back in, if that
    /// is later. A charge that is still to be judged counts as used. Keys that share a bucket are not shut out.
    pub fn block_for(mut self, time: Duration) -> Self {
        if time > MAX_BLOCK {
            let shown = format!("{}s", time.as_secs());
            self.blame(ConfigError::new("block_for", shown, "is more than a year", "write a shorter time"));
        }
        self.block_for = time;
        self
    }

    /// Lets a request wait for its token, up to this time, instead of refusing it. Token buckets only; the layer is
    /// then made by [`build_throttle`](super::RateLimit::build_throttle).
    pub fn max_wait(mut self, wait: Duration) -> Self {
        if wait > MAX_WAIT {
            let shown = format!("{}s", wait.as_secs());
            self.blame(ConfigError::new("max_wait", shown, "is more than clients wait", "write 5m or less"));
        }
        self.max_wait = wait;
        self
    }

    /// How many keys are remembered at most. A million unless it is said; the table grows to 24 bytes for each. Take at least the keys that are active within the quota's window.
    pub fn max_keys(mut self, keys: usize) -> Self {
        if !(1..=MAX_KEYS).contains(&keys) {
            self.blame(ConfigError::new("max_keys", keys, "is no size for a table", "write 1 to 1000000000"));
        } else {
            self.max_keys = keys;
        }
        self
    }

    /// What happens to new keys when as many are remembered as there is room for.
    pub const fn overflow(mut self, overflow: Overflow) -> Self {
        self.overflow = overflow;
        self
    }

    /// A key that is never counted, in the parts in which the extractor writes it: an [`IdentityKey`] writes issuer and
    /// subject, a [`HeaderKey`] the value, a [`ClientIp`] the 4 bytes of an IPv4 address or the 16 of an IPv6 address
    /// whose last 64 bits are zero. For blocks of addresses there is
    /// [`RateLimit::exempt_clients`](super::RateLimit::exempt_clients).
    ///
    /// [`IdentityKey`]: crate::key::IdentityKey
    /// [`HeaderKey`]: crate::key::HeaderKey
    /// [`ClientIp`]: crate::key::ClientIp
    pub fn add_exempt_key<T: AsRef<[u8]>>(mut self, parts: impl IntoIterator<Item = T>) -> Self {
        self.exempt.insert(parts.into_iter().map(|part| part.as_ref().to_vec()).collect());
        self
    }

    /// A key that is always refused, with 403. For its parts see [`add_exempt_key`](Self::add_exempt_key).
    pub fn add_denied_key<T: AsRef<[u8]>>(mut self, parts: impl IntoIterator<Item = T>) -> Self {
        self.denied.insert(parts.into_iter().map(|part| part.as_ref().to_vec()).collect());
        self
    }

    /// Sends a name for the key along (`pk`), so that a client can tell its quotas apart. It is a hash of the key that
    /// nobody else can make and that changes with the process.
    pub const fn partition_key(mut self, sent: bool) -> Self {
        self.partition_key = sent;
        self
    }

    fn blame(&mut self, error: ConfigError) {
        if self.fault.is_none() {
            self.fault = Some(error);
        }
    }

    /// What its settings are called by in errors.
    pub(super) fn named(&self) -> impl fmt::Display {
        format!("rate limit \"{}\"", self.name)
    }

    /// What cannot be, with the policy's name before it.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let name = &self.name;
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
            const MEND: &str = "write 1 to 64 of `A-Z a-z 0-9 - _ . : /`: clients see it";
            return Err(ConfigError::new("name", name, "is no name for a policy", MEND));
        }
        let blame = |error: ConfigError| error.within(self.named());
        if let Some(fault) = &self.fault {
            return Err(blame(fault.clone()));
        }
        if self.key.is_none() {
            const MEND: &str =
                "say whose requests count together with `.key(ClientIp::new())`, or `.key(GlobalKey)` for all";
            return Err(blame(ConfigError::new("key", "", "is missing", MEND)));
        }
        let is_bucket = matches!(self.limit, Limit::Rate(quota) if quota.kind() == QuotaKind::TokenBucket);
        if !self.max_wait.is_zero() && !is_bucket {
            const BREACH: &str = "goes with token buckets only";
            let shown = format!("{}s", self.max_wait.as_secs_f64());
            return Err(blame(ConfigError::new("max_wait", shown, BREACH, "leave it out, or use a token bucket")));
        }
        if !self.max_wait.is_zero() && !self.block_for.is_zero() {
            const BREACH: &str = "cannot stand beside max_wait: a request either waits or is shut out";
            let shown = format!("{}s", self.block_for.as_secs());
            return Err(blame(ConfigError::new("block_for", shown, BREACH, "leave one of them out")));
        }
        let is_rate = matches!(self.limit, Limit::Rate(_));
        if !is_rate
            && (self.cost.is_some() || self.settle.is_some() || self.quota_by.is_some() || !self.block_for.is_zero())
        {
            const BREACH: &str = "counts requests in flight: it has no cost, no condition, no block and no quota_by";
            return Err(blame(ConfigError::new("concurrent", "", BREACH, "put them on a policy of their own")));
        }
        Ok(())
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("name", &self.name)
            .field("limit", &self.limit)
            .field("paths", &self.paths)
            .field("mode", &self.mode)
            .field("max_keys", &self.max_keys)
            .finish_non_exhaustive()
    }
}
