//! A stack's layers, as its tables describe them.

use super::StackConfig;
#[cfg(feature = "cache")]
use crate::layers::cache::{Cache, CacheLayer};
#[cfg(feature = "deadline")]
use crate::layers::deadline::DeadlineLayer;
#[cfg(feature = "load-shed")]
use crate::layers::load_shed::{LoadShedHandle, LoadShedLayer};
#[cfg(feature = "rate-limit")]
use crate::layers::rate_limit::{RateLimitHandle, ThrottleLayer};
#[cfg(feature = "security-headers")]
use crate::layers::security_headers::SecurityHeadersLayer;
#[cfg(feature = "validate")]
use crate::layers::validate::ValidateLayer;
#[cfg(feature = "openapi")]
use crate::layers::validate::ValidateResponsesLayer;
#[cfg(feature = "_auth")]
use crate::layers::{auth::AuthLayer, authz::AuthzLayer};
use crate::spine::key::ClientIp;
use crate::stack::{Configured, ConfiguredLayer, ConfiguredPlaces, Stack};

/// The layers that a [`StackConfig`] describes, as handles and as a [`Stack`]. Made by [`StackConfig::load`].
#[derive(Debug, Clone)]
pub struct StackLayers {
    pub(super) config: StackConfig,
    pub(super) client_ip: ClientIp,
    #[cfg(feature = "security-headers")]
    pub(super) security_headers: SecurityHeadersLayer,
    #[cfg(feature = "load-shed")]
    pub(super) load_shed: LoadShedLayer,
    #[cfg(feature = "deadline")]
    pub(super) deadline: DeadlineLayer,
    #[cfg(feature = "rate-limit")]
    pub(super) limits: Limits,
    #[cfg(feature = "_auth")]
    pub(super) auth: AuthLayer,
    #[cfg(feature = "_auth")]
    pub(super) authz: AuthzLayer,
    #[cfg(feature = "validate")]
    pub(super) validate: ValidateLayer,
    #[cfg(feature = "openapi")]
    pub(super) validate_responses: ValidateResponsesLayer,
    #[cfg(feature = "cache")]
    pub(super) cache: Option<Cache>,
}

/// Limits on strangers, and on those who are known.
#[cfg(feature = "rate-limit")]
#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) by_address: ThrottleLayer,
    #[cfg(feature = "_auth")]
    pub(super) by_identity: ThrottleLayer,
}

impl StackLayers {
    /// Goes on with what running layers have counted, learnt and fetched: counts of policies of the same name, the limit of
    /// load shedding, fetched keys. Do it before [`stack`](Self::stack) and before any handle is asked for.
    #[must_use]
    #[allow(unused_mut, reason = "without features there is nothing to go on with")]
    pub fn adopt(mut self, running: &Self) -> Self {
        let _ = running;
        #[cfg(feature = "_auth")]
        {
            self.auth = self.auth.adopt_keys(&running.auth);
        }
        #[cfg(feature = "load-shed")]
        {
            self.load_shed = self.load_shed.adopt_limit(&running.load_shed.handle());
        }
        #[cfg(feature = "rate-limit")]
        for handle in running.rate_limits() {
            // A table may have moved from one place to the other, by a key that asks for the caller.
            self.limits.by_address = self.limits.by_address.adopt_counts(&handle);
            #[cfg(feature = "_auth")]
            {
                self.limits.by_identity = self.limits.by_identity.adopt_counts(&handle);
            }
        }
        self
    }

    /// Goes on with what a running cache holds, if its table is the same: where the service behind is the same, too.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn adopt_cache(mut self, running: &Self) -> Self {
        let (ours, theirs) = (&self.config, &running.config);
        let is_same = (&ours.cache, &ours.written_inside) == (&theirs.cache, &theirs.written_inside);
        #[cfg(feature = "redis")]
        let is_same = is_same && ours.cache_store == theirs.cache_store;
        if is_same {
            self.cache.clone_from(&running.cache);
        }
        self
    }

    /// Begins to fetch keys, where the layers were made outside of a runtime.
    #[cfg(feature = "_auth")]
    pub fn start(&self) {
        self.auth.start();
    }

    /// The stack, for foreign layers to be put into, and to be built. All of one configuration's stacks share what the
    /// layers share; all stacks of this crate's configurations have one type, so that a
    /// [`ReloadableLayer`](crate::stack::ReloadableLayer) can exchange them.
    pub fn stack(&self) -> Stack<ConfiguredPlaces> {
        Stack::configured(Configured {
            #[cfg(feature = "security-headers")]
            security_headers: self.security_headers.clone(),
            #[cfg(feature = "load-shed")]
            load_shed: self.load_shed.clone(),
            #[cfg(feature = "deadline")]
            deadline: self.deadline.clone(),
            #[cfg(feature = "rate-limit")]
            by_address: self.limits.by_address.clone(),
            #[cfg(all(feature = "_auth", feature = "rate-limit"))]
            by_identity: self.limits.by_identity.clone(),
            #[cfg(feature = "_auth")]
            auth: self.auth.clone(),
            #[cfg(feature = "_auth")]
            authz: self.authz.clone(),
            #[cfg(feature = "validate")]
            validate: self.validate.clone(),
            #[cfg(feature = "openapi")]
            validate_responses: self.validate_responses.clone(),
            #[cfg(feature = "cache")]
            cache: self.cache.as_ref().map_or_else(CacheLayer::empty, Cache::layer),
        })
    }

    /// The whole of it, where no other layers stand between.
    pub fn layer(&self) -> ConfiguredLayer {
        self.stack().finish()
    }

    /// What they were made of.
    #[must_use]
    pub const fn config(&self) -> &StackConfig {
        &self.config
    }

    /// How clients' addresses are found.
    #[must_use]
    pub const fn client_ip(&self) -> &ClientIp {
        &self.client_ip
    }

    /// Watches and changes the limiters: by address, then by identity.
    #[cfg(feature = "rate-limit")]
    pub fn rate_limits(&self) -> impl Iterator<Item = RateLimitHandle> {
        let by_address = std::iter::once(self.limits.by_address.handle());
        #[cfg(feature = "_auth")]
        let by_address = by_address.chain(std::iter::once(self.limits.by_identity.handle()));
        by_address
    }

    /// Watches and changes load shedding.
    #[cfg(feature = "load-shed")]
    #[must_use]
    pub fn load_shed(&self) -> LoadShedHandle {
        self.load_shed.handle()
    }

    /// Authentication, to be asked whether it [is ready](AuthLayer::is_ready).
    #[cfg(feature = "_auth")]
    pub const fn auth(&self) -> &AuthLayer {
        &self.auth
    }

    /// Authorization, whose [handle](AuthzLayer::handle) changes it.
    #[cfg(feature = "_auth")]
    pub const fn authz(&self) -> &AuthzLayer {
        &self.authz
    }

    /// The cache, to be purged and watched.
    #[cfg(feature = "cache")]
    #[must_use]
    pub const fn cache(&self) -> Option<&Cache> {
        self.cache.as_ref()
    }
}
