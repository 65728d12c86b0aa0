use http::HeaderMap;

use super::*;

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

fn fields(lines: &[(&'static str, &'static str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

fn response(value: &'static str) -> ResponseDirectives {
    ResponseDirectives::of(&fields(&[("cache-control", value)]), &[])
}

fn request(value: &'static str) -> RequestDirectives {
    RequestDirectives::of(&fields(&[("cache-control", value)]))
}

/// RFC 9111 section 5.2: case-insensitive names, unknown ones ignored, token and quoted-string alike.
#[test]
fn names_and_arguments() {
    let all = response("NO-CACHE, Max-Age=60, x=\"no-store, private\", s-maxage=\"5\",, PUBLIC,must-revalidate");
    assert!(all.no_cache && all.public && all.must_revalidate && !all.no_store && !all.private);
    assert_eq!((all.max_age, all.s_maxage), (seconds(60), seconds(5)));
    assert_eq!(response("xmax-age=60, max-agex=60").max_age, None);
}

/// RFC 9111 sections 1.2.2 and 4.2.1: too large is 2^31, no number is stale, of two the first counts.
#[test]
fn numbers() {
    for (value, expected) in [
        ("max-age=0", 0),
        ("max-age=003600", 3600),
        ("max-age=2147483648", 1 << 31),
        ("max-age=99999999999999999999999", 1 << 31),
        ("max-age=-1", 0),
        ("max-age=3600.0", 0),
        ("max-age=1e3", 0),
        ("max-age= 3600", 0),
        ("max-age =3600", 0),
        ("max-age 3600", 0),
        ("max-age=3600;", 0),
        ("max-age=3600 x", 0),
        ("max-age:3600", 0),
        ("\"max-age=3600\"", 0),
        ("\"max-age\"=3600", 0),
        ("max-age='3600'", 0),
        ("max-age", 0),
        ("max-age=", 0),
        ("max-age=1, max-age=3600", 1),
        ("max-age=3600, max-age=1", 3600),
    ] {
        assert_eq!(response(value).max_age, seconds(expected), "{value}");
    }
}

/// RFC 9111 sections 5.2.2.4 and 5.2.2.7: the named fields alone; a list that cannot be read names all of them.
#[test]
fn qualified_forms_name_fields() {
    let named = response("private=\"set-cookie, X-A\", no-cache=x-b");
    assert!(!named.private && !named.no_cache);
    assert_eq!(named.withheld, ["set-cookie", "x-a", "x-b"]);
    for value in ["private=\"\"", "no-cache=\"a b\"", "private=\" , \""] {
        let whole = response(value);
        assert!(whole.private && whole.no_cache, "{value}");
    }
}

#[test]
fn several_lines_are_one_list_and_of_a_flood_nothing_is_stored() {
    let lines = fields(&[("cache-control", "max-age=5"), ("cache-control", "no-cache")]);
    let both = ResponseDirectives::of(&lines, &[]);
    assert!(both.no_cache && both.max_age == seconds(5));
    let flood = HeaderValue::try_from(format!("{}no-store", "a,".repeat(MAX_DIRECTIVES))).unwrap();
    let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, flood)]);
    assert!(ResponseDirectives::of(&headers, &[]).no_store);
    let flood = HeaderValue::try_from(format!("{}max-age=5", "a,".repeat(MAX_DIRECTIVES))).unwrap();
    let headers = HeaderMap::from_iter([(header::CACHE_CONTROL, flood)]);
    assert!(ResponseDirectives::of(&headers, &[]).no_store, "what is not read may forbid it");
    assert!(!RequestDirectives::of(&headers).no_store);
}

/// RFC 9111 sections 4.2.1 and 5.2: what is said badly forbids what it forbids, and allows nothing.
#[test]
fn what_is_said_badly_is_heard_where_it_forbids() {
    for value in [
        "max-age=100, no-store =x",
        "max-age=100, no-store;",
        "max-age=100, no-store;x",
        "no-store; no-cache",
        "no-store no-cache",
        "no-store= , max-age=100",
        "\"no-store\", max-age=100",
        "\" no-store, max-age=100",
        "\"no-cache, no-store\", max-age=100",
        "max-age=100\tno-store, no-store\tx",
    ] {
        assert!(response(value).no_store, "{value}");
    }
    for value in
        ["max-age=100, private =\"set-cookie\"", "private; max-age=100", "private max-age=100", "private;=\"x\""]
    {
        let directives = response(value);
        assert!(directives.private && directives.withheld.is_empty(), "{value}");
    }
    for value in ["no-cache; max-age=100", "max-age=100, no-cache =\"x-a\"", "\"no-cache\""] {
        let directives = response(value);
        assert!(directives.no_cache && directives.withheld.is_empty(), "{value}");
    }
    for value in ["must-revalidate;", "must-revalidate =", "\"must-revalidate"] {
        assert!(response(value).must_revalidate, "{value}");
    }
    for value in
        ["public;", "\"public\"", "public =x", "x=\"y, public", "immutable;", "must-understand;", "\"public, x\""]
    {
        let directives = response(value);
        assert!(!directives.public && !directives.immutable && !directives.must_understand, "{value}");
    }
    for value in ["xno-store", "no-storex", "x no-store", "x;no-store", "=no-store", "'no-store'", "x=\"no-store\""] {
        assert!(!response(value).no_store, "{value}");
    }
    let asked = request("no-cache; x, no-store =y, max-stale =5, max-age =9");
    assert!(asked.no_cache && asked.no_store);
    assert_eq!((asked.max_stale, asked.max_age), (seconds(0), seconds(0)), "what is not understood allows nothing");
}

/// A quote that nothing closes hides nothing, and what stands behind it allows nothing.
#[test]
fn open_quotes() {
    for (value, age) in [
        ("max-age=60, x=\"y, no-store", 60),
        ("x=\"y, no-store, max-age=60", 0),
        ("x=\"a\", max-age=60, y=\"b, no-store, max-age=70", 60),
        ("x=\"max-age=0, no-store, max-age=60", 0),
    ] {
        let directives = response(value);
        assert!(directives.no_store && directives.max_age == seconds(age), "{value}");
    }
    let names = response("max-age=60, private=\"x-a");
    assert!(names.private && names.no_cache, "a list that cannot be read is about all of it");
    assert!(!response("x=\"\\\", no-store\"").no_store, "an escaped one closes nothing");
    assert!(response("x=\\\", no-store").no_store, "outside of quotes nothing is escaped");
}

/// RFC 9111 section 5.2.1; section 5.4: `Pragma` where `Cache-Control` is not.
#[test]
fn what_requests_say() {
    let all = request("no-cache, no-store, only-if-cached, max-age=1, min-fresh=2, max-stale=3, stale-if-error=4");
    assert!(all.no_cache && all.no_store && all.only_if_cached);
    assert_eq!((all.max_age, all.min_fresh, all.max_stale), (seconds(1), seconds(2), seconds(3)));
    assert_eq!(all.stale_if_error, seconds(4));
    assert_eq!(request("max-stale").max_stale, seconds(MAX_SECONDS));
    assert!(RequestDirectives::of(&fields(&[("pragma", "x, No-Cache")])).no_cache);
    assert!(RequestDirectives::of(&fields(&[("pragma", "x"), ("pragma", "no-cache")])).no_cache, "in whichever line");
    assert!(!RequestDirectives::of(&fields(&[("pragma", "no-cache"), ("cache-control", "max-age=1")])).no_cache);
}

/// RFC 9213 sections 2.1 and 2.2.
#[test]
fn targeted_fields() {
    const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
    const MINE: HeaderName = HeaderName::from_static("mine-cache-control");
    let of = |cdn: &'static str| {
        ResponseDirectives::of(&fields(&[("cdn-cache-control", cdn), ("cache-control", "max-age=9")]), &[CDN])
    };
    let spoken = of("max-age=60, must-revalidate, private, no-store=?0, no-cache=?1");
    assert_eq!(spoken.max_age, seconds(60));
    assert!(spoken.targeted && spoken.must_revalidate && spoken.private && spoken.no_cache && !spoken.no_store);
    for ignored in ["", "MAX-AGE=60", "max-age=60,", "max-age=60 no-store", "max-age=\"60"] {
        let directives = of(ignored);
        assert!(!directives.targeted && directives.max_age == seconds(9), "{ignored}");
    }
    // A value of another kind is no number.
    for stale in [
        "max-age=\"60\"",
        "max-age=(60)",
        "max-age=x60",
        "max-age=:MTA=:",
        "max-age=\"60.5\"",
        "max-age=-5",
        "max-age=1.5",
        "max-age=?1",
        "max-age",
    ] {
        assert_eq!(of(stale).max_age, seconds(0), "{stale}");
    }
    // Names are in a string, and what is something else stands for all of them.
    assert_eq!(of("max-age=60, private=\"x-a\"").withheld, ["x-a"]);
    for value in ["max-age=60, private=(\"x-a\")", "max-age=60, private=x-a", "max-age=60, private=1.5"] {
        assert!(of(value).private && of(value).withheld.is_empty(), "{value}");
    }
    let all = of("no-cache=(\"x\"), no-store=(), public=(), immutable=x, must-understand=()");
    assert!(all.no_cache && all.no_store && !all.public && !all.immutable && !all.must_understand);
    let both = fields(&[("cdn-cache-control", "max-age=1"), ("mine-cache-control", "max-age=2")]);
    assert_eq!(ResponseDirectives::of(&both, &[MINE, CDN]).max_age, seconds(2), "in the order of the list");
    let lines = fields(&[("cdn-cache-control", "max-age=1"), ("cdn-cache-control", "no-store")]);
    assert!(ResponseDirectives::of(&lines, &[CDN]).no_store, "several lines are one dictionary");
}

/// As many as are kept are kept, and one more is about all of it.
#[test]
fn long_lists() {
    for (names, is_kept) in [(MAX_NAMES, true), (MAX_NAMES + 1, false)] {
        let list: Vec<_> = (0..names).map(|n| format!("x-{n}")).collect();
        let value = HeaderValue::try_from(format!("max-age=5, private=\"{}\"", list.join(","))).unwrap();
        let directives = ResponseDirectives::of(&HeaderMap::from_iter([(header::CACHE_CONTROL, value)]), &[]);
        assert_eq!((directives.private, directives.withheld.len() == names), (!is_kept, is_kept), "{names}");
    }
    const CDN: HeaderName = HeaderName::from_static("cdn-cache-control");
    for (members, is_heard) in [(MAX_DIRECTIVES, true), (MAX_DIRECTIVES + 1, false)] {
        let list: Vec<_> = (1..members).map(|n| format!("x{n}")).collect();
        let value = HeaderValue::try_from(format!("max-age=5, {}", list.join(","))).unwrap();
        let directives = ResponseDirectives::of(&HeaderMap::from_iter([(CDN, value)]), &[CDN]);
        assert_eq!(directives.no_store, !is_heard, "{members}");
    }
    let plain = HeaderMap::from_iter([(CDN, HeaderValue::from_static("public, immutable, max-age=5"))]);
    let plain = ResponseDirectives::of(&plain, &[CDN]);
    assert!(plain.public && plain.immutable, "what stands alone is so");
}
