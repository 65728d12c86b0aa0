//! What rules of `[authz]` ask for.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::value::Datetime;

use super::moment;
use super::parse::carry_from;
use crate::layers::authz::{Predicate, TimeWindow};
use crate::spine::config::ConfigError;
use crate::spine::key::Cidr;

/// A part of a rule that `any` and `not` put together.
#[derive(Debug, Clone)]
pub(super) struct Condition(Predicate);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionTable {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
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
    not: Option<Box<Condition>>,
}

/// `where`.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Vec<Predicate>);

/// One block of `client`.
#[derive(Debug, Clone)]
pub(super) struct Block(Cidr);

/// `time`.
#[derive(Debug, Clone)]
pub(super) struct Time(TimeWindow);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TimeTable {
    from: Option<Spanned<String>>,
    until: Option<Spanned<String>>,
    #[serde(default)]
    days: Vec<Spanned<String>>,
    not_before: Option<Spanned<Datetime>>,
    not_after: Option<Spanned<Datetime>>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "is neither text nor a list of texts, expected `\"a\"` or `[\"a\", \"b\"]`")]
enum Compared {
    Text(String),
    List(Vec<String>),
}

/// The keys that rules and conditions both have.
pub(super) struct Asked {
    pub(super) permissions: Vec<String>,
    pub(super) claims: Claims,
    pub(super) client: Vec<Block>,
    pub(super) certificate: Vec<String>,
    pub(super) time: Option<Time>,
    pub(super) any: Vec<Condition>,
    pub(super) not: Option<Condition>,
}

impl Asked {
    /// What they ask for, all of which must hold.
    pub(super) fn into_predicates(self) -> Vec<Predicate> {
        let mut all: Vec<_> = self.permissions.into_iter().map(Predicate::permission).collect();
        all.extend(self.claims.0);
        if !self.client.is_empty() {
            all.push(Predicate::client_in(self.client.into_iter().map(|Block(block)| block)));
        }
        if !self.certificate.is_empty() {
            all.push(Predicate::any(self.certificate.into_iter().map(Predicate::certificate)));
        }
        all.extend(self.time.map(|Time(window)| Predicate::during(window)));
        if !self.any.is_empty() {
            all.push(Predicate::any(self.any.into_iter().map(|Condition(predicate)| predicate)));
        }
        all.extend(self.not.map(|Condition(predicate)| Predicate::not(predicate)));
        all
    }
}

impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Spanned::<ConditionTable>::deserialize(deserializer)?;
        let place = table.span();
        let ConditionTable { roles, scopes, permissions, claims, client, certificate, time, any, not } =
            table.into_inner();
        let not = not.map(|condition| *condition);
        let mut all = Asked { permissions, claims, client, certificate, time, any, not }.into_predicates();
        if !roles.is_empty() {
            all.push(Predicate::any(roles.into_iter().map(Predicate::role)));
        }
        all.extend(scopes.into_iter().map(Predicate::scope));
        if all.is_empty() {
            const MEND: &str = "name roles, scopes, permissions, `where`, `client`, `certificate` or `time`";
            return Err(carry_from(place, &ConfigError::new("condition", "", "asks for nothing", MEND)));
        }
        Ok(Self(Predicate::all(all)))
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = BTreeMap::<Spanned<String>, Spanned<Compared>>::deserialize(deserializer)?;
        let mut predicates = Vec::new();
        for (claim, compared) in table {
            let refuse = |value: &str, breach: &'static str, mend: &'static str| {
                carry_from(claim.span(), &ConfigError::new("where", value, breach, mend))
            };
            let name = claim.get_ref().strip_prefix("claim:").filter(|name| !name.is_empty()).ok_or_else(|| {
                refuse(claim.get_ref(), "is no claim", "write `claim:` and its name, such as `claim:tenant`")
            })?;
            predicates.push(match compared.into_inner() {
                Compared::List(texts) => Predicate::claim_in(name, texts),
                Compared::Text(text) => match text.split_once(':') {
                    Some(("path", parameter)) => Predicate::claim_equals_path(name, parameter),
                    Some(("text", text)) => Predicate::claim_equals(name, text),
                    Some(("prefix", prefix)) if !prefix.is_empty() => Predicate::claim_has_prefix(name, prefix),
                    _ => {
                        const MEND: &str =
                            "write `path:<parameter>`, `text:<text>`, `prefix:<text>`, or a list of texts";
                        return Err(refuse(&text, "compares with nothing that is known", MEND));
                    }
                },
            });
        }
        Ok(Self(predicates))
    }
}

impl<'de> Deserialize<'de> for Block {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Spanned::<String>::deserialize(deserializer)?;
        let block = text
            .get_ref()
            .parse()
            .map_err(|error: ConfigError| carry_from(text.span(), &error.for_setting("client")))?;
        Ok(Self(block))
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let table = Spanned::<TimeTable>::deserialize(deserializer)?;
        let place = table.span();
        let table = table.into_inner();
        let mut window = TimeWindow::new();
        match (&table.from, &table.until) {
            (None, None) => {}
            (from, until) => {
                let text = |time: &Option<Spanned<String>>, default: &str| {
                    time.as_ref().map_or_else(|| default.to_owned(), |time| time.get_ref().clone())
                };
                let between = window.between(&text(from, "00:00"), &text(until, "24:00"));
                window = between.map_err(|error| carry_from(place, &error))?;
            }
        }
        for day in &table.days {
            window = window.days([day.get_ref()]).map_err(|error| carry_from(day.span(), &error))?;
        }
        let read = |date: &Spanned<Datetime>| {
            moment::of(date.get_ref()).ok_or_else(|| {
                const MEND: &str = "write one such as 2027-01-31T12:00:00Z, with its offset";
                carry_from(date.span(), &ConfigError::new("time", date.get_ref(), "is no moment", MEND))
            })
        };
        if let Some(start) = &table.not_before {
            window = window.not_before(read(start)?);
        }
        if let Some(end) = &table.not_after {
            window = window.until(read(end)?);
        }
        Ok(Self(window))
    }
}
