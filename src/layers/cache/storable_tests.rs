use std::time::{Instant, UNIX_EPOCH};

use http::HeaderValue;

use super::super::key::{Class, RequestKey, Target};
use super::*;
use crate::spine::identity::Identity;

fn fields(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn moments() -> Moments {
    let now = Instant::now();
    Moments { asked: now, answered: now, wall: UNIX_EPOCH + Duration::from_secs(1_000_000_000) }
}

fn asked(lines: &[(&'static str, &str)]) -> Asked {
    let target = Target::of_parts(false, b"a", "/", None);
    let headers = fields(lines);
    Asked {
        method: Method::GET,
        directives: RequestDirectives::of(&headers),
        is_authorized: headers.contains_key(header::AUTHORIZATION),
        headers,
        shared_key: RequestKey::new(Class::Get, target, None, None).to_key(),
        own_key: None,
        flight_key: RequestKey::new(Class::Get, target, None, None).to_key(),
        has_parts: false,
        goes_past: false,
        uri: 1,
        ttl: None,
        tags: Vec::new(),
        inherited: Box::default(),
        query: None,
        cache_control: None,
    }
}

/// Somebody whose responses may be kept for them alone.
fn known(lines: &[(&'static str, &str)]) -> Asked {
    let target = Target::of_parts(false, b"a", "/", None);
    let own = RequestKey::new(Class::Get, target, None, Some(&Identity::new("i", "s"))).to_key();
    Asked { own_key: Some(own), is_authorized: true, ..asked(lines) }
}

fn answer<'a>(status: u16, headers: &'a HeaderMap, hint: Option<&'a CacheHint>) -> Answer<'a> {
    Answer { status: StatusCode::from_u16(status).unwrap(), headers, hint, moments: moments(), begun: Begun::default() }
}

fn judged(asked: &Asked, status: u16, lines: &[(&'static str, &str)]) -> Result<bool, Decline> {
    let headers = fields(lines);
    judge(asked, &answer(status, &headers, None), &Settings::default()).map(|judgement| judgement.is_private)
}

fn stored(status: u16, lines: &[(&'static str, &str)]) -> Result<bool, Decline> {
    judged(&asked(&[]), status, lines)
}

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// RFC 9111 section 3: explicit freshness stores any final status; RFC 9110 section 15.1: some are stored without.
#[test]
fn statuses() {
    for status in [200, 201, 203, 204, 299, 301, 302, 307, 400, 404, 410, 418, 499, 500, 503, 599] {
        assert_eq!(stored(status, &[FRESH]), Ok(false), "{status}");
        let expected = Err(Decline::NoUse);
        assert_eq!(stored(status, &[]), expected, "{status}: nothing says for how long");
    }
    let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(stored(404, &[modified]), Ok(false));
    assert_eq!(stored(302, &[modified]), Err(Decline::NoUse));
    assert_eq!(stored(500, &[modified]), Err(Decline::NoUse));
    assert_eq!(stored(304, &[FRESH]), Err(Decline::Status));
    for (poison, field) in [
        (412, ("if-match", "\"a\"")),
        (412, ("if-none-match", "\"a\"")),
        (416, ("range", "bytes=9-")),
        (417, ("expect", "more")),
    ] {
        assert_eq!(
            judged(&asked(&[field]), poison, &[FRESH]),
            Err(Decline::OneRequest),
            "{poison}: others did not ask so"
        );
        assert_eq!(stored(poison, &[FRESH]), Ok(false), "{poison}: nothing in the request is to blame");
    }
    assert_eq!(stored(100, &[FRESH]), Err(Decline::Status));
    assert_eq!(stored(206, &[FRESH]), Err(Decline::Range));
    assert_eq!(stored(206, &[FRESH, ("content-range", "bytes 0-1/9")]), Ok(false));
}

/// RFC 6585 sections 3 to 6: they MUST NOT be stored, whatever anybody says.
#[test]
fn what_is_never_stored() {
    let minute = Duration::from_secs(60);
    for status in [428, 429, 431, 511] {
        for control in ["max-age=60", "public, s-maxage=60", "max-age=60, no-store, must-understand"] {
            assert_eq!(stored(status, &[("cache-control", control)]), Err(Decline::Status), "{status} {control}");
        }
        let code = StatusCode::from_u16(status).unwrap();
        let told = Settings { negative_ttl: vec![(code, minute)], ..Settings::default() };
        let (hint, headers) = (CacheHint::new().ttl(minute), HeaderMap::new());
        let routed = Asked { ttl: Some(minute), ..asked(&[]) };
        assert!(judge(&routed, &answer(status, &headers, Some(&hint)), &told).is_err(), "{status}");
    }
}

/// RFC 9111 sections 5.2.1.5 and 5.2.2.5.
#[test]
fn no_store() {
    assert_eq!(stored(200, &[("cache-control", "max-age=60, No-Store")]), Err(Decline::NoStore));
    let refuses = asked(&[("cache-control", "no-store")]);
    assert_eq!(judged(&refuses, 200, &[FRESH]), Err(Decline::Refused));
    assert_eq!(judged(&refuses, 200, &[("cache-control", "max-age=60, no-store")]), Err(Decline::NoStore));
    let origin = Settings { policy: Policy::Origin, ..Settings::default() };
    let headers = fields(&[FRESH]);
    assert!(judge(&refuses, &answer(200, &headers, None), &origin).is_ok());
}

/// RFC 9111 section 5.2.2.3.
#[test]
fn must_understand() {
    let directives = ("cache-control", "max-age=60, no-store, must-understand");
    assert_eq!(stored(200, &[directives]), Ok(false), "understood, so no-store is not for us");
    assert_eq!(stored(599, &[directives]), Err(Decline::Status));
}

/// RFC 9111 section 5.2.2.7.
#[test]
fn private() {
    let directives = ("cache-control", "max-age=60, private");
    assert_eq!(stored(200, &[directives]), Err(Decline::Private));
    assert_eq!(judged(&known(&[]), 200, &[directives]), Ok(true));
    assert_eq!(stored(200, &[("cache-control", "max-age=60, private=\"x-a\"")]), Ok(false));
}

/// RFC 9111 section 3.5.
#[test]
fn authorization() {
    let knocks = asked(&[("authorization", "Bearer x")]);
    assert_eq!(judged(&knocks, 200, &[FRESH]), Err(Decline::Authorized));
    for allowed in ["max-age=60, public", "s-maxage=60", "max-age=60, must-revalidate"] {
        assert_eq!(judged(&knocks, 200, &[("cache-control", allowed)]), Ok(false), "{allowed}");
    }
    assert_eq!(judged(&known(&[]), 200, &[FRESH]), Ok(true), "the caller's own");
    assert_eq!(judged(&known(&[]), 200, &[("cache-control", "s-maxage=60")]), Ok(false), "everybody's");
}

/// RFC 9111 sections 5.2.2.4 and 5.2.2.7: a response is stored without the fields that it names, and not for their sake.
#[test]
fn what_is_withheld_forbids_nothing() {
    for control in ["max-age=60, no-cache=\"set-cookie\"", "max-age=60, private=\"X-A, Set-Cookie\""] {
        assert_eq!(stored(200, &[("cache-control", control), ("set-cookie", "a=b")]), Ok(false), "{control}");
        let head = made(&[("cache-control", control), ("set-cookie", "a=b")]);
        assert!(!head.headers.contains_key("set-cookie"), "{control}");
    }
    let other = ("cache-control", "max-age=60, private=\"x-a\"");
    assert_eq!(stored(200, &[other, ("set-cookie", "a=b")]), Err(Decline::SetCookie));
}

#[test]
fn what_is_one_clients_alone() {
    assert_eq!(stored(200, &[FRESH, ("set-cookie", "a=b")]), Err(Decline::SetCookie));
    assert_eq!(stored(200, &[FRESH, ("vary", "x-a, *")]), Err(Decline::Vary));
    let policy = "script-src 'Nonce-abc'";
    assert_eq!(stored(200, &[FRESH, ("content-security-policy", policy)]), Err(Decline::Nonce));
    assert_eq!(stored(200, &[FRESH, ("content-security-policy-report-only", policy)]), Err(Decline::Nonce));
    assert_eq!(stored(200, &[FRESH, ("content-security-policy", "script-src 'self'")]), Ok(false));
}

/// What is stale when it comes is kept if it can be asked about.
#[test]
fn what_is_of_use() {
    let tag = ("etag", "\"a\"");
    assert_eq!(stored(200, &[tag]), Ok(false));
    assert_eq!(stored(302, &[tag]), Err(Decline::NoUse));
    assert_eq!(stored(200, &[("cache-control", "max-age=0")]), Err(Decline::NoUse));
    assert_eq!(stored(200, &[("cache-control", "max-age=0"), tag]), Ok(false));
    assert_eq!(stored(200, &[("cache-control", "max-age=0, stale-while-revalidate=9")]), Ok(false));
    assert_eq!(stored(200, &[("cache-control", "max-age=0, stale-if-error=9")]), Ok(false));
    let forbidden = "max-age=0, stale-if-error=9, must-revalidate";
    assert_eq!(stored(200, &[("cache-control", forbidden)]), Err(Decline::NoUse));
    assert_eq!(stored(200, &[("cache-control", "max-age=60"), ("age", "60")]), Err(Decline::NoUse));
    assert_eq!(stored(200, &[("cache-control", "no-cache, max-age=60")]), Err(Decline::NoUse));
    assert_eq!(stored(200, &[("cache-control", "no-cache"), tag]), Ok(false));
    assert_eq!(stored(200, &[("expires", "0"), tag]), Ok(false));
}

#[test]
fn hints_routes_and_defaults() {
    let minute = Duration::from_secs(60);
    let lifetime = |asked: &Asked, settings: &Settings, hint: Option<&CacheHint>, lines: &[(&'static str, &str)]| {
        let headers = fields(lines);
        judge(asked, &answer(404, &headers, hint), settings).map(|judgement| judgement.lifetime.as_secs())
    };
    let plain = Settings::default();
    let hint = CacheHint::new().ttl(minute);
    assert_eq!(lifetime(&asked(&[]), &plain, Some(&hint), &[("cache-control", "max-age=5")]), Ok(60));
    assert_eq!(lifetime(&asked(&[]), &plain, Some(&hint), &[("set-cookie", "a=b")]), Err(Decline::SetCookie));
    assert_eq!(lifetime(&asked(&[]), &plain, Some(&CacheHint::no_store()), &[FRESH]), Err(Decline::NoStore));
    let routed = Asked { ttl: Some(minute), ..asked(&[]) };
    assert_eq!(lifetime(&routed, &plain, None, &[]), Ok(60));
    let negative = Settings { negative_ttl: vec![(StatusCode::NOT_FOUND, minute)], ..Settings::default() };
    assert_eq!(lifetime(&asked(&[]), &negative, None, &[]), Ok(60));
    assert_eq!(lifetime(&asked(&[]), &negative, None, &[("cache-control", "max-age=5")]), Ok(5));
    let default = Settings { default_ttl: Some(minute), ..Settings::default() };
    assert_eq!(lifetime(&asked(&[]), &default, None, &[]), Ok(60));
    let headers = HeaderMap::new();
    assert!(judge(&asked(&[]), &answer(500, &headers, None), &default).is_err(), "no guess for a failure");
}

fn made(lines: &[(&'static str, &str)]) -> Head {
    let (asked, headers) = (asked(&[]), fields(lines));
    let answer = answer(200, &headers, None);
    let judgement = judge(&asked, &answer, &Settings::default()).unwrap();
    head(&asked, &answer, judgement, &Settings::default(), &Marks::default()).unwrap()
}

/// RFC 9111 section 3.1, and what belongs to one answer.
#[test]
fn fields_that_are_not_kept() {
    let head = made(&[
        ("cache-control", "max-age=60, private=\"x-p\", no-cache=\"x-n\""),
        ("connection", "close, X-Hop"),
        ("x-hop", "1"),
        ("keep-alive", "1"),
        ("proxy-authenticate", "Basic"),
        ("proxy-authentication-info", "x"),
        ("proxy-connection", "x"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("x-p", "1"),
        ("x-n", "1"),
        ("ratelimit", "\"a\";r=1"),
        ("ratelimit-policy", "\"a\";q=1"),
        ("x-ratelimit-remaining", "1"),
        ("x-rate-limit-limit", "1"),
        ("surrogate-key", "a"),
        ("cache-tag", "a"),
        ("cdn-cache-control", ""),
        ("etag", "\"a\""),
        ("x-other", "1"),
        ("x-other", "2"),
    ]);
    let mut names: Vec<_> = head.headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["age", "cache-control", "cache-status", "cdn-cache-control", "date", "etag", "x-other"]);
    assert_eq!(head.headers.get_all("x-other").iter().count(), 2);
}

/// What came in a connection's buffer would keep all of that for as long as it is stored.
#[test]
fn what_is_stored_holds_no_buffer() {
    let mut buffer = b"max-age=60\"a\"secret-of-somebody".to_vec();
    buffer.resize(8 << 10, b'x');
    let buffer = bytes::Bytes::from(buffer);
    let value = |range| HeaderValue::from_maybe_shared(buffer.slice(range)).unwrap();
    let mut headers = HeaderMap::new();
    headers.append("cache-control", value(0..10));
    headers.append("etag", value(10..13));
    let mut secret = value(13..31);
    secret.set_sensitive(true);
    headers.append("x-a", secret);
    headers.append("x-a", value(0..0));
    let (asked, answer) = (asked(&[]), answer(200, &headers, None));
    let judgement = judge(&asked, &answer, &Settings::default()).unwrap();
    let head = head(&asked, &answer, judgement, &Settings::default(), &Marks::default()).unwrap();
    let within = |bytes: &[u8], value: &HeaderValue| bytes.as_ptr_range().contains(&value.as_bytes().as_ptr());
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        assert!(within(&buffer, value));
        assert!(head.headers.get_all(name).iter().any(|kept| kept == value), "{name}");
    }
    let mut kept = head.headers.values().filter(|value| !value.is_empty());
    assert!(kept.all(|value| !within(&buffer, value)));
    assert!(head.headers["x-a"].is_sensitive());
    assert_eq!(head.headers.get_all("x-a").iter().collect::<Vec<_>>(), ["secret-of-somebody", ""]);
    let at = |name| head.headers[name].as_bytes().as_ptr() as usize;
    assert_eq!((at("etag") - at("cache-control"), at("x-a") - at("etag")), (10, 3), "one allocation");
}

/// RFC 9111 section 3.2.
#[test]
fn a_304_updates_fields() {
    let stored = fields(&[
        ("etag", "\"a\""),
        ("x-a", "old"),
        ("x-b", "old"),
        ("content-length", "3"),
        ("content-encoding", "gzip"),
        ("age", "0"),
        ("date", "Sun, 06 Nov 1994 08:49:37 GMT"),
    ]);
    let told = fields(&[
        ("x-a", "new"),
        ("x-a", "newer"),
        ("content-length", "0"),
        ("content-encoding", "br"),
        ("connection", "x-hop"),
        ("x-hop", "1"),
    ]);
    let headers = updated(&stored, &told, moments());
    assert_eq!(headers.get_all("x-a").iter().collect::<Vec<_>>(), ["new", "newer"]);
    assert_eq!(
        (&headers["x-b"], &headers["etag"]),
        (&HeaderValue::from_static("old"), &HeaderValue::from_static("\"a\""))
    );
    assert_eq!(
        (&headers["content-length"], &headers["content-encoding"]),
        (&"3".parse().unwrap(), &"gzip".parse().unwrap())
    );
    assert!(!headers.contains_key("x-hop") && !headers.contains_key("connection") && !headers.contains_key("age"));
    assert_eq!(headers["date"], "Sun, 09 Sep 2001 01:46:40 GMT", "the day on which it came");
}
