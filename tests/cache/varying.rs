//! Who is answered when a resource varies otherwise than it did (RFC 9111 sections 3.2 and 4.1).

use std::sync::Arc;

use http::Request;
use tower_rampart::Identity;

use crate::support::*;

const TAG: (&str, &str) = ("etag", "\"a\"");
const SHORT: (&str, &str) = ("cache-control", "max-age=1");
const LONG: (&str, &str) = ("cache-control", "max-age=100");
const RELOAD: (&str, &str) = ("cache-control", "no-cache");

fn field<'a>(request: &'a Request<()>, name: &str) -> &'a str {
    request.headers().get(name).map_or("-", |value| value.to_str().unwrap())
}

/// Says nothing of `Vary` until it is asked with a `Foo`.
fn widening() -> Origin {
    Origin::new(|request| match (field(request, "foo"), field(request, "if-none-match")) {
        ("-", _) => ok(&[SHORT, TAG], "first").response(),
        ("1", "\"a\"") => status(304, &[LONG, TAG, ("vary", "Foo")], "").response(),
        ("1", _) => ok(&[LONG, TAG, ("vary", "Foo")], "first").response(),
        _ => ok(&[LONG, ("etag", "\"b\""), ("vary", "Foo")], "second").response(),
    })
}

/// RFC 9111 sections 3.2 and 4.1: what a 304 says of `Vary` counts for the response that it makes good again, fresh or not.
#[tokio::test]
async fn a_304_that_varies_answers_those_that_it_is_for() {
    for (waits, reload) in [(2, &[][..]), (0, &[RELOAD])] {
        let setup = setup(&widening());
        setup.get("http://a/x").await;
        setup.wait(waits);
        let confirmed = setup.get_with("http://a/x", &[&[("foo", "1")], reload].concat()).await;
        assert_eq!((&*confirmed.body, setup.cache.stats().entries), (&b"first"[..], 1));
        let other = setup.get_with("http://a/x", &[("foo", "2")]).await;
        assert_eq!((other.is_hit(), &*other.body), (false, &b"second"[..]));
        assert!(setup.get_with("http://a/x", &[("foo", "1")]).await.is_hit());
        assert!(!setup.get("http://a/x").await.is_hit());
    }
}

/// RFC 9111 section 4.1: also for who waits for that 304.
#[tokio::test]
async fn who_waits_for_a_304_is_not_answered_as_another() {
    let (origin, gate) = widening().gated();
    gate.add_permits(1);
    let setup = Arc::new(setup(&origin));
    setup.get("http://a/x").await;
    setup.wait(2);
    let ask = |foo| {
        let setup = Arc::clone(&setup);
        tokio::spawn(async move { setup.get_with("http://a/x", &[("foo", foo)]).await })
    };
    let leader = ask("1");
    settled().await;
    let follower = ask("2");
    settled().await;
    gate.add_permits(2);
    assert_eq!(leader.await.unwrap().body, "first");
    let followed = follower.await.unwrap();
    assert_eq!((followed.is_hit(), &*followed.body), (false, &b"second"[..]));
}

/// RFC 9111 sections 4.1 and 4.3.4: a variant of the same tag is not known to be for requests that differ in a new field.
#[tokio::test]
async fn siblings_that_vary_by_less_are_asked_about() {
    let origin = Origin::new(|request| match field(request, "if-none-match") {
        "\"a\"" => status(304, &[LONG, TAG, ("vary", "Foo, Bar")], "").response(),
        _ => ok(&[SHORT, TAG, ("vary", "Foo")], "body").response(),
    });
    let setup = setup(&origin);
    let is_hit = async |foo, bar| setup.get_with("http://a/x", &[("foo", foo), ("bar", bar)]).await.is_hit();
    for foo in ["1", "2"] {
        is_hit(foo, "1").await;
    }
    setup.wait(2);
    assert!(!is_hit("1", "1").await);
    for (foo, bar) in [("1", "2"), ("2", "1"), ("2", "2")] {
        assert!(!is_hit(foo, bar).await, "{foo} {bar}");
        assert!(is_hit(foo, bar).await, "{foo} {bar}");
    }
    assert!(is_hit("1", "1").await);
}

/// RFC 9111 sections 4.1 and 4.3.5: what a HEAD's answer says of `Vary` counts too; of what has no strong tag nobody knows
/// for which of the requests it is.
#[tokio::test]
async fn a_head_that_varies_answers_those_that_it_is_for() {
    for (tag, is_known) in [(&[TAG][..], true), (&[], false), (&[("etag", "W/\"a\"")], false)] {
        let fields = [&[LONG][..], tag].concat();
        let told = ok(&[&fields[..], &[("vary", "Foo")]].concat(), "");
        let plain = ok(&fields, "body");
        let setup = setup(&Origin::new(
            move |request| {
                if request.method() == "HEAD" { told.response() } else { plain.response() }
            },
        ));
        setup.get("http://a/x").await;
        setup.send(request("HEAD", "http://a/x", &[("foo", "1"), RELOAD])).await;
        assert_eq!(setup.get_with("http://a/x", &[("foo", "1")]).await.is_hit(), is_known, "{tag:?}");
        let known = setup.cache.stats().entries;
        assert_eq!(known, 1, "{tag:?}");
        if is_known {
            assert!(!setup.get_with("http://a/x", &[("foo", "2")]).await.is_hit(), "{tag:?}");
        }
    }
}

/// RFC 9111 section 4.1: what says less of `Vary` than a newer response to the same request answers nobody any longer.
#[tokio::test]
async fn a_newer_response_narrows_whom_older_ones_answer() {
    let origin = Origin::new(|request| match (field(request, "foo"), field(request, "bar")) {
        ("-", "-") => ok(&[LONG], "plain").response(),
        (_, "-") => ok(&[LONG, ("vary", "Foo")], "by foo").response(),
        _ => ok(&[LONG, ("vary", "bar, Foo")], "by both").response(),
    });
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    assert!(setup.get_with("http://a/x", &[("foo", "2")]).await.is_hit(), "so it says");
    assert_eq!(setup.get_with("http://a/x", &[("foo", "1"), RELOAD]).await.body, "by foo");
    let got = setup.get_with("http://a/x", &[("foo", "2")]).await;
    assert_eq!((got.is_hit(), &*got.body), (false, &b"by foo"[..]));
    assert_eq!(setup.get_with("http://a/x", &[("foo", "1"), ("bar", "1"), RELOAD]).await.body, "by both");
    assert!(!setup.get_with("http://a/x", &[("foo", "1"), ("bar", "2")]).await.is_hit());
    assert!(setup.get_with("http://a/x", &[("foo", "1"), ("bar", "1")]).await.is_hit());
    assert!(setup.get_with("http://a/x", &[("foo", "2")]).await.is_hit(), "nothing newer is for it");
}

/// RFC 9111 section 4.1: of a fresh response with `Vary` and one without the former answers; one that is stale does not
/// stand in the way of a newer one.
#[tokio::test]
async fn a_response_that_varies_goes_before_one_that_does_not() {
    let origin = Origin::new(|request| match field(request, "foo") {
        "1" if !request.headers().contains_key("now") => {
            ok(&[("cache-control", "max-age=9"), ("vary", "Foo")], "one").response()
        }
        _ => ok(&[LONG], "any").response(),
    });
    let setup = setup(&origin);
    let get = async |fields: &[(&str, &str)]| setup.get_with("http://a/x", fields).await;
    assert_eq!(get(&[("foo", "1")]).await.body, "one");
    setup.wait(2);
    assert_eq!(get(&[("foo", "2")]).await.body, "any");
    let got = get(&[("foo", "1")]).await;
    assert_eq!((got.is_hit(), &*got.body), (true, &b"one"[..]));
    // Nor does one that the same request has a newer answer to.
    setup.wait(1);
    get(&[("foo", "1"), ("now", "1"), RELOAD]).await;
    let got = get(&[("foo", "1")]).await;
    assert_eq!((got.is_hit(), &*got.body), (true, &b"any"[..]));
    get(&[("foo", "1"), RELOAD]).await;
    setup.wait(9);
    get(&[("foo", "1"), ("now", "1")]).await;
    let got = get(&[("foo", "1")]).await;
    assert_eq!((got.is_hit(), &*got.body), (true, &b"any"[..]));
}

/// RFC 9111 sections 3.5 and 5.2.2.7: what a 304 makes a caller's own by its word is nobody else's; what is a caller's own for
/// that caller's sake stays everybody's.
#[tokio::test]
async fn who_a_confirmed_response_is_for() {
    for (said, is_everybodys) in [("max-age=100", true), ("max-age=100, private", false)] {
        let origin = Origin::new(move |request| match field(request, "if-none-match") {
            "\"a\"" => status(304, &[("cache-control", said), TAG], "").response(),
            _ => ok(&[LONG, TAG], "body").response(),
        });
        let setup = setup_with(&origin, |cache| cache.private_per_subject(true));
        setup.get("http://a/x").await;
        let mut known = request("GET", "http://a/x", &[RELOAD]);
        known.extensions_mut().insert(Identity::new("issuer", "subject"));
        assert_eq!(setup.send(known).await.body, "body");
        assert_eq!(setup.get("http://a/x").await.is_hit(), is_everybodys, "{said}");
    }
}
