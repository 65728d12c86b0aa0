//! What a rule may ask for beside a method and a path.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::context::PolicyContext;
use super::roles::Roles;
use super::time_window::TimeWindow;
use crate::spine::config::ConfigError;
use crate::spine::identity::Identity;
use crate::spine::key::Cidr;
use crate::spine::route::Template;

/// Something that must be so, put together with `all`, `any` and `not`.
///
/// What a request does not have is never so: a stranger has no role and no claim, and a request whose client's address is
/// not known is in no block. Mind that under [`not`](Self::not).
///
/// ```
/// use tower_rampart::authz::{Predicate, Rule, TimeWindow};
///
/// let office = Predicate::all([
///     Predicate::client_in(["10.0.0.0/8".parse()?]),
///     Predicate::during(TimeWindow::new().between("08:00", "18:00")?.days(["mon", "tue", "wed", "thu", "fri"])?),
/// ]);
/// let rule = Rule::allow("export", "/export").when(Predicate::any([Predicate::role("admin"), office]));
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "a predicate decides when a rule asks for it"]
pub struct Predicate(Kind);

#[derive(Clone)]
enum Kind {
    /// One of these roles; those that inherit one are added when a table is built.
    Role {
        asked: Box<str>,
        enough: BTreeSet<Box<str>>,
    },
    Scope(Box<str>),
    /// This permission, or one of the roles that have it.
    Permission {
        asked: Box<str>,
        roles: BTreeSet<Box<str>>,
    },
    ClaimIn {
        claim: Box<str>,
        texts: Box<[Box<str>]>,
    },
    ClaimPrefix {
        claim: Box<str>,
        prefix: Box<str>,
    },
    ClaimEqualsPath {
        claim: Box<str>,
        parameter: Box<str>,
    },
    During(TimeWindow),
    ClientIn(Box<[Cidr]>),
    Certificate(Box<str>),
    All(Vec<Predicate>),
    Any(Vec<Predicate>),
    Not(Box<Predicate>),
    Custom {
        name: Box<str>,
        holds: Arc<dyn Fn(&PolicyContext<'_>) -> bool + Send + Sync>,
    },
}

/// What a predicate is looked at with.
pub(super) struct Facts<'a> {
    pub(super) context: &'a PolicyContext<'a>,
    pub(super) template: &'a Template,
    /// The path, decoded, without its first slash.
    pub(super) path: &'a str,
}

/// Predicates within each other: more is nothing that anybody reads.
const MAX_DEPTH: usize = 16;

impl Predicate {
    /// The caller has this role, or one that inherits it.
    pub fn role(role: impl Into<Box<str>>) -> Self {
        let asked: Box<str> = role.into();
        Self(Kind::Role { enough: BTreeSet::from([asked.clone()]), asked })
    }

    /// The caller's credential has this scope.
    pub fn scope(scope: impl Into<Box<str>>) -> Self {
        Self(Kind::Scope(scope.into()))
    }

    /// The caller has this permission, by its own claims or by a role that has it in the table.
    pub fn permission(permission: impl Into<Box<str>>) -> Self {
        Self(Kind::Permission { asked: permission.into(), roles: BTreeSet::new() })
    }

    /// A claim of the caller's is this text, or a list with it.
    pub fn claim_equals(claim: impl Into<Box<str>>, text: impl Into<Box<str>>) -> Self {
        Self::claim_in(claim, [text])
    }

    /// A claim of the caller's is one of these texts, or a list with one.
    pub fn claim_in<T: Into<Box<str>>>(claim: impl Into<Box<str>>, texts: impl IntoIterator<Item = T>) -> Self {
        Self(Kind::ClaimIn { claim: claim.into(), texts: texts.into_iter().map(Into::into).collect() })
    }

    /// A claim of the caller's begins so, or is a list with a text that does.
    pub fn claim_has_prefix(claim: impl Into<Box<str>>, prefix: impl Into<Box<str>>) -> Self {
        Self(Kind::ClaimPrefix { claim: claim.into(), prefix: prefix.into() })
    }

    /// A claim of the caller's is what stands for a parameter of the path, or a list with it: a tenant's name, say.
    pub fn claim_equals_path(claim: impl Into<Box<str>>, parameter: impl Into<Box<str>>) -> Self {
        Self(Kind::ClaimEqualsPath { claim: claim.into(), parameter: parameter.into() })
    }

    /// It is the time for it.
    pub const fn during(window: TimeWindow) -> Self {
        Self(Kind::During(window))
    }

    /// The client's address, as the layer's `ClientIp` finds it, is in one of these blocks.
    pub fn client_in(blocks: impl IntoIterator<Item = Cidr>) -> Self {
        Self(Kind::ClientIn(blocks.into_iter().collect()))
    }

    /// The connection's [`ClientCertificate`](crate::ClientCertificate) has this name.
    pub fn certificate(name: impl Into<Box<str>>) -> Self {
        Self(Kind::Certificate(name.into()))
    }

    /// All of these are so.
    pub fn all(predicates: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::All(predicates.into_iter().collect()))
    }

    /// One of these is so.
    pub fn any(predicates: impl IntoIterator<Item = Self>) -> Self {
        Self(Kind::Any(predicates.into_iter().collect()))
    }

    /// This is not so.
    #[allow(clippy::should_implement_trait, reason = "it stands beside `all` and `any`")]
    pub fn not(predicate: Self) -> Self {
        Self(Kind::Not(Box::new(predicate)))
    }

    /// What a closure finds, under a name for explanations.
    pub fn custom(
        name: impl Into<Box<str>>,
        holds: impl Fn(&PolicyContext<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(Kind::Custom { name: name.into(), holds: Arc::new(holds) })
    }

    /// The same, with what roles inherit and are permitted.
    pub(super) fn widened(&self, roles: &Roles) -> Self {
        let all = |predicates: &[Self]| predicates.iter().map(|predicate| predicate.widened(roles)).collect();
        Self(match &self.0 {
            Kind::Role { asked, .. } => {
                Kind::Role { asked: asked.clone(), enough: roles.that_have(std::slice::from_ref(asked)) }
            }
            Kind::Permission { asked, .. } => {
                Kind::Permission { asked: asked.clone(), roles: roles.that_are_permitted(asked) }
            }
            Kind::All(predicates) => Kind::All(all(predicates)),
            Kind::Any(predicates) => Kind::Any(all(predicates)),
            Kind::Not(predicate) => Kind::Not(Box::new(predicate.widened(roles))),
            other => other.clone(),
        })
    }

    /// What cannot be asked of requests with this template.
    pub(super) fn check(&self, template: &Template) -> Result<(), ConfigError> {
        self.check_within(template, MAX_DEPTH)
    }

    fn check_within(&self, template: &Template, depth_left: usize) -> Result<(), ConfigError> {
        let depth_left = depth_left.checked_sub(1).ok_or_else(|| {
            ConfigError::new("when", "", "has more than 16 predicates within each other", "write several rules")
        })?;
        match &self.0 {
            Kind::ClaimEqualsPath { parameter, .. }
                if parameter.is_empty() || !template.parameters().any(|name| name == &**parameter) =>
            {
                const MEND: &str = "name one of the path's parameters";
                Err(ConfigError::new("where", parameter, "is no parameter of the path", MEND))
            }
            Kind::Any(predicates) if predicates.is_empty() => Err(ConfigError::new(
                "any",
                "",
                "is empty, and so never true",
                "name predicates, or write a `deny` rule",
            )),
            Kind::All(predicates) | Kind::Any(predicates) => {
                predicates.iter().try_for_each(|predicate| predicate.check_within(template, depth_left))
            }
            Kind::Not(predicate) => predicate.check_within(template, depth_left),
            _ => Ok(()),
        }
    }

    /// Whether somebody has to look at a clock.
    pub(super) fn asks_time(&self) -> bool {
        match &self.0 {
            Kind::During(_) | Kind::Custom { .. } => true,
            Kind::All(predicates) | Kind::Any(predicates) => predicates.iter().any(Self::asks_time),
            Kind::Not(predicate) => predicate.asks_time(),
            _ => false,
        }
    }

    pub(super) fn holds(&self, facts: &Facts<'_>) -> bool {
        let context = facts.context;
        let is_so = |holds: &dyn Fn(&Identity) -> bool| context.caller().is_some_and(holds);
        match &self.0 {
            Kind::Role { enough, .. } => is_so(&|caller| caller.roles().any(|role| enough.contains(role))),
            Kind::Scope(scope) => is_so(&|caller| caller.has_scope(scope)),
            Kind::Permission { asked, roles } => {
                is_so(&|caller| caller.has_permission(asked) || caller.roles().any(|role| roles.contains(role)))
            }
            Kind::ClaimIn { claim, texts } => {
                is_so(&|caller| caller.claims(claim).any(|held| texts.iter().any(|text| **text == *held)))
            }
            Kind::ClaimPrefix { claim, prefix } => {
                is_so(&|caller| caller.claims(claim).any(|held| held.starts_with(&**prefix)))
            }
            Kind::ClaimEqualsPath { claim, parameter } => is_so(&|caller| {
                let wanted = facts.template.captured(facts.path, parameter);
                wanted.is_some_and(|wanted| caller.claims(claim).any(|held| held == wanted))
            }),
            Kind::During(window) => context.now().is_some_and(|now| window.contains(now)),
            Kind::ClientIn(blocks) => {
                context.client().is_some_and(|client| blocks.iter().any(|block| block.contains(client)))
            }
            Kind::Certificate(name) => context.certificate().is_some_and(|certificate| certificate.has_name(name)),
            Kind::All(predicates) => predicates.iter().all(|predicate| predicate.holds(facts)),
            Kind::Any(predicates) => predicates.iter().any(|predicate| predicate.holds(facts)),
            Kind::Not(predicate) => !predicate.holds(facts),
            Kind::Custom { holds, .. } => holds(context),
        }
    }
}

impl fmt::Display for Predicate {
    /// In the words of whoever wrote the rule; nothing of a request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |f: &mut fmt::Formatter<'_>, predicates: &[Self], between: &str| {
            f.write_str("(")?;
            for (at, predicate) in predicates.iter().enumerate() {
                f.write_str(if at == 0 { "" } else { between })?;
                predicate.fmt(f)?;
            }
            f.write_str(")")
        };
        match &self.0 {
            Kind::Role { asked, .. } => write!(f, "role `{asked}`"),
            Kind::Scope(scope) => write!(f, "scope `{scope}`"),
            Kind::Permission { asked, .. } => write!(f, "permission `{asked}`"),
            Kind::ClaimIn { claim, texts } => write!(f, "claim `{claim}` in {texts:?}"),
            Kind::ClaimPrefix { claim, prefix } => write!(f, "claim `{claim}` begins with `{prefix}`"),
            Kind::ClaimEqualsPath { claim, parameter } => write!(f, "claim `{claim}` is the path's `{parameter}`"),
            Kind::During(window) => window.fmt(f),
            Kind::ClientIn(blocks) => {
                f.write_str("client in")?;
                blocks.iter().try_for_each(|block| write!(f, " {block}"))
            }
            Kind::Certificate(name) => write!(f, "certificate `{name}`"),
            Kind::All(predicates) => join(f, predicates, " and "),
            Kind::Any(predicates) => join(f, predicates, " or "),
            Kind::Not(predicate) => write!(f, "not {predicate}"),
            Kind::Custom { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Debug for Predicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
