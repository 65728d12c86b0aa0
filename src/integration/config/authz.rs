//! `[authz]`.

use std::collections::BTreeMap;

use http::Method;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::authz_condition::{Asked, Block, Claims, Condition, Time};
use super::parse::carry_from;
use crate::layers::authz::{AuthzLayer, PolicyTable, Rule};
use crate::spine::config::ConfigError;

/// The `[authz]` table, with `[authz.roles]`, `[authz.permissions]`, `[[authz.rule]]` and `[[authz.shadow_rule]]`.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `roles_claim` | the claim that lists a caller's roles; dots lead into objects | `roles` |
/// | `roles.<name>` | the roles that a role has with it | |
/// | `permissions.<role>` | the permissions that a role has | |
/// | `pass_preflights` | lets CORS preflights through, for upstreams that answer them | `false` |
/// | `rule.id` | what logs call the rule | |
/// | `rule.methods` | methods, or `["*"]` | |
/// | `rule.path` | a template: `/polls/{id}`, `/files/{*path}`, `/pkg.Service/*` | |
/// | `rule.allow` | `public` or `authenticated`; or name roles and scopes | `authenticated` |
/// | `rule.roles` | of which the caller needs one | |
/// | `rule.scopes`, `rule.permissions` | of which it needs all | |
/// | `rule.where` | claims: `{ "claim:tenant" = "path:tenant" }`, a part of the path; `"text:gold"`; `["gold", "silver"]`, one of them; `"prefix:admin-"` | |
/// | `rule.client` | address blocks of which the client must be in one | |
/// | `rule.certificate` | names of which the client certificate must have one | |
/// | `rule.time` | `{ from = "08:00", until = "18:00", days = ["mon"], not_before = <date>, not_after = <date> }`, in UTC | |
/// | `rule.any` | tables with these keys, of which one must hold | |
/// | `rule.not` | one that must not hold | |
/// | `rule.deny` | refuses, whatever other rules say, where what it asks for holds | `false` |
/// | `rule.audit` | reports each of its decisions | `false` |
/// | `shadow_rule` | a whole table of rules that is asked, too, counted, logged where it differs, and never enforced | |
///
/// ```
/// use tower_rampart::config::{self, AuthzConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     authz: AuthzConfig,
/// }
///
/// let text = "[[authz.rule]]\nid = \"read\"\nmethods = [\"GET\"]\npath = \"/polls/{id}\"\nallow = \"public\"\n";
/// let config: Config = config::parse(text, "app.toml")?;
/// let layer = config.authz.to_layer()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthzConfig {
    #[serde(default = "roles")]
    roles_claim: String,
    #[serde(default)]
    roles: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    rule: Vec<RuleConfig>,
    #[serde(default)]
    permissions: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    pass_preflights: bool,
    #[serde(default)]
    shadow_rule: Vec<RuleConfig>,
}

fn roles() -> String {
    String::from("roles")
}

/// One rule, checked.
#[derive(Debug, Clone)]
struct RuleConfig(Rule);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleTable {
    id: Spanned<String>,
    methods: Vec<Spanned<String>>,
    path: Spanned<String>,
    allow: Option<Allow>,
    #[serde(default)]
    roles: Option<Vec<String>>,
    #[serde(default)]
    scopes: Option<Vec<String>>,
    #[serde(default)]
    permissions: Vec<String>,
    #[serde(default, rename = "where")]
    claims: Claims,
    #[serde(default)]
    client: Vec<Block>,
    #[serde(default)]
    certificate: Vec<String>,
    time: Option<Time>,
    #[serde(default)]
    any: Vec<Condition>,
    not: Option<Condition>,
    #[serde(default)]
    deny: bool,
    #[serde(default)]
    audit: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Allow {
    Public,
    Authenticated,
}

impl AuthzConfig {
    /// The scopes that the rules ask for, each once.
    pub(super) fn scopes(&self) -> std::collections::BTreeSet<&str> {
        self.rule.iter().flat_map(|rule| rule.0.asked_scopes()).collect()
    }

    /// The first rule that asks who the caller is.
    pub(super) fn rule_for_callers(&self) -> Option<&str> {
        self.rule.iter().find_map(|rule| rule.0.asks_for_caller())
    }

    /// The layer that the table describes.
    ///
    /// # Errors
    ///
    /// Roles that inherit themselves, two rules of one id, and two that allow the same method on the same template.
    pub fn to_layer(&self) -> Result<AuthzLayer, ConfigError> {
        let layer = AuthzLayer::new(self.table(&self.rule)?).pass_preflights(self.pass_preflights);
        Ok(if self.shadow_rule.is_empty() { layer } else { layer.shadow(self.table(&self.shadow_rule)?) })
    }

    fn table(&self, rules: &[RuleConfig]) -> Result<PolicyTable, ConfigError> {
        let mut table = PolicyTable::builder();
        for (role, inherits) in &self.roles {
            table = table.add_role(role.as_str(), inherits.iter().map(String::as_str));
        }
        for (role, permissions) in &self.permissions {
            table = table.add_role_permissions(role.as_str(), permissions.iter().map(String::as_str));
        }
        let table = rules.iter().fold(table, |table, RuleConfig(rule)| table.add_rule(rule.clone()));
        table.build().map_err(|error| error.within("authz"))
    }

    /// The claim that lists a caller's roles.
    #[must_use]
    pub fn roles_claim(&self) -> &str {
        &self.roles_claim
    }
}

impl<'de> Deserialize<'de> for RuleConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = RuleTable::deserialize(deserializer)?;
        let (id, path) = (table.id.get_ref().as_str(), table.path.get_ref().as_str());
        let refuse = |place, setting: &'static str, value: &str, breach: &'static str, mend: &'static str| {
            carry_from(place, &ConfigError::new(setting, value, breach, mend))
        };
        let asks_caller = table.roles.is_some() || table.scopes.is_some();
        let predicates = Asked {
            permissions: table.permissions,
            claims: table.claims,
            client: table.client,
            certificate: table.certificate,
            time: table.time,
            any: table.any,
            not: table.not,
        }
        .into_predicates();
        let asks = asks_caller || !predicates.is_empty();
        let rule = match (table.deny, table.allow) {
            (true, None) if !asks_caller => Rule::deny(id, path),
            (false, Some(Allow::Public)) if !asks_caller => Rule::public(id, path),
            (false, None) if asks => Rule::allow(id, path),
            (false, Some(Allow::Authenticated)) => Rule::allow(id, path),
            _ => {
                const BREACH: &str = "says nothing, or two things: it denies, is `public`, is `authenticated`, or asks for \
                     roles, scopes or something else";
                return Err(refuse(table.id.span(), "id", id, BREACH, "say one of them"));
            }
        };
        let mut methods = Vec::new();
        for method in table.methods.iter().filter(|method| method.get_ref() != "*") {
            // Names are compared as they stand, and those of all methods there are, are in capitals.
            let name = method.get_ref();
            let parsed = Method::from_bytes(name.as_bytes())
                .ok()
                .filter(|_| !name.bytes().any(|byte| byte.is_ascii_lowercase()));
            const MEND: &str = "write one such as `GET`, or `*` for all";
            methods.push(parsed.ok_or_else(|| refuse(method.span(), "methods", name, "is no method", MEND))?);
        }
        if table.methods.is_empty() || (!methods.is_empty() && methods.len() < table.methods.len()) {
            const MEND: &str = "name them, or write `[\"*\"]` for all";
            return Err(refuse(table.id.span(), "id", id, "names no methods, or all and some", MEND));
        }
        // None is every method, said by `*`.
        let rule = if methods.is_empty() { rule } else { rule.methods(methods) };
        let rule = table.roles.into_iter().fold(rule, Rule::roles);
        let rule = table.scopes.into_iter().fold(rule, Rule::scopes);
        let rule = predicates.into_iter().fold(rule, Rule::when);
        let rule = if table.audit { rule.audited() } else { rule };
        // What a rule finds in itself is found here, where the line is known.
        match PolicyTable::builder().add_rule(rule.clone()).build() {
            Ok(_) => Ok(Self(rule)),
            Err(error) => {
                let place = if error.setting().ends_with("path") { table.path.span() } else { table.id.span() };
                Err(carry_from(place, &error))
            }
        }
    }
}
