//! Rules: who may do what where.

use http::Method;

use super::predicate::Predicate;
use crate::spine::config::ConfigError;
use crate::spine::route::Template;

/// One rule of a policy table.
///
/// ```
/// use http::Method;
/// use tower_rampart::authz::Rule;
///
/// let create = Rule::allow("create", "/v1/polls").methods([Method::POST]).roles(["author"]).scopes(["polls:write"]);
/// let read = Rule::public("read", "/v1/polls/{id}").methods([Method::GET]);
/// let own = Rule::allow("own", "/tenants/{tenant}/{*rest}").claim_equals_path("tenant", "tenant");
/// let frozen = Rule::deny("frozen", "/v1/polls/frozen");
/// ```
#[derive(Debug, Clone)]
#[must_use = "a rule decides when it is in a table"]
pub struct Rule {
    pub(super) id: Box<str>,
    pub(super) path: Box<str>,
    /// None is all.
    pub(super) methods: Vec<Method>,
    pub(super) effect: Effect,
    pub(super) roles: Vec<Box<str>>,
    pub(super) scopes: Vec<Box<str>>,
    pub(super) predicates: Vec<Predicate>,
    pub(super) audited: bool,
    /// The list that was given without anything in it: one that was to be filled, and would ask for nothing.
    empty: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Deny,
    Public,
    Allow,
}

impl Rule {
    /// Lets callers through that meet all that the rule asks for; everybody who is known, when it asks for nothing.
    pub fn allow(id: impl Into<Box<str>>, path: impl Into<Box<str>>) -> Self {
        Self::new(id.into(), path.into(), Effect::Allow)
    }

    /// Lets everybody through, strangers too.
    pub fn public(id: impl Into<Box<str>>, path: impl Into<Box<str>>) -> Self {
        Self::new(id.into(), path.into(), Effect::Public)
    }

    /// Lets nobody through, whatever other rules say.
    pub fn deny(id: impl Into<Box<str>>, path: impl Into<Box<str>>) -> Self {
        Self::new(id.into(), path.into(), Effect::Deny)
    }

    fn new(id: Box<str>, path: Box<str>, effect: Effect) -> Self {
        let (roles, scopes) = (Vec::new(), Vec::new());
        Self {
            id,
            path,
            methods: Vec::new(),
            effect,
            roles,
            scopes,
            predicates: Vec::new(),
            audited: false,
            empty: None,
        }
    }

    /// Which methods it is about; all, unless it is said. HEAD follows GET, unless a rule names HEAD itself.
    ///
    /// An empty list is an error when the table is built, as it is of roles and scopes: it was to be filled.
    pub fn methods(mut self, methods: impl IntoIterator<Item = Method>) -> Self {
        self.methods = methods.into_iter().collect();
        let is_empty = self.methods.is_empty();
        self.noting(is_empty, "methods")
    }

    /// Roles of which the caller needs one.
    pub fn roles<T: Into<Box<str>>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        let is_empty = self.roles.is_empty();
        self.noting(is_empty, "roles")
    }

    /// Scopes of which the caller needs all.
    pub fn scopes<T: Into<Box<str>>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        let is_empty = self.scopes.is_empty();
        self.noting(is_empty, "scopes")
    }

    fn noting(mut self, is_empty: bool, setting: &'static str) -> Self {
        self.empty = if is_empty { Some(setting) } else { self.empty };
        self
    }

    /// A claim that must equal a parameter of the path: a tenant's name, say.
    pub fn claim_equals_path(self, claim: impl Into<Box<str>>, parameter: impl Into<Box<str>>) -> Self {
        self.when(Predicate::claim_equals_path(claim, parameter))
    }

    /// A claim that must equal a text.
    pub fn claim_equals(self, claim: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Self {
        self.when(Predicate::claim_equals(claim, text))
    }

    /// Asks for something more. A rule that allows, or is public, refuses where it is not so; one that denies denies only
    /// where it is.
    pub fn when(mut self, predicate: Predicate) -> Self {
        self.predicates.push(predicate);
        self
    }

    /// Reports each decision of this rule in an event of its own (`authz_audit`, at info), unsampled.
    pub const fn audited(mut self) -> Self {
        self.audited = true;
        self
    }

    /// The scopes that it asks for.
    #[cfg_attr(not(feature = "config"), expect(dead_code, reason = "only a configuration lists them"))]
    pub(crate) fn asked_scopes(&self) -> impl Iterator<Item = &str> {
        self.scopes.iter().map(AsRef::as_ref)
    }

    /// The rule's id, if it lets those alone through who are known.
    #[cfg(feature = "config")]
    pub(crate) fn asks_for_caller(&self) -> Option<&str> {
        (self.effect == Effect::Allow).then_some(&*self.id)
    }

    /// The rule's template, when all of it can be.
    pub(super) fn check(&self) -> Result<Template, ConfigError> {
        let id = &self.id;
        let name = |error: ConfigError| error.within(format_args!("rule \"{id}\""));
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        if id.is_empty() || id.len() > 64 || !id.bytes().all(is_plain) {
            return Err(ConfigError::new("id", id, "is no id for a rule", "write 1 to 64 of `A-Z a-z 0-9 - _ . :`"));
        }
        let template: Template = self.path.parse().map_err(name)?;
        if let Some(setting) = self.empty {
            const MEND: &str = "name some, or leave it out where the rule is to ask for none";
            return Err(name(ConfigError::new(setting, "", "is an empty list, which nobody could meet", MEND)));
        }
        let asks = !(self.roles.is_empty() && self.scopes.is_empty());
        if asks && self.effect != Effect::Allow {
            const BREACH: &str = "asks for roles or scopes, which means nothing beside `public` or `deny`";
            return Err(name(ConfigError::new("effect", "", BREACH, "take them away, or make it an `allow` rule")));
        }
        // RFC 6749 section 3.3, and what can stand in a challenge.
        let is_scope = |scope: &str| {
            !scope.is_empty() && scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~'))
        };
        if let Some(odd) = self.scopes.iter().find(|scope| !is_scope(scope)) {
            return Err(name(ConfigError::new("scopes", odd, "is no scope", "write printable ASCII without spaces")));
        }
        self.predicates.iter().try_for_each(|predicate| predicate.check(&template)).map_err(name)?;
        Ok(template)
    }
}
