//! What of a query is a part of the key (and of what `No-Vary-Search` says of it).

use std::borrow::Cow;

use super::settings::QueryRule;

/// Parameters that are looked at; a longer query is taken as it is.
const MAX_PARAMETERS: usize = 256;

/// The query as the key has it: as it came, unless the user wants it sorted or without some parameters. Nothing is decoded:
/// what is written in another way is another query. `None` when all of it is dropped, as if there were none.
pub(super) fn normalised<'a>(query: &'a str, rule: &QueryRule) -> Option<Cow<'a, [u8]>> {
    let changes = rule.is_sorted || !rule.dropped.is_empty();
    if !changes || query.split('&').count() > MAX_PARAMETERS {
        return Some(Cow::Borrowed(query.as_bytes()));
    }
    let is_dropped = |parameter: &&str| {
        let name = parameter.split_once('=').map_or(*parameter, |(name, _)| name);
        rule.dropped.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        })
    };
    let mut parameters: Vec<_> = query.split('&').filter(|parameter| !is_dropped(parameter)).collect();
    if rule.is_sorted {
        // Stable, since the order of two of one name may matter.
        parameters.sort_by_key(|parameter| parameter.split_once('=').map_or(*parameter, |(name, _)| name));
    }
    (!parameters.is_empty()).then(|| Cow::Owned(parameters.join("&").into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(query: &str, is_sorted: bool, dropped: &[&str]) -> String {
        let rule = QueryRule {
            is_sorted,
            dropped: dropped.iter().map(|name| (*name).to_owned()).collect(),
            heeds_responses: false,
        };
        normalised(query, &rule)
            .map_or_else(|| String::from("none"), |query| String::from_utf8(query.into_owned()).unwrap())
    }

    #[test]
    fn as_it_came_unless_told() {
        for query in ["", "b=1&a=2", "a=%41&&=", "utm_source=x"] {
            assert_eq!(of(query, false, &[]), query);
        }
        assert_eq!(of("b=2&a=2&b=1", true, &[]), "a=2&b=2&b=1");
        assert_eq!(of("b=2&utm_a=1&c&utm=3", false, &["utm_*", "c"]), "b=2&utm=3");
        assert_eq!(of("utm_a=1", true, &["utm_*"]), "none");
        assert_eq!(of("", true, &["utm_*"]), "");
    }

    #[test]
    fn what_is_too_long_is_left_alone() {
        let long = vec!["a"; MAX_PARAMETERS + 1].join("&");
        assert_eq!(of(&long, true, &["a"]), long);
        assert_eq!(of(&vec!["a"; MAX_PARAMETERS].join("&"), true, &["a"]), "none");
    }
}
