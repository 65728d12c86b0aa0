use http::Request;

use super::*;

fn key(request: &Request<()>) -> Option<Key> {
    let target = Target::of(RequestView::of(request), Scan::of(request.headers()), false)?;
    let key = RequestKey::new(Class::Get, target, target.query.map(|query| Cow::Borrowed(query.as_bytes())), None);
    let kept = key.to_key();
    assert!(key.equivalent(&kept), "what is kept is found again");
    let hasher = RandomState::new();
    assert_eq!(hasher.hash_one(&key), hasher.hash_one(&kept));
    assert_eq!(key.len(), kept.as_bytes().len());
    Some(kept)
}

fn get(uri: &str, host: &str) -> Key {
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
    let target = Target::of_parts(false, b"a", "/", None);
    let plain = |owner| RequestKey::new(Class::Get, target, None, owner);
    let kept = |owner| plain(owner).to_key();
    let (split, joined) = (Identity::new("a", "bc"), Identity::new("ab", "c"));
    assert_ne!(kept(Some(&split)), kept(Some(&joined)));
    let (mut one, mut two) = (plain(None), plain(None));
    one.add(b"ab");
    one.add(b"");
    two.add(b"a");
    two.add(b"b");
    assert_ne!(one.to_key(), two.to_key());
    assert!(!one.equivalent(&two.to_key()));
    let query = RequestKey::new(Class::Query(b""), target, None, None);
    assert_ne!(query.to_key(), kept(None));
}

/// A key is found by every request that makes it, and by no other: whatever its parts are, and however they came.
#[test]
fn what_is_kept_is_found_by_its_parts() {
    let hasher = RandomState::new();
    let (owner, other) = (Identity::new("i", "s"), Identity::new("i", "t"));
    let uris = ["/x", "/x?", "/x?y", "/x?y=", "/b/x", "http://a?y", "http://a/b/x?y", "/x?y?z"]
        .map(|uri| uri.parse::<Uri>().unwrap());
    let mut keys = Vec::new();
    for (uri, authority) in uris.iter().flat_map(|uri| [(uri, &b"a"[..]), (uri, b"A"), (uri, b"a/b")]) {
        for class in [Class::Get, Class::Query(b""), Class::Query(b"a")] {
            for owner in [None, Some(&owner), Some(&other)] {
                for parts in [&[][..], &[&b"p"[..]], &[b"p", b"q"], &[b"pq"]] {
                    let target = Target::new(false, authority, uri);
                    let came = target.query.map(|query| Cow::Borrowed(query.as_bytes()));
                    let made = came.clone().map(|query| Cow::Owned(query.into_owned()));
                    for query in [came, made] {
                        let mut key = RequestKey::new(class, target, query, owner);
                        parts.iter().for_each(|part| key.add(part));
                        keys.push((key.to_key(), key));
                    }
                }
            }
        }
    }
    let (mut same, mut different) = (0, 0);
    for (kept, key) in &keys {
        assert_eq!(key.len(), kept.as_bytes().len());
        for (other, asked) in &keys {
            assert_eq!(asked.equivalent(kept), other == kept);
            if other == kept {
                assert_eq!(hasher.hash_one(asked), hasher.hash_one(kept));
                same += 1;
            } else {
                different += 1;
            }
        }
    }
    // Each is made in two ways, for a host of two spellings, and `/x?y?z` and the like are apart; `http://a?y` is `/?y`.
    assert!(same > 2 * keys.len() && different > same);
    let plain = RequestKey::new(Class::Get, Target::new(false, b"a", &uris[0]), None, None);
    assert!(!plain.equivalent(&plain.to_authorized_key()));
}

/// A query of which nothing is left is one still, unless a response says that none counts.
#[test]
fn what_became_of_a_query_is_in_the_key() {
    let uri = "/x?y".parse::<Uri>().unwrap();
    let target = Target::new(false, b"a", &uri);
    let of = |query| RequestKey::new(Class::Get, target, query, None).to_key();
    assert_eq!(of(Some(Cow::Borrowed(&b"y"[..]))), get("/x?y", "a"));
    assert_eq!(of(Some(Cow::Owned(Vec::new()))), get("/x?", "a"));
    assert_eq!(of(Some(Cow::Borrowed(b""))), get("/x?", "a"), "a part of it is not all of it");
    assert_eq!(of(None), get("/x", "a"));
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
    assert_eq!(get("http://a?x", ""), get("/?x", "a"), "no path is the root");
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
    let keys = ["/x", "/x?", "/x?a=1"].map(|uri| get(uri, "a"));
    for key in &keys {
        for (query, expected) in [None, Some(&b""[..]), Some(b"a=1")].into_iter().zip(&keys) {
            assert_eq!(key.with_query(query), *expected);
        }
    }
}

#[test]
fn a_kept_key_knows_its_parts() {
    let kept = get("/x/y?z", "a");
    assert_eq!(kept.path(), b"/x/y");
    assert_eq!(kept.origin(), (false, &b"a"[..]));
    assert_eq!(format!("{kept:?}"), "Key { bytes: 16 }");
}

/// RFC 9111 section 4.4.
#[test]
fn the_same_origin() {
    let target = Target::of_parts(false, b"a.example", "/", None);
    let same = |uri: &str| target.same_origin(&uri.parse().unwrap()).map(|target| target.path.to_owned());
    assert_eq!(same("/y?z").as_deref(), Some("/y"));
    assert_eq!(same("http://A.example:80/y").as_deref(), Some("/y"));
    for other in ["https://a.example/y", "http://b.example/y", "http://a.example:8080/y", "http://a.example.b/y"] {
        assert_eq!(same(other), None, "{other}");
    }
}
