//! Which requests a response is for (RFC 9111 section 4.1).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, header};

use super::directives::{members, parts};

/// The most fields that choose between variants: each is read on every hit.
const MAX_FIELDS: usize = 16;
/// The most bytes of a request's field that may choose; a longer one is a variant that nobody asks for again.
const MAX_VALUE_BYTES: usize = 4096;

/// Fields that are lists by their definition, whose empty members say nothing. In any other they may: who took two values
/// of it for one would answer one caller with what another's chose.
const LISTS: [HeaderName; 5] =
    [header::ACCEPT, header::ACCEPT_CHARSET, header::ACCEPT_ENCODING, header::ACCEPT_LANGUAGE, header::CACHE_CONTROL];
/// Fields of one line, in which white space beside a comma may say something too, and whose lines are not put together.
const SINGLE: [HeaderName; 4] = [header::AUTHORIZATION, header::COOKIE, header::REFERER, header::USER_AGENT];

/// A request's field that chose a response.
#[derive(Debug, Clone, Eq)]
pub(super) struct Selector {
    name: HeaderName,
    /// The field's only line as it came, which needs no reading when it comes again.
    raw: Option<Bytes>,
    /// `None` for a field that was not there, which an empty one is not.
    normal: Option<Box<[u8]>>,
}

/// The fields that choose; `None` for `*`, which no request matches, and for more than anybody should look at.
pub(super) fn selecting_fields(response: &HeaderMap) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for line in response.get_all(header::VARY) {
        for member in members(line.as_bytes()) {
            if member == b"*" {
                return None;
            }
            // What is no name is no field of a request: nothing can match it.
            let name = HeaderName::from_bytes(member).ok()?;
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    (names.len() <= MAX_FIELDS).then_some(names)
}

/// What the request says in these fields.
pub(super) fn selectors(names: &[HeaderName], request: &HeaderMap) -> Option<Box<[Selector]>> {
    let select = |name: &HeaderName| {
        let mut lines = request.get_all(name).iter();
        let raw = match (lines.next(), lines.next()) {
            (Some(line), None) => Some(Bytes::copy_from_slice(line.as_bytes())),
            _ => None,
        };
        let bytes: usize = request.get_all(name).iter().map(http::HeaderValue::len).sum();
        (bytes <= MAX_VALUE_BYTES).then(|| Selector { name: name.clone(), raw, normal: normalise(name, request) })
    };
    names.iter().map(select).collect()
}

/// Whether a request asks for what these selectors chose.
pub(super) fn matches(selectors: &[Selector], request: &HeaderMap) -> bool {
    selectors.iter().all(|selector| selector.matches(request))
}

/// Whether one of these fields, which the request has, has chosen.
pub(super) fn chose(names: &[HeaderName], selectors: &[Selector], request: &HeaderMap) -> bool {
    selectors.iter().any(|selector| names.contains(&selector.name) && request.contains_key(&selector.name))
}

/// The bytes of a variant's selectors.
pub(super) fn weight(selectors: &[Selector]) -> usize {
    let bytes = |field: &Selector| {
        field.raw.as_ref().map_or(0, Bytes::len) + field.normal.as_ref().map_or(0, |value| value.len())
    };
    selectors.iter().map(|field| size_of::<Selector>() + bytes(field)).sum()
}

/// Whether the same fields choose, in whatever order.
pub(super) fn same_fields(one: &[Selector], other: &[Selector]) -> bool {
    let within = |one: &[Selector], other: &[Selector]| {
        one.iter().all(|field| other.iter().any(|other| other.name == field.name))
    };
    within(one, other) && within(other, one)
}

/// Whether requests that are for `narrow` are all for `wide` too.
pub(super) fn contains(wide: &[Selector], narrow: &[Selector]) -> bool {
    wide.iter().all(|field| narrow.contains(field))
}

impl PartialEq for Selector {
    /// However it was written.
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.normal == other.normal
    }
}

impl Selector {
    /// A field that chose, as it was kept elsewhere.
    pub(super) fn new(name: HeaderName, normal: Option<Bytes>) -> Self {
        Self { name, raw: None, normal: normal.map(|value| Box::from(&*value)) }
    }

    pub(super) const fn name(&self) -> &HeaderName {
        &self.name
    }

    pub(super) fn normal(&self) -> Option<&[u8]> {
        self.normal.as_deref()
    }

    fn matches(&self, request: &HeaderMap) -> bool {
        let mut lines = request.get_all(&self.name).iter();
        match (lines.next(), lines.next(), &self.raw) {
            (None, _, _) => self.normal.is_none(),
            (Some(line), None, Some(raw)) if *line.as_bytes() == **raw => true,
            _ => normalise(&self.name, request) == self.normal,
        }
    }
}

/// What a field says, without what does not matter: how it is broken into lines, and white space around commas; in a list
/// empty members; in `Accept-Encoding` and `Accept-Language` case and order too, and
/// weights of one.
fn normalise(name: &HeaderName, request: &HeaderMap) -> Option<Box<[u8]>> {
    if !request.contains_key(name) {
        return None;
    }
    let lines = request.get_all(name).iter();
    if SINGLE.contains(name) {
        let trimmed: Vec<_> = lines.map(|line| line.as_bytes().trim_ascii()).collect();
        return Some(trimmed.join(&b'\n').into_boxed_slice());
    }
    if !LISTS.contains(name) {
        return Some(lines.flat_map(|line| parts(line.as_bytes())).collect::<Vec<_>>().join(&b',').into_boxed_slice());
    }
    let all = lines.flat_map(|line| members(line.as_bytes()));
    let joined = if *name == header::ACCEPT_ENCODING || *name == header::ACCEPT_LANGUAGE {
        let mut weighted: Vec<_> = all.map(preference).collect();
        // Equal weights say nothing about an order, and neither does the order in which they stand.
        weighted.sort();
        weighted.dedup();
        let join = |(less, value): (u16, Vec<u8>)| [value, less.to_string().into_bytes()].join(&b';');
        weighted.into_iter().map(join).collect::<Vec<_>>().join(&b',')
    } else {
        all.collect::<Vec<_>>().join(&b',')
    };
    Some(joined.into_boxed_slice())
}

/// How much less than wanted most, in thousandths, and what (RFC 9110 section 12.4.2).
fn preference(member: &[u8]) -> (u16, Vec<u8>) {
    let mut parts = member.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
    let value = parts.next().unwrap_or_default().to_ascii_lowercase();
    let weight = parts.find_map(|part| part.strip_prefix(b"q=").or_else(|| part.strip_prefix(b"Q=")));
    let thousandths = weight.and_then(|weight| std::str::from_utf8(weight).ok()?.parse::<f32>().ok());
    let less = thousandths.map_or(0.0, |weight| (1.0 - weight.clamp(0.0, 1.0)) * 1000.0);
    (less.round() as u16, value)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn same(
        vary: &'static str,
        stored: &[(&'static str, &'static str)],
        asked: &[(&'static str, &'static str)],
    ) -> bool {
        let names = selecting_fields(&fields(&[("vary", vary)])).unwrap();
        matches(&selectors(&names, &fields(stored)).unwrap(), &fields(asked))
    }

    /// RFC 9111 section 4.1: all of them, in both, or absent in both.
    #[test]
    fn all_fields_must_match() {
        let stored = [("x-a", "1"), ("x-b", "2")];
        assert!(same("X-A, x-b", &stored, &[("x-a", "1"), ("x-b", "2"), ("x-c", "3")]));
        assert!(!same("x-a, x-b", &stored, &[("x-a", "1"), ("x-b", "3")]));
        assert!(!same("x-a, x-b", &stored, &[("x-a", "1")]));
        assert!(!same("x-a", &[], &[("x-a", "")]), "absent is not empty");
        assert!(same("x-a", &[], &[]));
        assert!(!same("x-a", &[("x-a", "One")], &[("x-a", "one")]));
    }

    #[test]
    fn the_same_fields_and_wider_ones() {
        let of = |vary: &str, request: &[(&'static str, &'static str)]| {
            let names: Vec<_> = vary.split_whitespace().map(|name| HeaderName::try_from(name).unwrap()).collect();
            selectors(&names, &fields(request)).unwrap()
        };
        let one = of("x-a x-b", &[("x-a", "1"), ("x-b", "2")]);
        let turned = of("x-b x-a", &[("x-a", "1"), ("x-b", "2")]);
        let other = of("x-a x-b", &[("x-a", "1")]);
        let wide = of("x-a", &[("x-a", "1")]);
        assert!(same_fields(&one, &turned) && same_fields(&one, &other) && same_fields(&[], &[]));
        assert!(!same_fields(&one, &wide) && !same_fields(&wide, &one) && !same_fields(&[], &wide));
        assert!(contains(&one, &turned) && contains(&turned, &one), "in whatever order");
        assert!(contains(&wide, &one) && contains(&wide, &other) && contains(&[], &wide) && contains(&[], &[]));
        assert!(!contains(&one, &wide) && !contains(&one, &other) && !contains(&wide, &[]));
    }

    /// RFC 9111 section 4.1: `*` always fails to match, wherever it stands.
    #[test]
    fn a_star_matches_nothing() {
        for lines in [&["*"][..], &["x-a, *"], &["*,x-a"], &["x-a", "*"], &[" * "]] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::VARY, HeaderValue::from_static(line));
            }
            assert_eq!(selecting_fields(&headers), None, "{lines:?}");
        }
        assert_eq!(selecting_fields(&fields(&[("vary", "x a")])), None, "no name");
        assert_eq!(selecting_fields(&fields(&[("vary", ","), ("vary", "x-a"), ("vary", "x-A")])).unwrap(), ["x-a"]);
    }

    /// RFC 9111 section 4.1: a field is normalised by its own definition; one that has none here is what it is.
    #[test]
    fn what_is_not_known_to_be_a_list_is_none() {
        for (stored, asked) in [
            ("2,", "2"),
            (",2", "2"),
            ("1,,2", "1,2"),
            ("1,", "1,,"),
            ("1, 2", "2, 1"),
            ("\"1,2\"", "\"1, 2\""),
            (",", ""),
        ] {
            assert!(!same("x-a", &[("x-a", stored)], &[("x-a", asked)]), "{stored} {asked}");
            assert!(!same("x-a", &[("x-a", asked)], &[("x-a", stored)]), "{asked} {stored}");
        }
        for asked in [" 1,2\t", "1, 2", "1 ,\t2"] {
            assert!(same("x-a", &[("x-a", "1,2")], &[("x-a", asked)]), "white space is no part of it: {asked}");
        }
        assert!(!same("x-a", &[("x-a", "1 2")], &[("x-a", "1  2")]), "but for that within a member");
        // RFC 9110 section 5.2: several lines are one, whose parts stand in their order.
        assert!(same("x-a", &[("x-a", "1, 2")], &[("x-a", "1"), ("x-a", "2")]));
        assert!(!same("x-a", &[("x-a", "1"), ("x-a", "")], &[("x-a", "1")]));
    }

    /// RFC 9111 section 4.1: white space, lines that are one list, and what the field's own rules call the same.
    #[test]
    fn what_does_not_matter() {
        for list in ["accept", "accept-charset", "cache-control"] {
            let name = HeaderName::from_static(list);
            let asked = [("1,2", "1 ,  2"), ("1,2", "1,,2,"), ("1", ", 1")];
            for (stored, asked) in asked {
                let of = |value| HeaderMap::from_iter([(name.clone(), HeaderValue::from_static(value))]);
                let selectors = selectors(std::slice::from_ref(&name), &of(stored)).unwrap();
                assert!(matches(&selectors, &of(asked)), "{list}: {stored} {asked}");
            }
        }
        assert!(!same("accept", &[("accept", "a;b=\"1,2\"")], &[("accept", "a;b=\"1, 2\"")]), "what is quoted counts");
        assert!(!same("cookie", &[("cookie", "a=1,2")], &[("cookie", "a=1, 2")]), "and what is in no list");
        assert!(same("cookie", &[("cookie", "a=1,2")], &[("cookie", "a=1,2")]));
        let lang = [("accept-language", "en, de;q=0.50")];
        assert!(same("accept-language", &lang, &[("accept-language", "DE;q=0.5,EN;q=1")]));
        assert!(!same("accept-language", &lang, &[("accept-language", "de, en;q=0.5")]));
        let encoding = [("accept-encoding", "gzip, br")];
        assert!(same("accept-encoding", &encoding, &[("accept-encoding", "br, GZIP")]));
        assert!(!same("accept-encoding", &encoding, &[("accept-encoding", "br, gzip;q=0")]));
    }

    #[test]
    fn what_is_too_much_is_not_kept() {
        let many: Vec<_> = (0..=MAX_FIELDS).map(|n| format!("x-{n}")).collect();
        let headers = HeaderMap::from_iter([(header::VARY, HeaderValue::try_from(many.join(",")).unwrap())]);
        assert_eq!(selecting_fields(&headers), None);
        let headers = HeaderMap::from_iter([(header::VARY, HeaderValue::try_from(many[1..].join(",")).unwrap())]);
        assert_eq!(selecting_fields(&headers).unwrap().len(), MAX_FIELDS);
        for (bytes, is_kept) in [(MAX_VALUE_BYTES, true), (MAX_VALUE_BYTES + 1, false)] {
            let request = HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from("a".repeat(bytes)).unwrap())]);
            assert_eq!(selectors(&[header::COOKIE], &request).is_some(), is_kept, "{bytes}");
        }
    }
}
