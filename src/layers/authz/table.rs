//! The policy table: rules, compiled into a tree by path.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use http::Method;

use super::roles::Roles;
use super::rule::{Condition, Effect, Operand, Rule};
use super::template::{Segment, Template};
use crate::spine::config::ConfigError;
use crate::spine::identity::Identity;
use crate::spine::path::PathReadings;

/// What may be done by whom: deny unless a rule allows.
///
/// Of the rules that match a request's path and method, one that denies wins; else the narrowest template that allows
/// something decides: text before a parameter, a parameter before `{*rest}`, from left to right. Nothing that matches is a
/// refusal.
///
/// ```
/// use http::Method;
/// use tower_rampart::Identity;
/// use tower_rampart::authz::{Decision, PolicyTable, Rule};
///
/// let table = PolicyTable::new()
///     .role("admin", ["author"])
///     .add_rule(Rule::public("read", "/polls/{id}").methods([Method::GET]))
///     .add_rule(Rule::allow("create", "/polls").methods([Method::POST]).roles(["author"]))
///     .build()?;
/// let admin = Identity::new("idp", "ann").with_roles(["admin"]);
/// assert!(matches!(table.decide(&Method::POST, "/polls", Some(&admin)), Decision::Allowed { rule: "create" }));
/// assert!(matches!(table.decide(&Method::DELETE, "/polls/1", Some(&admin)), Decision::Refused { rule: None, .. }));
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a table decides when it is built"]
pub struct PolicyTableBuilder {
    rules: Vec<Rule>,
    inherits: BTreeMap<Box<str>, Vec<Box<str>>>,
}

/// A compiled table. Made by [`PolicyTable::new`] and [`PolicyTableBuilder::build`].
pub struct PolicyTable {
    allowing: Node,
    denying: Node,
    pub(super) roles: Roles,
    rules: Vec<Compiled>,
}

/// What a table says about a request, and by which rule.
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
}

/// Why a request may not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refused<'a> {
    /// Nobody knows who asks.
    Stranger,
    /// No rule allows it, or one denies it.
    Forbidden,
    /// A role is missing, or a claim is another.
    NotTheirs,
    /// A scope is missing: the caller needs all of these.
    Scopes(&'a [Box<str>]),
}

/// A rule, ready to decide.
struct Compiled {
    id: Box<str>,
    effect: Effect,
    template: Template,
    /// Roles of which one is enough, those that inherit one included; none, and no role is asked for.
    roles: BTreeSet<Box<str>>,
    scopes: Box<[Box<str>]>,
    conditions: Box<[Condition]>,
}

/// A place in the tree of paths.
#[derive(Default)]
struct Node {
    literals: HashMap<Box<str>, Self>,
    parameter: Option<Box<Self>>,
    here: Leaf,
    rest: Leaf,
}

/// The rules of one template, by method; `None` is every method.
#[derive(Default)]
struct Leaf(Vec<(Option<Method>, usize)>);

/// The most rules of a table.
const MAX_RULES: usize = 10_000;

impl PolicyTable {
    /// A table without rules, which refuses everything.
    #[allow(clippy::new_ret_no_self, reason = "a table is compiled when its rules are there")]
    pub fn new() -> PolicyTableBuilder {
        PolicyTableBuilder::default()
    }

    /// Decides about a request. `path` is as it was received.
    #[must_use]
    pub fn decide<'a>(&'a self, method: &Method, path: &str, caller: Option<&Identity>) -> Decision<'a> {
        let Some(path) = PathReadings::of(path).into_plain() else { return Decision::Ambiguous };
        let Some(path) = path.strip_prefix('/') else { return Decision::Ambiguous };
        let refused = |rule: Option<&'a Compiled>, why| {
            let why = if caller.is_none() { Refused::Stranger } else { why };
            Decision::Refused { rule: rule.map(|rule| &*rule.id), why }
        };
        let denied = self.denying.find(Some(path), method).and_then(|rule| self.rules.get(rule));
        if let Some(rule) = denied {
            return refused(Some(rule), Refused::Forbidden);
        }
        let Some(rule) = self.allowing.find(Some(path), method).and_then(|rule| self.rules.get(rule)) else {
            return refused(None, Refused::Forbidden);
        };
        if rule.effect == Effect::Public {
            return Decision::Allowed { rule: &rule.id };
        }
        let Some(caller) = caller else { return refused(Some(rule), Refused::Stranger) };
        if !rule.roles.is_empty() && !caller.roles().any(|role| rule.roles.contains(role)) {
            return refused(Some(rule), Refused::NotTheirs);
        }
        if !rule.conditions.iter().all(|condition| condition.holds(&rule.template, path, caller)) {
            return refused(Some(rule), Refused::NotTheirs);
        }
        if !rule.scopes.iter().all(|scope| caller.has_scope(scope)) {
            return refused(Some(rule), Refused::Scopes(&rule.scopes));
        }
        Decision::Allowed { rule: &rule.id }
    }
}

impl PolicyTableBuilder {
    /// A further rule.
    pub fn add_rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// A role that has others with it.
    pub fn role<T: Into<Box<str>>>(mut self, role: impl Into<Box<str>>, inherits: impl IntoIterator<Item = T>) -> Self {
        self.inherits.entry(role.into()).or_default().extend(inherits.into_iter().map(Into::into));
        self
    }

    /// The table.
    ///
    /// # Errors
    ///
    /// A role that inherits itself, two rules of one id, two that allow the same method on the same template, more than
    /// 10,000 rules, and whatever is wrong with one.
    pub fn build(self) -> Result<PolicyTable, ConfigError> {
        if self.rules.len() > MAX_RULES {
            return Err(ConfigError::new("rules", self.rules.len(), "are too many", "write at most 10000"));
        }
        let roles = Roles::close(&self.inherits)?;
        let mut table = PolicyTable { allowing: Node::default(), denying: Node::default(), roles, rules: Vec::new() };
        let mut ids = BTreeSet::new();
        for rule in self.rules {
            let template = rule.check()?;
            if !ids.insert(rule.id.clone()) {
                return Err(ConfigError::new("id", &rule.id, "is the id of two rules", "give each one of its own"));
            }
            let index = table.rules.len();
            let tree = if rule.effect == Effect::Deny { &mut table.denying } else { &mut table.allowing };
            let leaf = tree.leaf(&template.segments);
            let before =
                leaf.0.iter().find(|(method, _)| overlaps(method.as_ref(), &rule.methods)).map(|(_, index)| *index);
            if let Some(before) =
                before.filter(|_| rule.effect != Effect::Deny).and_then(|before| table.rules.get(before))
            {
                let breach = format!("allows what `{}` allows: the same method on the same template", before.id);
                return Err(ConfigError::new(format!("rule `{}`", rule.id), &template, breach, "put them together"));
            }
            match &*rule.methods {
                [] => leaf.0.push((None, index)),
                methods => leaf.0.extend(methods.iter().map(|method| (Some(method.clone()), index))),
            }
            table.rules.push(Compiled {
                id: rule.id,
                effect: rule.effect,
                template,
                roles: if rule.roles.is_empty() { BTreeSet::new() } else { table.roles.that_have(&rule.roles) },
                scopes: rule.scopes.into(),
                conditions: rule.conditions.into(),
            });
        }
        Ok(table)
    }
}

fn overlaps(method: Option<&Method>, methods: &[Method]) -> bool {
    method.is_none_or(|method| methods.is_empty() || methods.contains(method))
}

impl Node {
    fn leaf(&mut self, segments: &[Segment]) -> &mut Leaf {
        match segments.split_first() {
            None => &mut self.here,
            Some((Segment::Literal(literal), rest)) => self.literals.entry(literal.clone()).or_default().leaf(rest),
            Some((Segment::Parameter(_), rest)) => self.parameter.get_or_insert_default().leaf(rest),
            Some((Segment::Rest(_), _)) => &mut self.rest,
        }
    }

    /// The rule of the narrowest template that speaks of this method. What is left of the path is without its slash.
    fn find(&self, rest: Option<&str>, method: &Method) -> Option<usize> {
        let Some(path) = rest else { return self.here.rule(method) };
        let (segment, further) = match path.split_once('/') {
            Some((segment, further)) => (segment, Some(further)),
            None => (path, None),
        };
        let literal = self.literals.get(segment).and_then(|node| node.find(further, method));
        let parameter = || {
            let node = self.parameter.as_ref().filter(|_| !segment.is_empty())?;
            node.find(further, method)
        };
        literal.or_else(parameter).or_else(|| self.rest.rule(method).filter(|_| !path.is_empty()))
    }
}

impl Leaf {
    fn rule(&self, method: &Method) -> Option<usize> {
        let of = |method: &Method| {
            let speaks = |held: &Option<Method>| held.as_ref().is_none_or(|held| held == method);
            self.0.iter().find(|(held, _)| speaks(held)).map(|(_, rule)| *rule)
        };
        // HEAD follows GET, whose handler answers it; a rule that names HEAD itself counts for more.
        of(method).or_else(|| if *method == Method::HEAD { of(&Method::GET) } else { None })
    }
}

impl Condition {
    fn holds(&self, template: &Template, path: &str, caller: &Identity) -> bool {
        let Some(claim) = caller.claim(&self.claim) else { return false };
        match &self.equals {
            Operand::Text(text) => *claim == **text,
            Operand::Path(parameter) => captured(template, path, parameter) == Some(Cow::Borrowed(claim)),
        }
    }
}

/// What a parameter of a template stands for in a path that it matches.
fn captured<'a>(template: &Template, path: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let mut rest = Some(path);
    for segment in &template.segments {
        let path = rest?;
        let (text, further) = path.split_once('/').map_or((path, None), |(text, further)| (text, Some(further)));
        match segment {
            Segment::Parameter(held) if **held == *name => return Some(text.into()),
            Segment::Rest(held) if **held == *name => return Some(path.into()),
            _ => rest = further,
        }
    }
    None
}

impl fmt::Debug for PolicyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyTable").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}
