//! The layer, and what makes it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tower_layer::Layer;

use super::builds;
use super::fields::HeaderStyle;
use super::handle::RateLimitHandle;
use super::limiter::{Exemptions, Limiter};
use super::policy::Policy;
use super::quota::Quota;
use super::rule::Rule;
use super::service::RateLimitService;
use super::shared::{Shared, SharedCounts};
use super::throttle::ThrottleLayer;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::event::{self, PolicyEvent};
use crate::spine::key::{Cidr, ClientIp};
use crate::spine::path::PathPattern;
use crate::spine::rejection::{Refuser, RenderRejection};
use crate::spine::slots::Slots;

/// Makes a [`RateLimitLayer`] or a [`ThrottleLayer`]. See the [module](super) for the manual.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::rate_limit::{Quota, RateLimit};
///
/// let layer = RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is limited until the layer is built"]
pub struct RateLimit {
    policies: Vec<Policy>,
    exemptions: Exemptions,
    style: HeaderStyle,
    max_waiting: usize,
    store: Option<SharedCounts>,
    clock: Clock,
    refuser: Refuser,
    fault: Option<ConfigError>,
    /// Whether it is built to see whether it can be, and not to be used.
    is_trial: bool,
}

crate::spine::bounds::no_layer!(RateLimit);

/// The most policies of a layer: each is a lookup on every request.
pub(super) const MAX_POLICIES: usize = 16;
/// Requests that wait at a time unless told otherwise: each is a connection held open.
const DEFAULT_MAX_WAITING: usize = 1024;

impl RateLimit {
    /// No policy yet.
    pub fn new() -> Self {
        Self {
            policies: Vec::new(),
            exemptions: Exemptions::default(),
            style: HeaderStyle::default(),
            max_waiting: DEFAULT_MAX_WAITING,
            store: None,
            clock: Clock::system(),
            refuser: Refuser::new(),
            fault: None,
            is_trial: false,
        }
    }

    /// Marks a limiter that is built for its errors alone.
    #[cfg(feature = "config")]
    pub(crate) const fn on_trial(mut self) -> Self {
        self.is_trial = true;
        self
    }

    /// One policy, named `default`, that counts by client address: by the socket peer, IPv6 by /64. Behind a proxy give
    /// [`Policy::key`] a [`ClientIp`] that trusts it.
    pub fn per_client_ip<Q>(quota: Q) -> Self
    where
        Q: TryInto<Quota>,
        Q::Error: Into<ConfigError>,
    {
        Self::new().add_policy(Policy::new("default", quota).key(ClientIp::new()))
    }

    /// A further policy. All must admit a request, and when one refuses none is charged.
    pub fn add_policy(mut self, policy: Policy) -> Self {
        self.policies.push(policy);
        self
    }

    /// Which fields tell clients about their quotas.
    pub const fn headers(mut self, style: HeaderStyle) -> Self {
        self.style = style;
        self
    }

    /// Finds the client for [`exempt_clients`](Self::exempt_clients) and [`deny_clients`](Self::deny_clients). The policies' keys find it for themselves.
    pub fn client_ip(mut self, client_ip: ClientIp) -> Self {
        self.exemptions.client_ip = client_ip;
        self
    }

    /// Clients that are never counted.
    pub fn exempt_clients(mut self, blocks: impl IntoIterator<Item = Cidr>) -> Self {
        self.exemptions.allowed = blocks.into_iter().collect();
        self
    }

    /// Clients that are always refused, with 403. This counts for more than
    /// [`exempt_clients`](Self::exempt_clients).
    pub fn deny_clients(mut self, blocks: impl IntoIterator<Item = Cidr>) -> Self {
        self.exemptions.denied = blocks.into_iter().collect();
        self
    }

    /// Paths that are never counted: health checks, say. A path that servers may read in several ways is exempt only
    /// when every reading is. They replace those that were said before.
    pub fn exempt_paths<T: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = T>) -> Self {
        self.exemptions.paths.clear();
        for pattern in patterns {
            match pattern.as_ref().parse::<PathPattern>() {
                Ok(pattern) => self.exemptions.paths.push(pattern),
                Err(error) => self.fault = self.fault.or_else(|| Some(error.for_setting("exempt_paths"))),
            }
        }
        self
    }

    /// Whether CORS preflights and `OPTIONS *` are counted. They are not unless this is said: a browser that may not ask
    /// cannot tell its user why.
    pub const fn count_preflights(mut self, counted: bool) -> Self {
        self.exemptions.counts_preflights = counted;
        self
    }

    /// How many requests may wait at a time, over all keys; 1024 unless it is said. More are refused.
    pub const fn max_waiting(mut self, requests: usize) -> Self {
        self.max_waiting = requests;
        self
    }

    /// Counts together with other instances, in a store that all of them ask. Policies of requests in flight count for
    /// each instance by itself. The layer waits for the store's answer, so it is finished with
    /// [`build_throttle`](Self::build_throttle).
    pub fn shared_counts(mut self, counts: SharedCounts) -> Self {
        self.store = Some(counts);
        self
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.refuser = self.refuser.with_clock(clock.clone());
        self.clock = clock;
        self
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.refuser = self.refuser.with_renderer(renderer);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// No policy or more than 16, two of one name, whatever a policy or its quota finds, and a policy with a `max_wait`
    /// or a store, for which only what [`build_throttle`](Self::build_throttle) makes can wait.
    pub fn build(self) -> Result<RateLimitLayer, ConfigError> {
        if self.store.is_some() {
            const BREACH: &str = "needs a layer that can wait for it";
            return Err(ConfigError::new("rate limit.shared_counts", "", BREACH, "finish with `.build_throttle()`"));
        }
        if let Some(policy) = self.policies.iter().find(|policy| !policy.max_wait.is_zero()) {
            const BREACH: &str = "needs a layer that can wait";
            let shown = format!("{}s", policy.max_wait.as_secs_f64());
            let error = ConfigError::new("max_wait", shown, BREACH, "finish with `.build_throttle()`");
            return Err(error.within(policy.named()));
        }
        Ok(RateLimitLayer { core: self.core()? })
    }

    /// A layer that can let requests wait instead of refusing them. It asks for an inner service that can be cloned.
    ///
    /// # Errors
    ///
    /// No policy or more than 16, two of one name, and whatever a policy or its quota finds.
    pub fn build_throttle(self) -> Result<ThrottleLayer, ConfigError> {
        Ok(ThrottleLayer::of(self.core()?))
    }

    /// The core of a layer that counts nothing.
    pub(super) fn empty_core() -> Arc<Core> {
        Self::new().core_of(Vec::new())
    }

    fn core(mut self) -> Result<Arc<Core>, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        if !(1..=MAX_POLICIES).contains(&self.policies.len()) {
            const MEND: &str = "add 1 to 16 with `.add_policy(Policy::new(..))`";
            return Err(ConfigError::new("rate limit", self.policies.len(), "is no number of policies", MEND));
        }
        let rules = std::mem::take(&mut self.policies)
            .into_iter()
            .map(|policy| {
                let told = policy.headers.unwrap_or(self.style) != HeaderStyle::None;
                Rule::new(policy, told)
            })
            .collect::<Result<Vec<_>, _>>()?;
        for (at, rule) in rules.iter().enumerate() {
            if rules.iter().take(at).any(|before| before.policy.name == rule.policy.name) {
                const MEND: &str = "give each policy a name of its own: clients tell them apart by it";
                return Err(ConfigError::new("name", &rule.policy.name, "is the name of two policies", MEND));
            }
        }
        if !self.is_trial {
            builds::note(&rules);
        }
        Ok(self.core_of(rules))
    }

    fn core_of(self, rules: Vec<Rule>) -> Arc<Core> {
        Arc::new(Core {
            shared: self.store.map(|counts| Shared::new(counts, &rules)),
            limiter: Limiter::new(rules, self.exemptions, self.style),
            clock: self.clock,
            refuser: self.refuser,
            waiting: Slots::for_at_most(self.max_waiting),
            said: Said::default(),
        })
    }
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimit")
            .field("policies", &self.policies)
            .field("headers", &self.style)
            .finish_non_exhaustive()
    }
}

/// What all services of a layer share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) limiter: Limiter,
    pub(super) shared: Option<Shared>,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
    /// Requests that wait for their turn.
    pub(super) waiting: Slots,
    pub(super) said: Said,
}

/// What was reported once.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) counted_twice: AtomicBool,
    pub(super) no_timer: AtomicBool,
}

impl Core {
    pub(super) fn now(&self) -> u64 {
        self.clock.ticks()
    }

    pub(super) fn report(&self, event: PolicyEvent, policy: &Arc<str>) {
        event::policy(event, policy, &self.limiter.sampler, &self.clock);
    }

    /// Goes on with the counts of another layer's policies.
    pub(super) fn adopt(self: &mut Arc<Self>, old: &Self) {
        let now = old.now();
        // A layer that has made services is shared, and a running limiter's tables are not exchanged.
        let Some(core) = Arc::get_mut(self) else { return };
        for rule in &mut core.limiter.rules {
            if let Some(before) = old.limiter.rules.iter().find(|before| before.policy.name == rule.policy.name) {
                rule.adopt(before, now);
            }
        }
        core.limiter.describe();
        builds::forget(&core.limiter.rules);
    }
}

/// Limits requests. See the [module](super) for the manual.
///
/// Made by [`RateLimit::build`]. Clones, and all services that they make, count together.
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct RateLimitLayer {
    pub(super) core: Arc<Core>,
}

impl RateLimitLayer {
    /// Counts nothing: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self { core: RateLimit::empty_core() }
    }

    /// Watches and changes the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> RateLimitHandle {
        RateLimitHandle::of(Arc::clone(&self.core))
    }

    /// Goes on with the counts of another layer, policy by policy of the same name, for a new configuration that takes
    /// over from a running one. A changed quota gives no credit for what was used, and lets nobody wait longer than one
    /// refill of the new one. A policy begins anew when its [`Overflow`](super::Overflow) was changed, or when it counts
    /// requests in flight and the other did not. Do it before the layer makes its first service or handle; afterwards it changes nothing.
    pub fn adopt_counts(mut self, running: &RateLimitHandle) -> Self {
        self.core.adopt(running.core());
        self
    }
}

impl<S> Layer<S> for RateLimitLayer {
    type Service = RateLimitService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        RateLimitService::new(inner, Arc::clone(&self.core))
    }
}
