//! The stack of a server.

use std::fmt;

use super::building::{Building, Rank};
#[cfg(any(feature = "deadline", feature = "rate-limit"))]
use super::kinds;
use super::layer::StackLayer;
use super::order::places as place;
use super::place::{At, Empty, Free, Knows, Outside, Places, Put};
#[cfg(feature = "cache")]
use crate::layers::cache::CacheLayer;
#[cfg(feature = "load-shed")]
use crate::layers::load_shed::LoadShedLayer;
#[cfg(feature = "security-headers")]
use crate::layers::security_headers::SecurityHeadersLayer;
#[cfg(feature = "validate")]
use crate::layers::validate::ValidateLayer;
#[cfg(feature = "openapi")]
use crate::layers::validate::ValidateResponsesLayer;
#[cfg(feature = "_auth")]
use crate::layers::{auth::AuthLayer, authz::AuthzLayer};
use crate::spine::config::ConfigError;

macro_rules! places {
    () => { () };
    ($first:ident $($rest:ident)*) => { ($first, places!($($rest)*)) };
}

/// The places of a stack that nothing was put into.
pub type NoLayers = places! {
    Empty Empty Empty Empty Empty Empty Empty Empty Empty Empty
    Empty Empty Empty Empty Empty Empty Empty Empty Empty Empty
};

/// Puts layers into their order, whatever order they are given in. See the [module](super) for the manual.
///
/// `S` is what was given so far, by type, so that what was not given costs nothing.
#[derive(Clone)]
#[must_use = "a stack does nothing until it is built and put around a service"]
pub struct Stack<S = NoLayers> {
    pub(super) building: Building<S>,
    /// Whether policies that ask for callers are known to do without.
    callers_are_optional: bool,
}

crate::spine::bounds::no_layer!(Stack<S>);

/// A layer of your own that finds out who a caller is, and says so: it puts an [`Identity`](crate::Identity) into the
/// extensions of the request. Limits, policies and the cache further in know callers by it alone; a cache that is not told
/// would answer one caller with what another one got.
///
/// ```
/// use tower_rampart::stack::Authenticates;
///
/// #[derive(Clone)]
/// struct SessionLayer;
///
/// impl Authenticates for SessionLayer {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say that it puts an `Identity` into requests",
    label = "limits, policies and the cache further in know callers by an `Identity`",
    note = "implement `tower_rampart::stack::Authenticates` for your layer if it does; if it does not, give it to `.before_auth(layer)`"
)]
pub trait Authenticates {}

#[cfg(feature = "_auth")]
impl Authenticates for AuthLayer {}

impl Stack {
    /// No layer yet.
    pub fn new() -> Self {
        Self { building: Building::new(places_of_nothing()), callers_are_optional: false }
    }
}

const fn places_of_nothing() -> NoLayers {
    places! {
        Empty Empty Empty Empty Empty Empty Empty Empty Empty Empty
        Empty Empty Empty Empty Empty Empty Empty Empty Empty Empty
    }
}

impl Default for Stack {
    fn default() -> Self {
        Self::new()
    }
}

/// Layers of other crates, and of your own. A pair, `(outer, inner)`, is a layer too.
impl<S> Stack<S> {
    /// Around everything else.
    pub fn outermost<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::Outermost, L, Before: Free>,
    {
        self.foreign("outermost", layer)
    }

    /// Gives requests an id, and responses: tower-http's `SetRequestIdLayer` and `PropagateRequestIdLayer`. Everything that
    /// reports names it.
    pub fn request_id<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::RequestId, L, Before: Free>,
    {
        self.foreign("request id", layer)
    }

    /// Traces and counts requests: tower-http's `TraceLayer`. It sees refusals too.
    pub fn trace<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::Trace, L, Before: Free>,
    {
        self.foreign("trace", layer)
    }

    /// Answers what panics: tower-http's `CatchPanicLayer`. It stands inside the trace, so that its 500 is seen.
    pub fn catch_panic<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::CatchPanic, L, Before: Free>,
    {
        self.foreign("catch panic", layer)
    }

    /// Answers preflights, and lets pages of other origins read refusals: tower-http's `CorsLayer`.
    pub fn cors<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::Cors, L, Before: Free>,
    {
        self.foreign("cors", layer)
    }

    /// Bounds bodies before anything else looks at them: tower-http's `RequestBodyLimitLayer`. Validation bounds those that
    /// it reads itself.
    pub fn body_limit<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::BodyLimit, L, Before: Free>,
    {
        self.foreign("body limit", layer)
    }

    /// Just before anybody is asked who they are: for allow lists, CSRF, or what the credential has to be taken out of.
    pub fn before_auth<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::BeforeAuth, L, Before: Free>,
    {
        self.foreign("before auth", layer)
    }

    /// Authenticates by a layer of your own.
    pub fn authenticated_by<L>(self, layer: L) -> Stack<S::Out>
    where
        L: Authenticates,
        S: Put<place::Auth, L, Before: Free>,
    {
        self.foreign("auth", layer)
    }

    /// Says that a layer around the stack authenticates, and puts an [`Identity`](crate::Identity) into requests.
    pub fn authenticated_outside(self) -> Stack<S::Out>
    where
        S: Put<place::Auth, Outside, Before: Free>,
    {
        let Self { building, callers_are_optional } = self;
        Stack { building: building.said("auth", "outside of the stack", Outside::new()), callers_are_optional }
    }

    /// Just after it is known that the caller may: for idempotency keys, audit, whatever must not run for strangers.
    pub fn after_authz<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::AfterAuthz, L, Before: Free>,
    {
        self.foreign("after authz", layer)
    }

    /// Compresses responses: tower-http's `CompressionLayer`. Inside the cache, so that a hit is compressed already.
    pub fn compression<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::Compression, L, Before: Free>,
    {
        self.foreign("compression", layer)
    }

    /// Next to the handler.
    pub fn innermost<L>(self, layer: L) -> Stack<S::Out>
    where
        S: Put<place::Innermost, L, Before: Free>,
    {
        self.foreign("innermost", layer)
    }

    fn foreign<P: Rank, L>(self, place: &'static str, layer: L) -> Stack<S::Out>
    where
        S: Put<P, L>,
    {
        let Self { building, callers_are_optional } = self;
        Stack { building: building.foreign(place, layer), callers_are_optional }
    }
}

/// Layers of this crate.
#[cfg(any(
    feature = "_auth",
    feature = "cache",
    feature = "deadline",
    feature = "load-shed",
    feature = "rate-limit",
    feature = "security-headers",
    feature = "validate"
))]
impl<S> Stack<S> {
    /// Gives every response its security headers: refusals and preflights too.
    #[cfg(feature = "security-headers")]
    pub fn security_headers(self, layer: SecurityHeadersLayer) -> Stack<S::Out>
    where
        S: Put<place::SecurityHeaders, SecurityHeadersLayer, Before: Free>,
    {
        self.ours("security headers", layer)
    }

    /// Sheds what the service cannot do in time: the cheapest no.
    #[cfg(feature = "load-shed")]
    pub fn load_shed(self, layer: LoadShedLayer) -> Stack<S::Out>
    where
        S: Put<place::LoadShed, LoadShedLayer, Before: Free>,
    {
        self.ours("load shed", layer)
    }

    /// Gives requests a deadline, which covers whatever is waited for further in.
    #[cfg(feature = "deadline")]
    pub fn deadline<L>(self, layer: L) -> Stack<S::Out>
    where
        L: kinds::KeepsDeadlines,
        S: Put<place::Deadline, L, Before: Free>,
    {
        self.ours("deadline", layer)
    }

    /// Limits requests before anybody knows whose they are: no signature is checked for a flood, and nobody guesses
    /// passwords.
    #[cfg(feature = "rate-limit")]
    pub fn rate_limit_by_address<L>(self, layer: L) -> Stack<S::Out>
    where
        L: kinds::LimitsRequests,
        S: Put<place::RateLimitByAddress, L, Before: Free>,
    {
        self.ours("rate limit by address", layer)
    }

    /// Finds out who the caller is.
    #[cfg(feature = "_auth")]
    pub fn auth(self, layer: AuthLayer) -> Stack<S::Out>
    where
        S: Put<place::Auth, AuthLayer, Before: Free>,
    {
        self.ours("auth", layer)
    }

    /// Limits requests by who the caller is: by subject, tenant, plan.
    #[cfg(feature = "rate-limit")]
    pub fn rate_limit_by_identity<L>(self, layer: L) -> Stack<S::Out>
    where
        L: kinds::LimitsRequests,
        S: Put<place::RateLimitByIdentity, L, Before: Free>,
    {
        self.ours("rate limit by identity", layer)
    }

    /// Decides what the caller may do.
    #[cfg(feature = "_auth")]
    pub fn authz(self, layer: AuthzLayer) -> Stack<S::Out>
    where
        S: Put<place::Authz, AuthzLayer, Before: Free>,
    {
        self.ours("authz", layer)
    }

    /// Looks at what is asked: bodies are read for those alone who may.
    #[cfg(feature = "validate")]
    pub fn validate(self, layer: ValidateLayer) -> Stack<S::Out>
    where
        S: Put<place::Validate, ValidateLayer, Before: Free>,
    {
        self.ours("validate", layer)
    }

    /// Answers out of a cache: those alone who may have the answer, and what is somebody's own by their identity.
    #[cfg(feature = "cache")]
    pub fn cache(self, layer: CacheLayer) -> Stack<S::Out>
    where
        S: Put<place::Cache, CacheLayer, Before: Free>,
    {
        self.ours("cache", layer)
    }

    /// Looks at what is answered, before it is compressed or stored.
    #[cfg(feature = "openapi")]
    pub fn validate_responses(self, layer: ValidateResponsesLayer) -> Stack<S::Out>
    where
        S: Put<place::ValidateResponses, ValidateResponsesLayer, Before: Free>,
    {
        self.ours("validate responses", layer)
    }

    fn ours<P: Rank, L>(self, place: &'static str, layer: L) -> Stack<S::Out>
    where
        L: crate::spine::describe::Describe + Clone,
        S: Put<P, L>,
    {
        let Self { building, callers_are_optional } = self;
        Stack { building: building.ours(place, layer), callers_are_optional }
    }
}

impl<S> Stack<S> {
    /// The layer.
    ///
    /// Authorization, and a limit by identity, need something before them that finds out who the caller is: without, this
    /// does not compile.
    ///
    /// ```compile_fail
    /// use tower_rampart::authz::AuthzLayer;
    /// use tower_rampart::stack::Stack;
    ///
    /// let layer = Stack::new().authz(AuthzLayer::empty()).build();
    /// ```
    ///
    /// Nor do two layers for one place:
    ///
    /// ```compile_fail
    /// use tower::layer::util::Identity;
    /// use tower_rampart::stack::Stack;
    ///
    /// let layer = Stack::new().trace(Identity::new()).trace(Identity::new()).build();
    /// ```
    ///
    /// # Errors
    ///
    /// The authentication layer knows nobody, and something behind it asks for callers; it refuses strangers, and a rule is
    /// for them; both limiters have a policy of one name.
    pub fn build(self) -> Result<StackLayer<S::Layers>, ConfigError>
    where
        S: Places + At<place::Auth> + At<place::RateLimitByIdentity> + At<place::Authz>,
        <S as At<place::RateLimitByIdentity>>::Place: Knows<<S as At<place::Auth>>::Place>,
        <S as At<place::Authz>>::Place: Knows<<S as At<place::Auth>>::Place>,
    {
        let lines = &self.building.lines;
        let outside = lines.policies(place::RateLimitByAddress::RANK);
        if let Some(twice) = lines.policies(place::RateLimitByIdentity::RANK).iter().find(|name| outside.contains(name))
        {
            const BREACH: &str = "is the name of a policy by address, too";
            const MEND: &str = "give each policy a name of its own: clients tell them apart by it";
            return Err(ConfigError::new("rate limit by identity", twice, BREACH, MEND));
        }
        if !self.callers_are_optional && !lines.has(place::Auth::RANK) {
            let asking = [("authz", place::Authz::RANK), ("rate limit by identity", place::RateLimitByIdentity::RANK)];
            if let Some((setting, _)) = asking.into_iter().find(|(_, rank)| lines.has(*rank)) {
                const BREACH: &str = "asks who the caller is, and the authentication layer knows nobody";
                const MEND: &str = "give `auth` a layer that knows a credential, or take this one away";
                return Err(ConfigError::new(setting, "", BREACH, MEND));
            }
        }
        if let Some(rule) = lines.public_rule(place::Authz::RANK).filter(|_| lines.refuses_strangers(place::Auth::RANK))
        {
            const BREACH: &str = "lets strangers pass, and the authentication layer refuses them";
            const MEND: &str = "say `.optional(true)` to `Auth`: the rules then decide who must be known";
            return Err(ConfigError::new("authz, public rule", rule, BREACH, MEND));
        }
        Ok(self.building.build())
    }

    /// For policies that are known to ask for nobody.
    #[cfg(feature = "config")]
    pub(super) const fn callers_are_optional(mut self) -> Self {
        self.callers_are_optional = true;
        self
    }
}

impl<S> fmt::Debug for Stack<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("lines", &self.building.lines).finish_non_exhaustive()
    }
}
