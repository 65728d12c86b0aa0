//! The names by which responses are purged: `Surrogate-Key`, `Cache-Tag`, and the groups of RFC 9875.

use http::{HeaderMap, HeaderName};
use sfv::{BareItem, List, ListEntry, Parser};

use super::directives::members;

const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
const CACHE_TAG: HeaderName = HeaderName::from_static("cache-tag");
const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
const CACHE_GROUP_INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// Names of one response that are kept. A response with more is not stored: one that cannot be purged as it says would
/// be worse.
pub(super) const MAX_TAGS: usize = 128;
/// The longest name.
pub(super) const MAX_TAG_BYTES: usize = 1024;

/// What the fields of a response name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) tags: Vec<String>,
    pub(super) groups: Vec<String>,
}

/// Names by which a response can be purged; `None` when they are too many or too long.
pub(super) fn of_response(headers: &HeaderMap) -> Option<Names> {
    let mut names = Names::default();
    for line in headers.get_all(&SURROGATE_KEY) {
        let words = line.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.for_each(|word| names.tags.push(String::from_utf8_lossy(word).into_owned()));
    }
    for line in headers.get_all(&CACHE_TAG) {
        members(line.as_bytes()).for_each(|tag| names.tags.push(String::from_utf8_lossy(tag).into_owned()));
    }
    names.groups = groups(headers, &CACHE_GROUPS);
    let all = || names.tags.iter().chain(&names.groups);
    (all().count() <= MAX_TAGS && all().all(|name| name.len() <= MAX_TAG_BYTES)).then_some(names)
}

/// RFC 9875 section 3: the groups that an unsafe request's response invalidates.
pub(super) fn invalidated_groups(headers: &HeaderMap) -> Vec<String> {
    let mut names = groups(headers, &CACHE_GROUP_INVALIDATION);
    names.truncate(MAX_TAGS);
    names
}

/// Takes out what is a cache's alone to know.
pub(super) fn strip(headers: &mut HeaderMap) {
    headers.remove(&SURROGATE_KEY);
    headers.remove(&CACHE_TAG);
}

/// RFC 9875 section 2: a list of strings; anything else in it makes it none.
fn groups(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    if !headers.contains_key(name) {
        return Vec::new();
    }
    let lines: Vec<_> = headers.get_all(name).iter().map(http::HeaderValue::as_bytes).collect();
    let Ok(list) = Parser::new(&lines.join(&b", "[..])).parse::<List>() else { return Vec::new() };
    let text = |member: ListEntry| match member {
        ListEntry::Item(item) => match item.bare_item {
            BareItem::String(text) => Some(text.as_str().to_owned()),
            _ => None,
        },
        ListEntry::InnerList(_) => None,
    };
    list.into_iter().map(text).collect::<Option<Vec<_>>>().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn tags_of_both_vendors() {
        let headers = fields(&[
            (SURROGATE_KEY, "a  b"),
            (SURROGATE_KEY, "c"),
            (CACHE_TAG, "d e, f,,"),
            (CACHE_GROUPS, "\"g\", \"h,i\";x=1"),
        ]);
        let names = of_response(&headers).unwrap();
        assert_eq!(names.tags, ["a", "b", "c", "d e", "f"]);
        assert_eq!(names.groups, ["g", "h,i"]);
    }

    /// RFC 9875 section 2: at least 32 groups of 32 characters; what is no list of strings is ignored.
    #[test]
    fn groups_are_strings() {
        let many: Vec<_> = (0..32).map(|n| format!("\"{n:032}\"")).collect();
        assert_eq!(of_response(&fields(&[(CACHE_GROUPS, &many.join(", "))])).unwrap().groups.len(), 32);
        for bad in ["a", "\"a\", b", "(\"a\")", "\"a", "1"] {
            assert_eq!(of_response(&fields(&[(CACHE_GROUPS, bad)])).unwrap(), Names::default(), "{bad}");
            assert_eq!(invalidated_groups(&fields(&[(CACHE_GROUP_INVALIDATION, bad)])), [""; 0], "{bad}");
        }
        let both = fields(&[(CACHE_GROUP_INVALIDATION, "\"a\""), (CACHE_GROUP_INVALIDATION, "\"B\"")]);
        assert_eq!(invalidated_groups(&both), ["a", "B"]);
    }

    #[test]
    fn too_many_or_too_long_cannot_be_kept() {
        let many = vec!["t"; MAX_TAGS + 1].join(" ");
        assert_eq!(of_response(&fields(&[(SURROGATE_KEY, &many)])), None);
        assert_eq!(of_response(&fields(&[(CACHE_TAG, &"t".repeat(MAX_TAG_BYTES + 1))])), None);
    }

    #[test]
    fn only_groups_are_sent_on() {
        let mut headers = fields(&[(SURROGATE_KEY, "a"), (CACHE_TAG, "b"), (CACHE_GROUPS, "\"c\"")]);
        strip(&mut headers);
        assert_eq!(headers.keys().collect::<Vec<_>>(), [CACHE_GROUPS]);
    }
}
