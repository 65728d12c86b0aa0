//! `No-Vary-Search`: which parameters of a query choose a response.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode;
use sfv::{BareItem, Dictionary, InnerList, ListEntry, Parser};

const NO_VARY_SEARCH: HeaderName = HeaderName::from_static("no-vary-search");

/// Names in one rule, and parameters of one query, that are looked at.
const MAX_NAMES: usize = 256;

/// What a response says of the queries that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SearchRule {
    any_order: bool,
    ignored: Ignored,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Ignored {
    These(Vec<Vec<u8>>),
    AllBut(Vec<Vec<u8>>),
}

impl SearchRule {
    /// Reads the field; anything that is not as it should be says nothing, and then every query has its own response.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut lines = headers.get_all(&NO_VARY_SEARCH).iter();
        let line = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        let members: Dictionary = Parser::new(line.as_bytes()).parse().ok()?;
        let mut rule = Self { any_order: false, ignored: Ignored::These(Vec::new()) };
        let (mut params, mut except) = (None, None);
        for (name, value) in &members {
            match (name.as_str(), value) {
                ("key-order", ListEntry::Item(item)) => match item.bare_item {
                    BareItem::Boolean(any_order) => rule.any_order = any_order,
                    _ => return None,
                },
                ("params", ListEntry::Item(item)) => match item.bare_item {
                    BareItem::Boolean(all) => params = Some(Err(all)),
                    _ => return None,
                },
                ("params", ListEntry::InnerList(list)) => params = Some(Ok(names(list)?)),
                ("except", ListEntry::InnerList(list)) => except = Some(names(list)?),
                ("key-order" | "except", _) => return None,
                _ => {}
            }
        }
        rule.ignored = match (params, except) {
            (Some(Ok(these)), None) => Ignored::These(these),
            (None | Some(Err(false)), None) => Ignored::These(Vec::new()),
            (Some(Err(true)), None) => Ignored::AllBut(Vec::new()),
            (None | Some(Err(true)), Some(those)) => Ignored::AllBut(those),
            (Some(_), Some(_)) => return None,
        };
        let says_something = rule.any_order || rule.ignored != Ignored::These(Vec::new());
        says_something.then_some(rule)
    }

    /// What is left of a query; `None` when that is nothing, as if there were no query. Parameters are compared as a form's
    /// are, decoded.
    pub(super) fn apply(&self, query: &str) -> Option<Vec<u8>> {
        let all = query.split('&').filter(|parameter| !parameter.is_empty());
        if all.clone().count() > MAX_NAMES {
            return Some(query.as_bytes().to_vec());
        }
        let mut pairs: Vec<_> = all
            .map(|parameter| parameter.split_once('=').unwrap_or((parameter, "")))
            .map(|(name, value)| (decoded(name), decoded(value)))
            .filter(|(name, _)| !self.ignores(name))
            .collect();
        if self.any_order {
            // Stable: two of one name keep their order.
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let mut left = Vec::new();
        for part in pairs.iter().flat_map(|(name, value)| [name, value]) {
            left.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            left.extend_from_slice(part);
        }
        (!left.is_empty()).then_some(left)
    }

    fn ignores(&self, name: &[u8]) -> bool {
        match &self.ignored {
            Ignored::These(these) => these.iter().any(|this| this == name),
            Ignored::AllBut(those) => !those.iter().any(|that| that == name),
        }
    }
}

fn names(list: &InnerList) -> Option<Vec<Vec<u8>>> {
    let name = |item: &sfv::Item| match &item.bare_item {
        BareItem::String(text) => Some(decoded(text.as_str()).into_owned()),
        _ => None,
    };
    if list.items.len() > MAX_NAMES {
        return None;
    }
    list.items.iter().map(name).collect()
}

/// As `application/x-www-form-urlencoded` is read.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text.as_bytes());
    }
    let spaced = text.replace('+', " ");
    Cow::Owned(percent_decode(spaced.as_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn rule(text: &str) -> Option<SearchRule> {
        SearchRule::of(&HeaderMap::from_iter([(NO_VARY_SEARCH, HeaderValue::from_str(text).unwrap())]))
    }

    fn same(text: &str, one: &str, other: &str) -> bool {
        let rule = rule(text).unwrap();
        rule.apply(one) == rule.apply(other)
    }

    #[test]
    fn what_does_not_matter() {
        assert!(same("key-order", "a=1&b=2", "b=2&a=1"));
        assert!(!same("key-order", "a=1&a=2", "a=2&a=1"));
        assert!(same("params=(\"a\" \"b c\")", "a=1&x=1", "x=1&b+c=3&b%20c"));
        assert!(!same("params=(\"a\")", "x=1", "x=2"));
        assert!(!same("params=(\"a\")", "x=1&y=1", "y=1&x=1"), "the order matters still");
        assert!(same("params", "a=1", "b=2&c"));
        assert_eq!(rule("params").unwrap().apply("a=1"), None);
        assert!(same("except=(\"q\")", "q=1&x=1", "y=2&q=1"));
        assert!(!same("params, except=(\"q\")", "q=1", "q=2"));
        assert!(same("params=(\"a\")", "x=%41&y", "x=A&y="), "as a form reads it");
    }

    #[test]
    fn what_is_wrong_says_nothing() {
        for text in [
            "",
            "key-order=1",
            "params=1",
            "params=(a)",
            "except=?1",
            "except=\"a\"",
            "params=(\"a\"), except=(\"b\")",
            "params=?0",
            "params=(\"a\"",
            "key-order=?0",
            "params, except=?1",
            "params, key-order=(\"a\")",
        ] {
            assert_eq!(rule(text), None, "{text}");
        }
    }

    #[test]
    fn a_long_query_is_left_alone() {
        let long = vec!["a"; MAX_NAMES + 1].join("&");
        assert_eq!(rule("params").unwrap().apply(&long), Some(long.into_bytes()));
        assert_eq!(rule("params").unwrap().apply(&vec!["a"; MAX_NAMES].join("&")), None);
    }

    #[test]
    fn a_long_rule_says_nothing() {
        let names = |count| format!("params=({})", vec!["\"a\""; count].join(" "));
        assert!(rule(&names(MAX_NAMES)).is_some());
        assert_eq!(rule(&names(MAX_NAMES + 1)), None);
    }
}
