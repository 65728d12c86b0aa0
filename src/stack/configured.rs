//! The stack of a configuration: all places of this crate's layers are filled, by layers that may do nothing, so that every
//! configuration is of one type.

use super::layer::StackLayer;
#[cfg(all(feature = "bulkhead", feature = "circuit-breaker", feature = "deadline", feature = "retry"))]
use super::place::Filled;
use super::place::{Empty, Places};
use super::server::Stack;
#[cfg(feature = "cache")]
use crate::layers::cache::CacheLayer;
#[cfg(feature = "deadline")]
use crate::layers::deadline::DeadlineLayer;
#[cfg(feature = "load-shed")]
use crate::layers::load_shed::LoadShedLayer;
#[cfg(feature = "rate-limit")]
use crate::layers::rate_limit::ThrottleLayer;
#[cfg(feature = "security-headers")]
use crate::layers::security_headers::SecurityHeadersLayer;
#[cfg(feature = "validate")]
use crate::layers::validate::ValidateLayer;
#[cfg(feature = "openapi")]
use crate::layers::validate::ValidateResponsesLayer;
#[cfg(feature = "_auth")]
use crate::layers::{auth::AuthLayer, authz::AuthzLayer};
#[cfg(all(feature = "bulkhead", feature = "circuit-breaker", feature = "deadline", feature = "retry"))]
use crate::layers::{
    bulkhead::BulkheadLayer,
    circuit_breaker::CircuitBreakerLayer,
    deadline::{PropagateDeadlineLayer, TryTimeoutLayer},
    retry::RetryLayer,
};

/// A place of a configured stack: filled where the feature is on.
macro_rules! place {
    ($($name:ident = $layer:ty => ($($feature:tt)*);)*) => {
        $(
            #[cfg($($feature)*)]
            type $name = super::place::Filled<$layer>;
            #[cfg(not($($feature)*))]
            type $name = Empty;
        )*
    };
}

place! {
    Headers = SecurityHeadersLayer => (feature = "security-headers");
    Shed = LoadShedLayer => (feature = "load-shed");
    Deadline = DeadlineLayer => (feature = "deadline");
    ByAddress = ThrottleLayer => (feature = "rate-limit");
    Auth = AuthLayer => (feature = "_auth");
    ByIdentity = ThrottleLayer => (all(feature = "_auth", feature = "rate-limit"));
    Authz = AuthzLayer => (feature = "_auth");
    Validate = ValidateLayer => (feature = "validate");
    Responses = ValidateResponsesLayer => (feature = "openapi");
    Stored = CacheLayer => (feature = "cache");
}

/// The places of a [`Stack`] that was configured: those of this crate's layers are filled, those of others are free.
#[rustfmt::skip]
pub type ConfiguredPlaces = (Empty, (Empty, (Empty, (Empty, (Headers, (Empty, (Shed, (Deadline, (Empty, (ByAddress,
    (Empty, (Auth, (ByIdentity, (Authz, (Empty, (Validate, (Stored, (Empty, (Responses, (Empty, ()))))))))))))))))))));

/// The places of an [`UpstreamStack`](super::UpstreamStack) that was configured.
#[cfg(all(feature = "bulkhead", feature = "circuit-breaker", feature = "deadline", feature = "retry"))]
#[rustfmt::skip]
pub type ConfiguredUpstreamPlaces<C> = (Empty, (Empty, (Filled<RetryLayer>, (Empty, (Filled<CircuitBreakerLayer<C>>,
    (Filled<TryTimeoutLayer>, (Filled<BulkheadLayer>, (Filled<PropagateDeadlineLayer>, (Empty, ())))))))));

/// The layer of a configuration, without layers of other crates.
pub type ConfiguredLayer = StackLayer<<ConfiguredPlaces as Places>::Layers>;

/// The layers of a configuration.
pub(crate) struct Configured {
    #[cfg(feature = "security-headers")]
    pub(crate) security_headers: SecurityHeadersLayer,
    #[cfg(feature = "load-shed")]
    pub(crate) load_shed: LoadShedLayer,
    #[cfg(feature = "deadline")]
    pub(crate) deadline: DeadlineLayer,
    #[cfg(feature = "rate-limit")]
    pub(crate) by_address: ThrottleLayer,
    #[cfg(all(feature = "_auth", feature = "rate-limit"))]
    pub(crate) by_identity: ThrottleLayer,
    #[cfg(feature = "_auth")]
    pub(crate) auth: AuthLayer,
    #[cfg(feature = "_auth")]
    pub(crate) authz: AuthzLayer,
    #[cfg(feature = "validate")]
    pub(crate) validate: ValidateLayer,
    #[cfg(feature = "openapi")]
    pub(crate) validate_responses: ValidateResponsesLayer,
    #[cfg(feature = "cache")]
    pub(crate) cache: CacheLayer,
}

impl Stack<ConfiguredPlaces> {
    /// The layer, of which nothing more is to be found out.
    pub(crate) fn finish(self) -> ConfiguredLayer {
        self.building.build()
    }

    /// Puts them all into their places.
    #[allow(clippy::use_self, reason = "without layers the two types are the same, and only then")]
    pub(crate) fn configured(layers: Configured) -> Self {
        let _ = &layers;
        let stack = Stack::new();
        #[cfg(feature = "security-headers")]
        let stack = stack.security_headers(layers.security_headers);
        #[cfg(feature = "load-shed")]
        let stack = stack.load_shed(layers.load_shed);
        #[cfg(feature = "deadline")]
        let stack = stack.deadline(layers.deadline);
        #[cfg(feature = "rate-limit")]
        let stack = stack.rate_limit_by_address(layers.by_address);
        #[cfg(feature = "_auth")]
        let stack = stack.auth(layers.auth).authz(layers.authz);
        #[cfg(all(feature = "_auth", feature = "rate-limit"))]
        let stack = stack.rate_limit_by_identity(layers.by_identity);
        #[cfg(feature = "validate")]
        let stack = stack.validate(layers.validate);
        #[cfg(feature = "openapi")]
        let stack = stack.validate_responses(layers.validate_responses);
        #[cfg(feature = "cache")]
        let stack = stack.cache(layers.cache);
        // Rules that ask for callers were looked for where the tables were read.
        stack.callers_are_optional()
    }
}
