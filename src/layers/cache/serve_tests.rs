use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use http::{HeaderName, HeaderValue};

use super::super::entry::Rules;
use super::super::freshness::Life;
use super::super::key::{Class, RequestKey, Target};
use super::super::purge::Begun;
use super::*;

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn entry(status: u16, lines: &[(&'static str, &str)], body: &'static str) -> Entry {
    let target = Target::of_parts(false, b"a", "/", None);
    let key = RequestKey::new(Class::Get, target, None, None).to_key();
    let life = Life { born: Instant::now(), initial_age: Duration::ZERO, lifetime: Duration::from_secs(10) };
    let mut headers = fields(lines);
    headers.insert(header::AGE, HeaderValue::from_static("0"));
    headers.insert(super::super::status::CACHE_STATUS, HeaderValue::from_static(""));
    let status = StatusCode::from_u16(status).unwrap();
    let (rules, marked) = (Rules::default(), (Box::default(), 0, Begun::default()));
    let head = Head::new(key, status, headers, Box::default(), UNIX_EPOCH, life, rules, marked);
    Entry::new(Arc::new(head), Bytes::from_static(body.as_bytes()), None)
}

fn served(entry: &Entry, method: &Method, lines: &[(&'static str, &str)]) -> Option<Served> {
    let headers = fields(lines);
    let writer = Writer::new(Some(Box::from("c")));
    let now = entry.head.life.born + Duration::from_secs(3);
    serve(entry, Request::of(method, &headers), entry.head.life.age(now), Told::Hit, &writer)
}

fn get(entry: &Entry, lines: &[(&'static str, &str)]) -> Served {
    served(entry, &Method::GET, lines).unwrap()
}

const WHOLE: [(&str, &str); 3] = [("etag", "\"a\""), ("content-type", "text/plain"), ("x-a", "1")];

#[test]
fn the_whole() {
    let served = get(&entry(200, &WHOLE, "0123456789"), &[]);
    assert_eq!((served.status.as_u16(), served.content), (200, Content::Whole));
    assert_eq!(
        (&served.headers["age"], &served.headers["cache-status"]),
        (&"3".parse().unwrap(), &"c; hit; ttl=7".parse().unwrap())
    );
}

/// RFC 9110 section 15.4.5, RFC 9111 section 4.3.2.
#[test]
fn not_modified() {
    let entry = entry(200, &WHOLE, "0123456789");
    let served = get(&entry, &[("if-none-match", "\"a\"")]);
    assert_eq!((served.status.as_u16(), served.content), (304, Content::Nothing));
    let mut names: Vec<_> = served.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["age", "cache-status", "etag"]);
    assert_eq!(served.headers["age"], "3");
    // RFC 9110 section 13.2.2: the condition before the range.
    let both = [("if-none-match", "\"a\""), ("range", "bytes=0-1")];
    assert_eq!(get(&entry, &both).status, 304);
    // RFC 9110 section 13.2.1: not for what is no success.
    assert_eq!(get(&self::entry(404, &WHOLE, "no"), &[("if-none-match", "\"a\"")]).status, 404);
}

/// RFC 9110 section 9.3.2.
#[test]
fn head_is_get_without_content() {
    let served = served(&entry(200, &WHOLE, "0123456789"), &Method::HEAD, &[("range", "bytes=0-1")]).unwrap();
    assert_eq!((served.status.as_u16(), served.content), (200, Content::Nothing));
    assert_eq!(served.headers["content-length"], "10");
}

/// RFC 9110 sections 14.2, 15.3.7 and 15.5.17.
#[test]
fn ranges_of_a_whole() {
    let whole = entry(200, &WHOLE, "0123456789");
    let part = get(&whole, &[("range", "bytes=2-4")]);
    assert_eq!((part.status.as_u16(), part.content), (206, Content::Slice { start: 2, end: 5 }));
    assert_eq!(
        (&part.headers["content-range"], &part.headers["content-length"]),
        (&"bytes 2-4/10".parse().unwrap(), &"3".parse().unwrap())
    );
    let none = get(&whole, &[("range", "bytes=10-")]);
    assert_eq!((none.status.as_u16(), none.content), (416, Content::Nothing));
    assert_eq!(none.headers["content-range"], "bytes */10");
    assert_eq!(get(&whole, &[("range", "bytes=0-1,3-4")]).status, 200, "several are not cut");
    assert_eq!(get(&whole, &[("range", "bytes=2-4"), ("if-range", "\"b\"")]).status, 200);
    assert_eq!(get(&whole, &[("range", "bytes=2-4"), ("if-range", "\"a\"")]).status, 206);
    assert_eq!(get(&entry(404, &WHOLE, "0123456789"), &[("range", "bytes=2-4")]).status, 404);
}

/// RFC 9111 section 3.3: an incomplete response is not used as if it were complete.
#[test]
fn ranges_of_a_part() {
    let part = entry(206, &[("etag", "\"a\""), ("content-range", "bytes 4-7/10")], "4567");
    assert!(served(&part, &Method::GET, &[]).is_none());
    assert!(served(&part, &Method::GET, &[("range", "bytes=3-5")]).is_none());
    assert!(served(&part, &Method::GET, &[("range", "bytes=5-8")]).is_none());
    let inner = get(&part, &[("range", "bytes=5-6")]);
    assert_eq!((inner.status.as_u16(), inner.content), (206, Content::Slice { start: 1, end: 3 }));
    assert_eq!(inner.headers["content-range"], "bytes 5-6/10");
    assert_eq!(bytes(&part.body, 1, 3), "56");
}

/// RFC 9111 section 3.4.
#[test]
fn parts_are_put_together() {
    let part = |range: &str, tag: &str, body| entry(206, &[("etag", tag), ("content-range", range)], body);
    let joined = |one: &Entry, other: &Entry| joined(one, other).map(|(part, body)| (part.start, part.end, body));
    let (first, later) = (part("bytes 0-4/10", "\"a\"", "01234"), part("bytes 3-9/10", "\"a\"", "3456789"));
    let whole = Some((0, 10, Bytes::from_static(b"0123456789")));
    assert_eq!(joined(&first, &later), whole);
    assert_eq!(joined(&later, &first), whole);
    assert_eq!(joined(&first, &part("bytes 5-9/10", "\"a\"", "56789")), whole);
    assert_eq!(joined(&first, &part("bytes 6-9/10", "\"a\"", "6789")), None, "a hole");
    assert_eq!(joined(&first, &part("bytes 5-9/10", "\"b\"", "56789")), None, "of another content");
    assert_eq!(joined(&first, &part("bytes 5-9/11", "\"a\"", "56789")), None, "of another length");
    let weak = |range: &str, body| part(range, "W/\"a\"", body);
    assert_eq!(joined(&weak("bytes 0-4/10", "01234"), &weak("bytes 5-9/10", "56789")), None, "weak tags do not join");
}
