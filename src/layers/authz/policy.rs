//! What decides, whoever it is.

use super::context::PolicyContext;
use crate::spine::identity::Identity;

/// Decides who may do what. A [`PolicyTable`](super::PolicyTable) is one; another engine (Cedar, say) can stand in.
///
/// ```
/// use http::Method;
/// use tower_rampart::authz::{AuthzLayer, Decision, Policy, PolicyContext, Refused};
///
/// /// Everybody may look, and only people may touch.
/// struct LookDoNotTouch;
///
/// impl Policy for LookDoNotTouch {
///     fn decide(&self, context: &PolicyContext<'_>) -> Decision<'_> {
///         match (context.method(), context.caller()) {
///             (&Method::GET, _) => Decision::Allowed { rule: "look" },
///             (_, Some(_)) => Decision::Allowed { rule: "touch" },
///             (_, None) => Decision::Refused { rule: None, why: Refused::Stranger },
///         }
///     }
/// }
///
/// let layer = AuthzLayer::new(LookDoNotTouch);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` decides nothing",
    note = "implement `Policy`, or build a `PolicyTable` with `PolicyTable::builder().add_rule(..).build()?`"
)]
pub trait Policy: Send + Sync + 'static {
    /// Decides about a request, at once and without a panic: what cannot be decided is refused. The path is as it was
    /// received; one that servers may read in several ways is the policy's to refuse, with [`Decision::Ambiguous`].
    fn decide(&self, context: &PolicyContext<'_>) -> Decision<'_>;

    /// The caller as handlers are to see it, when it has more roles than its credential says.
    fn effective(&self, caller: &Identity) -> Option<Identity> {
        let _ = caller;
        None
    }

    /// Whether [`PolicyContext::now`] must be there, for which somebody looks at a clock.
    fn asks_time(&self) -> bool {
        true
    }

    /// How many rules there are, for whoever looks at a stack.
    fn rules(&self) -> Option<usize> {
        None
    }

    /// A rule by which callers may pass whom nobody knows: a stack looks whether the layer that authenticates lets them come
    /// that far.
    fn public_rule(&self) -> Option<&str> {
        None
    }

    /// Whether each decision of this rule is reported.
    fn audits(&self, rule: &str) -> bool {
        let _ = rule;
        false
    }
}

/// What a policy says about a request, and by which rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever asks must act on every answer")]
pub enum Decision<'a> {
    /// It may pass.
    Allowed {
        /// The rule that says so.
        rule: &'a str,
    },
    /// It may not.
    Refused {
        /// The rule that refuses, or whose demands are not met; none when no rule speaks of the request.
        rule: Option<&'a str>,
        /// Why.
        why: Refused<'a>,
    },
    /// Servers may read the path in several ways, so no rule is asked.
    Ambiguous,
    /// The table goes by the framework's routes, and the request has none: the layer stands in the wrong place.
    NoRoute,
}

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused<'a> {
    /// Nobody knows who asks.
    Stranger,
    /// No rule allows it, or one denies it.
    Forbidden,
    /// A role is missing, or something else that the rule asks for is not so.
    NotTheirs,
    /// A scope is missing: the caller needs all of these.
    Scopes(&'a [Box<str>]),
}

impl<'a> Decision<'a> {
    /// Whether the request may pass.
    #[must_use]
    pub const fn is_allowed(self) -> bool {
        matches!(self, Self::Allowed { .. })
    }

    /// The rule that decided, if one did.
    #[must_use]
    pub const fn rule(self) -> Option<&'a str> {
        match self {
            Self::Allowed { rule } => Some(rule),
            Self::Refused { rule, .. } => rule,
            Self::Ambiguous | Self::NoRoute => None,
        }
    }
}
