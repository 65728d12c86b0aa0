//! Asking whether what is stored is still good (RFC 9111 section 4.3).

use crate::support::*;

const TAG: (&str, &str) = ("etag", "\"a\"");
const DATE: (&str, &str) = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");

fn fresh(seconds: u64) -> String {
    format!("max-age={seconds}")
}

#[tokio::test]
async fn a_304_makes_it_good_again() {
    let origin = Origin::in_turn([
        ok(&[("cache-control", &fresh(2)), TAG, DATE, ("x-a", "old")], "body"),
        status(304, &[("cache-control", &fresh(9)), ("x-a", "new")], ""),
    ]);
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    setup.wait(3);
    let got = setup.get("http://a/x").await;
    assert_eq!((got.status.as_u16(), &*got.body, got.field("x-a")), (200, &b"body"[..], Some("new")));
    assert_eq!(got.cache_status(), "rampart; fwd=stale; fwd-status=304; stored");
    assert_eq!(got.field("age"), Some("0"));
    let asked = origin.asked(1);
    assert_eq!(asked["if-none-match"], TAG.1);
    assert_eq!(asked["if-modified-since"], DATE.1);
    setup.wait(8);
    assert!(setup.get("http://a/x").await.is_hit());
    assert_eq!(origin.calls(), 2);
}

#[tokio::test]
async fn a_full_answer_replaces() {
    let origin = Origin::in_turn([
        ok(&[("cache-control", &fresh(2)), TAG], "old"),
        ok(&[("cache-control", &fresh(2)), ("etag", "\"b\"")], "new"),
    ]);
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    setup.wait(3);
    let got = setup.get("http://a/x").await;
    assert_eq!((&*got.body, got.cache_status()), (&b"new"[..], "rampart; fwd=stale; fwd-status=200; stored"));
    assert_eq!((&*setup.get("http://a/x").await.body, setup.cache.stats().entries), (&b"new"[..], 1));
}

/// RFC 9111 section 5.2.2.4: validated every time, and never shared unasked.
#[tokio::test]
async fn no_cache_is_validated_every_time() {
    let origin = Origin::in_turn([ok(&[("cache-control", "no-cache"), TAG], "body"), status(304, &[TAG], "")]);
    let setup = setup(&origin);
    for calls in 1..4 {
        assert_eq!(setup.get("http://a/x").await.body, "body");
        assert_eq!(origin.calls(), calls);
    }
    assert_eq!(origin.asked(2)["if-none-match"], "\"a\"");
}

/// RFC 9111 section 4.3.2: the client's own conditions are answered from the store, fresh or validated.
#[tokio::test]
async fn clients_conditions() {
    let origin = Origin::in_turn([
        ok(&[("cache-control", &fresh(2)), TAG, DATE], "body"),
        status(304, &[("cache-control", &fresh(2))], ""),
    ]);
    let setup = setup(&origin);
    // Nothing is stored: the condition goes on as it is.
    setup.get_with("http://a/x", &[("if-none-match", "\"z\"")]).await;
    assert_eq!(origin.asked(0)["if-none-match"], "\"z\"");
    for fields in [("if-none-match", "W/\"a\""), ("if-modified-since", DATE.1)] {
        let got = setup.get_with("http://a/x", &[fields]).await;
        assert_eq!((got.status.as_u16(), got.is_hit()), (304, true), "{fields:?}");
    }
    setup.wait(3);
    let got = setup.get_with("http://a/x", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((got.status.as_u16(), got.cache_status()), (304, "rampart; fwd=stale; fwd-status=304; stored"));
    setup.wait(3);
    let got = setup.get_with("http://a/x", &[("if-none-match", "\"z\"")]).await;
    assert_eq!((got.status.as_u16(), &*got.body), (200, &b"body"[..]));
    assert_eq!(origin.asked(2)["if-none-match"], "\"a\"", "what is stored is asked about");
}

#[tokio::test]
async fn a_304_to_the_client_alone_is_passed_on() {
    let origin = Origin::in_turn([status(304, &[TAG], "")]);
    let setup = setup(&origin);
    let got = setup.get_with("http://a/x", &[("if-none-match", "\"a\"")]).await;
    assert_eq!((got.status.as_u16(), setup.cache.stats().entries), (304, 0));
}

/// RFC 9111 section 4.3.4: a 304 that names another tag confirms nothing, and the client is none the worse: the origin is
/// asked for all of it.
#[tokio::test]
async fn a_304_for_something_else() {
    for method in ["GET", "HEAD"] {
        let origin = Origin::in_turn([
            ok(&[("cache-control", &fresh(2)), TAG], "old"),
            status(304, &[("etag", "\"z\"")], ""),
            ok(&[("cache-control", &fresh(2)), ("etag", "\"z\"")], "new"),
        ]);
        let setup = setup(&origin);
        setup.get("http://a/x").await;
        setup.wait(3);
        let fields = [("if-none-match", "\"y\""), ("accept", "text/html")];
        let got = setup.send(request(method, "http://a/x", &fields)).await;
        assert_eq!((got.status.as_u16(), got.field("etag")), (200, Some("\"z\"")), "{method}");
        assert_eq!((origin.calls(), setup.cache.stats().in_flight), (3, 0), "{method}");
        let again = origin.asked(2);
        assert!(!again.contains_key("if-none-match") && again["accept"] == "text/html", "{method}");
        assert_eq!(setup.get("http://a/x").await.body, "new", "{method}");
    }
}

/// Once: an origin that answers so to everything is a bad gateway.
#[tokio::test]
async fn a_304_that_nobody_asked_for_is_passed_on() {
    let origin = Origin::in_turn([
        ok(&[("cache-control", &fresh(2)), TAG], "old"),
        status(304, &[("etag", "\"z\"")], ""),
        status(304, &[("etag", "\"z\"")], ""),
    ]);
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    setup.wait(3);
    assert_eq!(setup.get("http://a/x").await.status, 502);
    assert_eq!((origin.calls(), setup.cache.stats().entries, setup.cache.stats().in_flight), (3, 0, 0));
}

/// RFC 9111 section 4.3.4: what says that it changed last before what is stored confirms it, and updates nothing.
#[tokio::test]
async fn a_304_with_an_earlier_date() {
    let late = ("last-modified", "Sun, 06 Nov 1994 09:00:00 GMT");
    let origin = Origin::in_turn([
        ok(&[("cache-control", &fresh(2)), late, ("x-a", "old")], "body"),
        status(304, &[("cache-control", &fresh(9)), DATE, ("x-a", "new")], ""),
    ]);
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    for calls in [2, 3] {
        setup.wait(3);
        let got = setup.get("http://a/x").await;
        assert_eq!((got.status.as_u16(), &*got.body, got.field("x-a")), (200, &b"body"[..], Some("old")));
        assert_eq!(got.field("last-modified"), Some(late.1));
        assert_eq!(got.cache_status(), "rampart; fwd=stale; fwd-status=304");
        assert_eq!((origin.calls(), setup.cache.stats().entries), (calls, 1), "it is stale still");
    }
}

#[tokio::test]
async fn a_304_that_forbids_storing_is_used_once() {
    let origin = Origin::in_turn([
        ok(&[("cache-control", &fresh(2)), TAG], "body"),
        status(304, &[("cache-control", "no-store")], ""),
        ok(&[("cache-control", "no-store")], "other"),
    ]);
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    setup.wait(3);
    assert_eq!(setup.get("http://a/x").await.body, "body");
    assert_eq!(setup.cache.stats().entries, 0);
    assert_eq!(setup.get("http://a/x").await.body, "other");
}

/// RFC 9111 section 4.3.5.
#[tokio::test]
async fn heads_tell_of_gets() {
    let head = |fields: &[(&'static str, &str)]| {
        let told = ok(fields, "");
        let whole = ok(&[("cache-control", &fresh(9)), TAG], "body");
        let origin =
            Origin::new(move |request| if request.method() == "HEAD" { told.response() } else { whole.response() });
        setup(&origin)
    };
    let reload = || request("HEAD", "http://a/x", &[("cache-control", "no-cache")]);
    let same = head(&[TAG, ("cache-control", "max-age=99"), ("x-a", "1")]);
    same.get("http://a/x").await;
    same.send(reload()).await;
    let got = same.get("http://a/x").await;
    assert_eq!((got.is_hit(), got.field("x-a"), &*got.body), (true, Some("1"), &b"body"[..]));
    let other = head(&[("etag", "\"b\"")]);
    other.get("http://a/x").await;
    other.send(reload()).await;
    assert_eq!(other.get("http://a/x").await.cache_status(), "rampart; fwd=stale; fwd-status=200; stored");
    // RFC 9111 section 3.5: what is told to credentials may be of the caller's own, unless it is for everybody.
    for (control, is_own) in [("max-age=9", true), ("private", true), ("max-age=9, public", false)] {
        let other = head(&[("etag", "\"b\""), ("cache-control", control)]);
        other.get("http://a/x").await;
        let fields = [("cache-control", "no-cache"), ("authorization", "Bearer x")];
        other.send(request("HEAD", "http://a/x", &fields)).await;
        assert_eq!(other.get("http://a/x").await.is_hit(), is_own, "{control}");
    }
    // What is stored has no such field, and a length all the same.
    for (length, is_same) in [("4", true), ("5", false)] {
        let setup = head(&[("content-length", length), ("cache-control", "max-age=99")]);
        setup.get("http://a/x").await;
        setup.send(reload()).await;
        assert_eq!(setup.get("http://a/x").await.is_hit(), is_same, "{length}");
    }
}

#[tokio::test]
async fn preconditions_are_the_origins() {
    let setup = setup(&Origin::new(|_| ok(&[("cache-control", "max-age=9"), TAG], "body").response()));
    setup.get("http://a/x").await;
    for fields in [("if-match", "\"b\""), ("if-unmodified-since", DATE.1)] {
        assert_eq!(setup.get_with("http://a/x", &[fields]).await.cache_status(), "rampart; fwd=request");
    }
}

/// RFC 9111 section 4.3.4: a strong validator confirms every variant that has it, a weak one the one that was asked about.
#[tokio::test]
async fn a_304_confirms_all_variants_with_its_strong_tag() {
    for (tag, confirms) in [("\"a\"", true), ("W/\"a\"", false)] {
        let origin = Origin::new(move |request| {
            let fields = [("cache-control", "max-age=2"), ("etag", tag), ("vary", "x-a")];
            match request.headers().contains_key("if-none-match") {
                true => status(304, &fields, "").response(),
                false => ok(&fields, "body").response(),
            }
        });
        let setup = setup(&origin);
        let get = async |value| setup.get_with("http://a/x", &[("x-a", value)]).await;
        get("1").await;
        get("2").await;
        setup.wait(3);
        get("1").await;
        assert_eq!(get("2").await.is_hit(), confirms, "{tag}");
        assert_eq!(setup.cache.stats().entries, 2);
    }
}

/// RFC 9111 sections 3.5, 4.3.3 and 5.2.1.5: what a request forbids to store says nothing of what is stored.
#[tokio::test]
async fn a_request_takes_nothing_from_the_others() {
    const RELOAD: (&str, &str) = ("cache-control", "no-cache");
    let control = fresh(2);
    let answers: [Answered; 3] = [
        status(304, &[("cache-control", &control), TAG], ""),
        ok(&[("cache-control", &control), TAG], "body"),
        ok(&[("cache-control", &control), ("etag", "\"b\"")], "other"),
    ];
    for answer in answers {
        for (fields, waits) in [
            (&[("cache-control", "no-cache, no-store")][..], 0),
            (&[("cache-control", "no-store")], 3),
            (&[("authorization", "Bearer x"), RELOAD], 0),
            (&[("authorization", "Bearer x")], 3),
        ] {
            let first = ok(&[("cache-control", &control), TAG], "body");
            let origin = Origin::in_turn([first, answer.clone(), status(304, &[TAG], "")]);
            let setup = setup(&origin);
            setup.get("http://a/x").await;
            setup.wait(waits);
            let got = setup.get_with("http://a/x", fields).await;
            assert_eq!((got.status.as_u16(), got.is_hit()), (200, false), "{fields:?}");
            assert_eq!(setup.cache.stats().entries, 1, "{fields:?} {}", answer.status);
            setup.wait(3);
            let got = setup.get("http://a/x").await;
            assert_eq!((got.status.as_u16(), &*got.body), (200, &b"body"[..]), "{fields:?}");
            assert_eq!(origin.asked(2)["if-none-match"], "\"a\"", "{fields:?}");
        }
    }
    // What the response forbids is forbidden whoever asks.
    for forbids in ["no-store", "private"] {
        let first = ok(&[("cache-control", &control), TAG], "body");
        let origin = Origin::in_turn([first, status(304, &[("cache-control", forbids), TAG], "")]);
        let setup = setup(&origin);
        setup.get("http://a/x").await;
        setup.get_with("http://a/x", &[("authorization", "Bearer x"), RELOAD]).await;
        assert_eq!(setup.cache.stats().entries, 0, "{forbids}");
    }
}

/// RFC 9111 section 4.3.3: what somebody known gets for him alone does not end what all get.
#[tokio::test]
async fn an_answer_to_credentials_ends_nothing() {
    for own in ["private", "no-store"] {
        let origin = Origin::in_turn([
            ok(&[("cache-control", &fresh(2)), TAG], "all"),
            ok(&[("cache-control", own), ("etag", "\"own\"")], "own"),
            status(304, &[("cache-control", &fresh(2)), TAG], ""),
        ]);
        let setup = setup(&origin);
        setup.get("http://a/x").await;
        setup.wait(3);
        assert_eq!(setup.get_with("http://a/x", &[("authorization", "Bearer x")]).await.body, "own");
        assert_eq!((setup.cache.stats().entries, &*setup.get("http://a/x").await.body), (1, &b"all"[..]), "{own}");
    }
}

/// RFC 9111 section 5.2.2.4: a field that is named is sent to the one whose request was validated, and to nobody from the store.
#[tokio::test]
async fn a_cookie_of_a_304_is_for_the_one_who_asked() {
    let control = "max-age=2, no-cache=\"set-cookie\"";
    let origin = Origin::in_turn([
        ok(&[("cache-control", control), TAG], "body"),
        status(304, &[("cache-control", control), TAG, ("set-cookie", "a=b")], ""),
    ]);
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    setup.wait(3);
    assert_eq!(setup.get("http://a/x").await.field("set-cookie"), Some("a=b"));
    let hit = setup.get("http://a/x").await;
    assert_eq!((hit.is_hit(), hit.field("set-cookie")), (true, None));
}
