use http::Request;

use super::*;

fn key(request: &Request<()>) -> Option<KeyBytes> {
    let target = Target::of(RequestView::of(request), false)?;
    Some(KeyBytes::new(Class::Get, target, target.query.map(str::as_bytes), None))
}

fn get(uri: &str, host: &str) -> KeyBytes {
    key(&Request::get(uri).header("host", host).body(()).unwrap()).unwrap()
}

/// RFC 9111 section 4: the target URI, byte for byte behind its host.
#[test]
fn what_differs_has_another_key() {
    let all = [
        get("/x", "a"),
        get("/x?", "a"),
        get("/x?y", "a"),
        get("/x?y=", "a"),
        get("/x", "b"),
        get("/X", "a"),
        get("//x", "a"),
        get("/%78", "a"),
        get("/x/../x", "a"),
        get("https://a/x", "a"),
        get("/", "a/x"),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all.iter().skip(at + 1).all(|other| one != other), "{at}");
    }
}

#[test]
fn no_part_can_be_written_into_another() {
    let target = Target { is_https: false, authority: b"a", path: "/", query: None };
    let plain = |owner| KeyBytes::new(Class::Get, target, None, owner);
    let (split, joined) = (Identity::new("a", "bc"), Identity::new("ab", "c"));
    assert_ne!(plain(Some(&split)), plain(Some(&joined)));
    let (mut one, mut two) = (plain(None), plain(None));
    one.add(b"ab");
    one.add(b"");
    two.add(b"a");
    two.add(b"b");
    assert_ne!(one, two);
    let query = KeyBytes::new(Class::Query(b""), target, None, None);
    assert_ne!(query, plain(None));
}

/// An absolute target and `:authority` are what `Host` is in the other form.
#[test]
fn all_ways_to_name_a_host() {
    assert_eq!(get("http://a/x", "b"), get("/x", "a"));
    let twice = Request::get("/x").header("host", "a").header("host", "b").body(()).unwrap();
    assert_eq!(key(&twice), None);
}

/// RFC 9110 section 4.2.3.
#[test]
fn one_host_in_all_its_spellings() {
    for host in ["A.Example", "a.example:80", "a.example:", "A.EXAMPLE:80"] {
        assert_eq!(get("/X", host), get("/X", "a.example"), "{host}");
        assert_eq!(get(&format!("http://{host}/X"), "b"), get("/X", "a.example"), "{host}");
    }
    assert_eq!(get("https://A:443/", ""), get("https://a/", ""));
    for host in ["a.example:443", "a.example:8080", "a.example.", "a.example::", "a.example:080"] {
        assert_ne!(get("/X", host), get("/X", "a.example"), "{host}");
    }
    assert_eq!(get("http://U@A/", "b"), get("http://U@a/", "b"));
    assert_ne!(get("http://U@a/", "b"), get("http://u@a/", "b"));
    let marks = Marks::default();
    let mark = |authority: &str| marks.uri(authority.as_bytes(), b"/X", None);
    for host in ["A", "a:80", "a:443", "A:"] {
        assert_eq!(mark(host), mark("a"), "{host}");
    }
    assert_ne!(mark("a:8080"), mark("a"));
    assert!(matches!(lowered(b"a.example"), Cow::Borrowed(_)), "the usual costs nothing");
}

#[test]
fn a_query_can_be_replaced() {
    let keys = ["/x", "/x?", "/x?a=1"].map(|uri| get(uri, "a").to_key());
    for key in &keys {
        for (query, expected) in [None, Some(&b""[..]), Some(b"a=1")].into_iter().zip(&keys) {
            assert_eq!(key.with_query(query), *expected);
        }
    }
}

#[test]
fn a_kept_key_knows_its_parts() {
    let kept = get("/x/y?z", "a").to_key();
    assert_eq!(kept.path(), b"/x/y");
    assert_eq!(kept.origin(), (false, &b"a"[..]));
    assert_eq!(format!("{kept:?}"), "Key { bytes: 19 }");
}

/// RFC 9111 section 4.4.
#[test]
fn the_same_origin() {
    let target = Target { is_https: false, authority: b"a.example", path: "/", query: None };
    let same = |uri: &str| target.same_origin(&uri.parse().unwrap()).map(|target| target.path.to_owned());
    assert_eq!(same("/y?z").as_deref(), Some("/y"));
    assert_eq!(same("http://A.example:80/y").as_deref(), Some("/y"));
    for other in ["https://a.example/y", "http://b.example/y", "http://a.example:8080/y", "http://a.example.b/y"] {
        assert_eq!(same(other), None, "{other}");
    }
}
