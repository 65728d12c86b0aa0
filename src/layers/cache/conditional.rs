//! Conditional requests (RFC 9110 section 13), answered from what is stored and asked of the origin.

use http::{HeaderMap, HeaderName, HeaderValue, header};

use super::directives::whole_number;
use crate::spine::date;

/// Entity tags that are looked at in one request.
const MAX_TAGS: usize = 256;

/// The fields by which a request asks for a change only.
const CONDITIONS: [HeaderName; 5] =
    [header::IF_NONE_MATCH, header::IF_MODIFIED_SINCE, header::IF_MATCH, header::IF_UNMODIFIED_SINCE, header::IF_RANGE];

/// An entity tag. A tag without its quotes is none, but some send it so, and mean the same by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tag<'a> {
    opaque: &'a [u8],
    is_weak: bool,
}

impl<'a> Tag<'a> {
    fn of(text: &'a [u8]) -> Self {
        let text = text.trim_ascii();
        let (opaque, is_weak) = match text.strip_prefix(b"W/") {
            Some(opaque) => (opaque, true),
            None => (text, false),
        };
        let unquoted = opaque.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        Tag { opaque: unquoted.unwrap_or(opaque), is_weak }
    }

    /// RFC 9110 section 8.8.3.2.
    fn matches_weakly(&self, other: &Self) -> bool {
        self.opaque == other.opaque
    }

    fn matches_strongly(&self, other: &Self) -> bool {
        !self.is_weak && !other.is_weak && self.opaque == other.opaque
    }
}

/// The tags of a list. What is quoted in one has no escapes (RFC 9110 section 8.8.3): a backslash is a backslash.
fn tags(line: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    line.split(move |&byte| {
        quoted ^= byte == b'"';
        byte == b',' && !quoted
    })
    .map(<[u8]>::trim_ascii)
    .filter(|tag| !tag.is_empty())
}

/// Whether a request has a condition of any kind.
pub(super) fn is_conditional(request: &HeaderMap) -> bool {
    CONDITIONS.iter().any(|name| request.contains_key(name))
}

/// Whether the client has what is stored (RFC 9110 section 13.2.2: `If-None-Match` before `If-Modified-Since`).
pub(super) fn is_not_modified(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let mut lines = request.get_all(header::IF_NONE_MATCH).iter();
    if let Some(first) = lines.next() {
        let held = stored.get(header::ETAG);
        if held == Some(first) {
            return true;
        }
        let tag = held.map(|tag| Tag::of(tag.as_bytes()));
        return std::iter::once(first)
            .chain(lines)
            .flat_map(|line| tags(line.as_bytes()))
            .take(MAX_TAGS)
            .any(|wanted| wanted == b"*" || tag.is_some_and(|tag| tag.matches_weakly(&Tag::of(wanted))));
    }
    let Some(since) = date::of(request, &header::IF_MODIFIED_SINCE) else { return false };
    // RFC 9111 section 4.3.2: without a Last-Modified, the date is the last moment at which it can have changed.
    let modified = match stored.get(header::LAST_MODIFIED) {
        Some(modified) => date::parse(modified.as_bytes()),
        None => date::of(stored, &header::DATE),
    };
    modified.is_some_and(|modified| modified <= since)
}

/// Whether a range is to be cut from what is stored: `If-Range` holds, or is not there (RFC 9110 section 13.1.5).
pub(super) fn range_holds(request: &HeaderMap, stored: &HeaderMap) -> bool {
    let Some(condition) = request.get(header::IF_RANGE) else { return true };
    let condition = condition.as_bytes().trim_ascii();
    if condition.starts_with(b"\"") || condition.starts_with(b"W/") {
        return stored
            .get(header::ETAG)
            .is_some_and(|tag| Tag::of(tag.as_bytes()).matches_strongly(&Tag::of(condition)));
    }
    // A date is strong when what it dates was already older than a second (section 8.8.2.2), and matches exactly.
    let (Some(wanted), Some(modified)) = (date::parse(condition), date::of(stored, &header::LAST_MODIFIED)) else {
        return false;
    };
    let dated = date::of(stored, &header::DATE).and_then(|date| date.duration_since(modified).ok());
    wanted == modified && dated.is_some_and(|age| age.as_secs() >= 1)
}

/// The fields by which the origin is asked whether what is stored is still good (RFC 9111 section 4.3.1).
pub(super) fn validators(stored: &HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let tag = stored.get(header::ETAG).map(|tag| (header::IF_NONE_MATCH, tag.clone()));
    let modified = stored.get(header::LAST_MODIFIED).map(|date| (header::IF_MODIFIED_SINCE, date.clone()));
    tag.into_iter().chain(modified)
}

/// Whether the origin can be asked.
pub(super) fn has_validator(stored: &HeaderMap) -> bool {
    stored.contains_key(header::ETAG) || stored.contains_key(header::LAST_MODIFIED)
}

/// Takes the client's conditions out of a request that is to ask the origin something else.
pub(super) fn strip(request: &mut HeaderMap) {
    for name in &CONDITIONS {
        request.remove(name);
    }
}

/// What a 304 says of what is stored (RFC 9111 section 4.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Confirmation {
    /// It is the one: by the same strong validator, else by the weak one, else by none where it was asked about alone.
    Same,
    /// It has not changed since a day before that of what is stored: so that is good, and nothing of it is updated.
    Older,
    /// Something else is meant.
    None,
}

/// Whether a 304 speaks of what is stored.
pub(super) fn confirmation(stored: &HeaderMap, answer: &HeaderMap) -> Confirmation {
    let is_same = match (answer.get(header::ETAG), stored.get(header::ETAG)) {
        (Some(told), Some(held)) => {
            let (told, held) = (Tag::of(told.as_bytes()), Tag::of(held.as_bytes()));
            // A strong one confirms what has it; that the origin has weakened it meanwhile changes no content.
            told.matches_weakly(&held)
        }
        (Some(_), None) => same_date(stored, answer),
        (None, _) => {
            !answer.contains_key(header::LAST_MODIFIED)
                || !stored.contains_key(header::LAST_MODIFIED)
                || same_date(stored, answer)
        }
    };
    let modified = |headers| date::of(headers, &header::LAST_MODIFIED);
    let is_older = || matches!((modified(answer), modified(stored)), (Some(told), Some(held)) if told < held);
    if is_same {
        Confirmation::Same
    } else if !answer.contains_key(header::ETAG) && is_older() {
        Confirmation::Older
    } else {
        Confirmation::None
    }
}

/// Whether a tag says that what has it is the same byte for byte (RFC 9110 section 8.8.1).
pub(super) fn is_strong(tag: &HeaderValue) -> bool {
    !Tag::of(tag.as_bytes()).is_weak
}

/// Whether two responses have the same strong entity tag, and so may be put together (RFC 9111 section 3.4).
pub(super) fn same_strong(one: &HeaderMap, other: &HeaderMap) -> bool {
    match (one.get(header::ETAG), other.get(header::ETAG)) {
        (Some(one), Some(other)) => Tag::of(one.as_bytes()).matches_strongly(&Tag::of(other.as_bytes())),
        _ => false,
    }
}

/// Whether a HEAD's answer speaks of another content than the stored one (RFC 9111 section 4.3.5): by a length, or by a
/// validator that the stored one has not, or has otherwise.
pub(super) fn contradicts(stored: &HeaderMap, length: usize, head: &HeaderMap) -> bool {
    // A body that came in chunks has a length too; a length beside `Transfer-Encoding` is none (RFC 9112 section 6.3).
    let is_longer_or_shorter = head
        .get(header::CONTENT_LENGTH)
        .filter(|_| !head.contains_key(header::TRANSFER_ENCODING))
        .is_some_and(|told| whole_number(told.as_bytes()).and_then(|told| usize::try_from(told).ok()) != Some(length));
    is_longer_or_shorter
        || [header::ETAG, header::LAST_MODIFIED]
            .iter()
            .any(|name| head.get(name).is_some_and(|told| stored.get(name) != Some(told)))
}

fn same_date(one: &HeaderMap, other: &HeaderMap) -> bool {
    let date = |headers| date::of(headers, &header::LAST_MODIFIED);
    date(one).is_some() && date(one) == date(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EARLY: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const NEXT: &str = "Sun, 06 Nov 1994 08:49:38 GMT";
    const LATE: &str = "Sun, 06 Nov 1994 08:49:39 GMT";

    fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        headers
    }

    fn not_modified(asked: &[(&'static str, &'static str)], stored: &[(&'static str, &'static str)]) -> bool {
        is_not_modified(&fields(asked), &fields(stored))
    }

    /// RFC 9110 sections 13.1.2 and 8.8.3.2: weak comparison, any of the list, `*`.
    #[test]
    fn if_none_match() {
        for (asked, stored, holds) in [
            ("\"a\"", "\"a\"", true),
            ("W/\"a\"", "\"a\"", true),
            ("\"a\"", "W/\"a\"", true),
            ("\"b\", W/\"a\"", "\"a\"", true),
            ("\"a,b\"", "\"a,b\"", true),
            ("\"a,b\"", "\"a\"", false),
            ("\"A\"", "\"a\"", false),
            ("*", "\"a\"", true),
            ("a", "a", true),
            (r#""z\", "a\""#, r#""a\""#, true),
            (r#""a\", b""#, r#""a\""#, true),
        ] {
            assert_eq!(not_modified(&[("if-none-match", asked)], &[("etag", stored)]), holds, "{asked} {stored}");
        }
        assert!(not_modified(&[("if-none-match", "\"b\""), ("if-none-match", "\"a\"")], &[("etag", "\"a\"")]));
        assert!(not_modified(&[("if-none-match", "*")], &[]));
        assert!(!not_modified(&[("if-none-match", "\"a\"")], &[]));
    }

    /// RFC 9110 section 13.1.3: an If-None-Match silences it.
    #[test]
    fn the_tag_goes_before_the_date() {
        let asked = [("if-none-match", "\"b\""), ("if-modified-since", LATE)];
        assert!(!not_modified(&asked, &[("etag", "\"a\""), ("last-modified", EARLY)]));
    }

    /// RFC 9110 section 13.1.3, RFC 9111 section 4.3.2.
    #[test]
    fn if_modified_since() {
        let asked = |since| [("if-modified-since", since)];
        assert!(not_modified(&asked(EARLY), &[("last-modified", EARLY)]));
        assert!(not_modified(&asked(LATE), &[("last-modified", EARLY)]));
        assert!(not_modified(&asked("Sunday, 06-Nov-94 08:49:39 GMT"), &[("last-modified", EARLY)]));
        assert!(!not_modified(&asked(EARLY), &[("last-modified", LATE)]));
        assert!(not_modified(&asked(LATE), &[("date", EARLY)]));
        assert!(!not_modified(&asked(EARLY), &[("date", LATE)]));
        assert!(!not_modified(&asked("yesterday"), &[("last-modified", EARLY)]));
        assert!(!not_modified(&asked(LATE), &[]));
    }

    /// RFC 9110 sections 13.1.5 and 8.8.2.2.
    #[test]
    fn if_range_is_strong() {
        let holds = |asked, stored: &[(&'static str, &'static str)]| {
            range_holds(&fields(&[("if-range", asked)]), &fields(stored))
        };
        assert!(holds("\"a\"", &[("etag", "\"a\"")]));
        assert!(!holds("W/\"a\"", &[("etag", "W/\"a\"")]));
        assert!(!holds("\"a\"", &[("etag", "W/\"a\"")]));
        assert!(!holds("\"a\"", &[]));
        assert!(holds(EARLY, &[("last-modified", EARLY), ("date", LATE)]));
        assert!(!holds(EARLY, &[("last-modified", EARLY), ("date", EARLY)]), "it may have changed within the second");
        assert!(holds(EARLY, &[("last-modified", EARLY), ("date", NEXT)]));
        assert!(!holds(LATE, &[("last-modified", EARLY), ("date", LATE)]));
        assert!(range_holds(&HeaderMap::new(), &HeaderMap::new()));
    }

    /// RFC 9111 section 4.3.4.
    #[test]
    fn a_304_confirms_what_it_names() {
        let told = |stored: &[_], answer: &[_]| confirmation(&fields(stored), &fields(answer));
        let confirmed = |stored: &[_], answer: &[_]| told(stored, answer) == Confirmation::Same;
        assert!(confirmed(&[("etag", "\"a\"")], &[("etag", "\"a\"")]));
        assert!(!confirmed(&[("etag", "\"a\"")], &[("etag", "\"b\"")]));
        assert!(confirmed(&[("etag", "W/\"a\"")], &[("etag", "W/\"a\"")]));
        assert!(confirmed(&[("etag", "\"a\"")], &[]));
        assert!(confirmed(&[("last-modified", EARLY)], &[("last-modified", EARLY)]));
        assert!(!confirmed(&[("last-modified", EARLY)], &[("last-modified", LATE)]));
        assert!(!confirmed(&[], &[("etag", "\"a\"")]));
        // What was changed last before that has not been changed since, and a tag may contradict it.
        let (early, late) = (("last-modified", EARLY), ("last-modified", LATE));
        assert_eq!(told(&[late], &[early]), Confirmation::Older);
        assert_eq!(told(&[late, ("etag", "\"a\"")], &[early]), Confirmation::Older);
        assert_eq!(told(&[late, ("etag", "W/\"a\"")], &[early, ("etag", "W/\"b\"")]), Confirmation::None);
        assert_eq!(told(&[late, ("etag", "\"a\"")], &[early, ("etag", "\"b\"")]), Confirmation::None);
        assert_eq!(told(&[late], &[early, ("etag", "\"b\"")]), Confirmation::None);
        assert_eq!(told(&[early], &[late]), Confirmation::None);
        assert_eq!(told(&[early, ("etag", "\"a\"")], &[early, ("etag", "\"b\"")]), Confirmation::None);
    }

    /// RFC 9111 section 4.3.5.
    #[test]
    fn a_head_contradicts() {
        let mut stored = fields(&[("etag", "\"a\""), ("content-length", "3"), ("last-modified", EARLY)]);
        for same in [&[][..], &[("etag", "\"a\"")], &[("content-length", "3")]] {
            assert!(!contradicts(&stored, 3, &fields(same)));
        }
        for other in [("etag", "\"b\""), ("content-length", "4"), ("last-modified", LATE)] {
            assert!(contradicts(&stored, 3, &fields(&[other])), "{other:?}");
        }
        assert!(contradicts(&HeaderMap::new(), 3, &fields(&[("etag", "\"a\"")])), "nothing stored matches it");
        assert!(contradicts(&fields(&[("etag", "\"a\"")]), 3, &fields(&[("etag", "\"a\""), ("last-modified", LATE)])));
        assert!(!contradicts(&stored, 3, &fields(&[("content-length", "4"), ("transfer-encoding", "chunked")])));
        stored.remove(header::CONTENT_LENGTH);
        assert!(contradicts(&stored, 3, &fields(&[("content-length", "4")])), "it came in chunks");
        assert!(!contradicts(&stored, 3, &fields(&[("content-length", "3")])));
    }

    /// RFC 9111 section 3.4: parts are put together by a strong tag alone.
    #[test]
    fn parts_of_one_whole() {
        let tag = |tag| fields(&[("etag", tag)]);
        assert!(same_strong(&tag("\"a\""), &tag("\"a\"")));
        assert!(!same_strong(&tag("W/\"a\""), &tag("W/\"a\"")));
        assert!(!same_strong(&tag("\"a\""), &tag("\"b\"")));
        assert!(!same_strong(&HeaderMap::new(), &HeaderMap::new()));
    }
}
