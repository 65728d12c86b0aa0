//! The policy table: rules, compiled into a tree by path.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use http::Method;

use super::context::PolicyContext;
use super::explanation::Explanation;
use super::policy::{Decision, Policy, Refused};
use super::predicate::{Facts, Predicate};
use super::roles::Roles;
use super::rule::{Effect, Rule};
use crate::spine::config::ConfigError;
use crate::spine::identity::Identity;
use crate::spine::path::PathReadings;
use crate::spine::route::{Leaf, Node, Template};

/// What may be done by whom: deny unless a rule allows.
///
/// Of the rules that match a request's path and method, one that denies wins; else the narrowest template that allows
/// something decides: text before a parameter, a parameter before `{*rest}`, from left to right. Nothing that matches is a
/// refusal. A path whose segments have parameters (`/polls;v=1`, RFC 3986 section 3.3) must be allowed with them and without
/// them, since some servers take them off before they look for a handler.
///
/// ```
/// use http::Method;
/// use tower_rampart::Identity;
/// use tower_rampart::authz::{Decision, PolicyContext, PolicyTable, Rule};
///
/// let table = PolicyTable::builder()
///     .add_role("admin", ["author"])
///     .add_rule(Rule::public("read", "/polls/{id}").methods([Method::GET]))
///     .add_rule(Rule::allow("create", "/polls").methods([Method::POST]).roles(["author"]))
///     .build()?;
/// let admin = Identity::new("idp", "ann").with_roles(["admin"]);
/// let create = PolicyContext::new(&Method::POST, "/polls");
/// assert_eq!(table.decide(&create.with_caller(Some(&admin))), Decision::Allowed { rule: "create" });
/// assert_eq!(table.explain(&create).to_string(), "refused by `create`: nobody knows who asks; role `author` is missing");
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "a table decides when it is built"]
pub struct PolicyTableBuilder {
    rules: Vec<Rule>,
    inherits: BTreeMap<Box<str>, Vec<Box<str>>>,
    permissions: BTreeMap<Box<str>, Vec<Box<str>>>,
    by_route: bool,
}

crate::spine::bounds::no_layer!(PolicyTableBuilder);

/// A compiled table. Made by [`PolicyTable::builder`] and [`PolicyTableBuilder::build`].
pub struct PolicyTable {
    allowing: Node,
    denying: Node,
    /// By the framework's route instead: the rules of each template, as it is written.
    by_route: Option<HashMap<Box<str>, Leaves>>,
    roles: Roles,
    rules: Vec<Compiled>,
    /// The ids of rules whose decisions are reported: it is asked about each request.
    audited: BTreeSet<Box<str>>,
    asks_time: bool,
}

crate::spine::bounds::no_layer!(PolicyTable);

/// The rules of one template: those that allow, and those that deny.
type Leaves = (Leaf, Leaf);

/// A rule, ready to decide.
struct Compiled {
    id: Box<str>,
    effect: Effect,
    template: Template,
    /// As they were written.
    asked_roles: Vec<Box<str>>,
    /// Roles of which one is enough, those that inherit one included; none, and no role is asked for.
    roles: BTreeSet<Box<str>>,
    scopes: Box<[Box<str>]>,
    predicates: Box<[Predicate]>,
}

/// The most rules of a table.
const MAX_RULES: usize = 10_000;

impl PolicyTable {
    /// A table without rules, which refuses everything.
    pub fn builder() -> PolicyTableBuilder {
        PolicyTableBuilder::default()
    }

    /// Decides about a request.
    #[must_use]
    pub fn decide(&self, context: &PolicyContext<'_>) -> Decision<'_> {
        let readings = PathReadings::of(context.path());
        let mut without = readings.without_parameters().map(|path| self.decide_at(context, &path));
        let refused = without.find(|decision| !decision.is_allowed());
        drop(without);
        if let Some(refused) = refused {
            return refused;
        }
        readings.into_plain().map_or(Decision::Ambiguous, |path| self.decide_at(context, &path))
    }

    /// Decides about one reading of the path.
    fn decide_at(&self, context: &PolicyContext<'_>, path: &str) -> Decision<'_> {
        let Some(path) = path.strip_prefix('/') else { return Decision::Ambiguous };
        match self.find(context, path) {
            Found::NoRoute => Decision::NoRoute,
            Found::Nothing => refused(None, context.caller(), Refused::Forbidden),
            Found::Denied(rule) => refused(Some(rule), context.caller(), Refused::Forbidden),
            Found::Rule(rule) => rule.decide(context, path),
        }
    }

    /// Says which rule decides about a request, and why: for people, not for each request. It names rules and what they
    /// ask for, and nothing of the request.
    #[must_use]
    pub fn explain(&self, context: &PolicyContext<'_>) -> Explanation {
        let readings = PathReadings::of(context.path());
        let is_refused = |path: &str| !self.decide_at(context, path).is_allowed();
        let without = readings.without_parameters().map(Cow::into_owned).find(|path| is_refused(path));
        // What is refused without its parameters is explained without them.
        match without.map(Cow::Owned).or_else(|| readings.into_plain()) {
            Some(path) => self.explain_at(context, &path),
            None => Explanation::ambiguous(),
        }
    }

    fn explain_at(&self, context: &PolicyContext<'_>, path: &str) -> Explanation {
        let Some(path) = path.strip_prefix('/') else { return Explanation::ambiguous() };
        match self.find(context, path) {
            Found::NoRoute => Explanation::no_route(),
            Found::Nothing => Explanation::nothing(),
            Found::Denied(rule) => Explanation::denied(&rule.id, &rule.predicates),
            Found::Rule(rule) => {
                let is_allowed = matches!(rule.decide(context, path), Decision::Allowed { .. });
                Explanation::of_rule(&rule.id, is_allowed, rule.missing(context, path))
            }
        }
    }

    fn find(&self, context: &PolicyContext<'_>, path: &str) -> Found<'_> {
        let denies = |index: usize| self.rules.get(index).is_some_and(|rule| rule.all_hold(context, path));
        let (denied, allowed) = match &self.by_route {
            None => (
                self.denying.find(Some(path), context.method(), &denies),
                self.allowing.find(Some(path), context.method(), &|_| true),
            ),
            Some(routes) => {
                let Some(route) = context.route() else { return Found::NoRoute };
                match routes.get(route) {
                    Some((allowing, denying)) => {
                        (denying.rule(context.method(), &denies), allowing.rule(context.method(), &|_| true))
                    }
                    None => (None, None),
                }
            }
        };
        let rule = |index: Option<usize>| index.and_then(|index| self.rules.get(index));
        match (rule(denied), rule(allowed)) {
            (Some(rule), _) => Found::Denied(rule),
            (None, Some(rule)) => Found::Rule(rule),
            (None, None) => Found::Nothing,
        }
    }
}

/// What a table has to say of a request.
enum Found<'a> {
    /// It goes by routes, and the request has none.
    NoRoute,
    Nothing,
    Denied(&'a Compiled),
    Rule(&'a Compiled),
}

impl Policy for PolicyTable {
    fn decide(&self, context: &PolicyContext<'_>) -> Decision<'_> {
        self.decide(context)
    }

    fn rules(&self) -> Option<usize> {
        Some(self.rules.len())
    }

    fn public_rule(&self) -> Option<&str> {
        self.rules.iter().find(|rule| rule.effect == Effect::Public).map(|rule| &*rule.id)
    }

    fn effective(&self, caller: &Identity) -> Option<Identity> {
        if self.roles.is_empty() {
            return None;
        }
        let all = self.roles.of(caller.roles());
        (all.len() > caller.roles().len()).then(|| caller.clone().with_roles(all))
    }

    fn asks_time(&self) -> bool {
        self.asks_time
    }

    fn audits(&self, rule: &str) -> bool {
        self.audited.contains(rule)
    }
}

fn refused<'a>(rule: Option<&'a Compiled>, caller: Option<&Identity>, why: Refused<'a>) -> Decision<'a> {
    let why = if caller.is_none() { Refused::Stranger } else { why };
    Decision::Refused { rule: rule.map(|rule| &*rule.id), why }
}

impl Compiled {
    fn decide<'a>(&'a self, context: &PolicyContext<'_>, path: &str) -> Decision<'a> {
        let caller = context.caller();
        if self.effect != Effect::Public && caller.is_none() {
            return refused(Some(self), caller, Refused::Stranger);
        }
        let has_role = |caller: &Identity| caller.roles().any(|role| self.roles.contains(role));
        if (!self.roles.is_empty() && !caller.is_some_and(has_role)) || !self.all_hold(context, path) {
            return refused(Some(self), caller, Refused::NotTheirs);
        }
        if !self.scopes.iter().all(|scope| caller.is_some_and(|caller| caller.has_scope(scope))) {
            return refused(Some(self), caller, Refused::Scopes(&self.scopes));
        }
        Decision::Allowed { rule: &self.id }
    }

    fn all_hold(&self, context: &PolicyContext<'_>, path: &str) -> bool {
        let facts = Facts { context, template: &self.template, path };
        self.predicates.iter().all(|predicate| predicate.holds(&facts))
    }

    /// What it asks for and does not find.
    fn missing(&self, context: &PolicyContext<'_>, path: &str) -> Vec<String> {
        let (caller, facts) = (context.caller(), Facts { context, template: &self.template, path });
        let mut missing = Vec::new();
        if self.effect != Effect::Public && caller.is_none() {
            missing.push(String::from("nobody knows who asks"));
        }
        if !self.roles.is_empty() && !caller.is_some_and(|who| who.roles().any(|role| self.roles.contains(role))) {
            let asked: Vec<_> = self.asked_roles.iter().map(|role| format!("`{role}`")).collect();
            missing.push(format!("role {} is missing", asked.join(" or ")));
        }
        let without = self.scopes.iter().filter(|scope| !caller.is_some_and(|who| who.has_scope(scope)));
        missing.extend(without.map(|scope| format!("scope `{scope}` is missing")));
        let unmet = self.predicates.iter().filter(|predicate| !predicate.holds(&facts));
        missing.extend(unmet.map(|predicate| format!("not so: {predicate}")));
        missing
    }
}

impl PolicyTableBuilder {
    /// A further rule.
    pub fn add_rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// A role that has others with it.
    pub fn add_role<T: Into<Box<str>>>(
        mut self,
        role: impl Into<Box<str>>,
        inherits: impl IntoIterator<Item = T>,
    ) -> Self {
        self.inherits.entry(role.into()).or_default().extend(inherits.into_iter().map(Into::into));
        self
    }

    /// A role that has permissions, and so has every role that inherits it.
    pub fn add_role_permissions<T: Into<Box<str>>>(
        mut self,
        role: impl Into<Box<str>>,
        permissions: impl IntoIterator<Item = T>,
    ) -> Self {
        self.permissions.entry(role.into()).or_default().extend(permissions.into_iter().map(Into::into));
        self
    }

    /// Compares the rules' paths with the template of the route that the framework's router chose (axum's
    /// `MatchedPath`), letter by letter, instead of with the path. The layer must then stand where there is one
    /// (`Router::route_layer`); a request without is refused (500), and the log says why.
    pub const fn by_route(mut self) -> Self {
        self.by_route = true;
        self
    }

    /// The table.
    ///
    /// # Errors
    ///
    /// A role that inherits itself, more than 1,000 that inherit others, two rules of one id, two that allow the same
    /// method on the same template, more than 10,000 rules, and whatever is wrong with one.
    pub fn build(self) -> Result<PolicyTable, ConfigError> {
        if self.rules.len() > MAX_RULES {
            return Err(ConfigError::new("rules", self.rules.len(), "are too many", "write at most 10000"));
        }
        let roles = Roles::close(&self.inherits)?.permit(self.permissions);
        let (allowing, denying, rules) = (Node::default(), Node::default(), Vec::new());
        let by_route = self.by_route.then(HashMap::new);
        let audited = BTreeSet::new();
        let mut table = PolicyTable { allowing, denying, by_route, roles, rules, audited, asks_time: false };
        let mut ids = BTreeSet::new();
        for rule in self.rules {
            let template = rule.check()?;
            if !ids.insert(rule.id.clone()) {
                return Err(ConfigError::new("id", &rule.id, "is the id of two rules", "give each one of its own"));
            }
            table.add(rule, template)?;
        }
        Ok(table)
    }
}

impl PolicyTable {
    fn add(&mut self, rule: Rule, template: Template) -> Result<(), ConfigError> {
        let index = self.rules.len();
        let denies = rule.effect == Effect::Deny;
        let tree = if denies { &mut self.denying } else { &mut self.allowing };
        let leaf = tree.leaf(&template.segments);
        let overlapping = leaf.0.iter().find(|(method, _)| overlaps(method.as_ref(), &rule.methods));
        let before = overlapping.filter(|_| !denies).and_then(|(_, index)| self.rules.get(*index));
        if let Some(before) = before {
            let breach = format!("allows what `{}` allows: the same method on the same template", before.id);
            return Err(ConfigError::new(format!("rule \"{}\"", rule.id), &template, breach, "put them together"));
        }
        leaf.add(&rule.methods, index);
        if let Some(routes) = &mut self.by_route {
            let (allowing, denying) = routes.entry(template.to_string().into()).or_default();
            let leaf = if denies { denying } else { allowing };
            leaf.add(&rule.methods, index);
        }
        let predicates: Box<[_]> = rule.predicates.iter().map(|predicate| predicate.widened(&self.roles)).collect();
        self.asks_time |= predicates.iter().any(Predicate::asks_time);
        if rule.audited {
            self.audited.insert(rule.id.clone());
        }
        self.rules.push(Compiled {
            id: rule.id,
            effect: rule.effect,
            template,
            roles: if rule.roles.is_empty() { BTreeSet::new() } else { self.roles.that_have(&rule.roles) },
            asked_roles: rule.roles,
            scopes: rule.scopes.into(),
            predicates,
        });
        Ok(())
    }
}

fn overlaps(method: Option<&Method>, methods: &[Method]) -> bool {
    method.is_none_or(|method| methods.is_empty() || methods.contains(method))
}

impl fmt::Debug for PolicyTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicyTable").field("rules", &self.rules.len()).finish_non_exhaustive()
    }
}
