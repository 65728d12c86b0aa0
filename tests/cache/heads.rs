//! What a HEAD's answer says of what is stored for GET (RFC 9111 section 4.3.5).

use crate::support::*;

const TAG: (&str, &str) = ("etag", "\"a\"");
const SHORT: (&str, &str) = ("cache-control", "max-age=1");
const LONG: (&str, &str) = ("cache-control", "max-age=100");
const RELOAD: (&str, &str) = ("cache-control", "no-cache");

/// A resource whose HEAD says something of its own.
fn with_head(get: &[(&'static str, &str)], head: &[(&'static str, &str)]) -> Setup {
    let (get, head) = (ok(get, "body"), ok(head, ""));
    setup(&Origin::new(move |request| if request.method() == "HEAD" { head.response() } else { get.response() }))
}

/// RFC 9111 section 4.3.5: a validator that the stored response has not is no match, and is not grafted on it.
#[tokio::test]
async fn a_validator_that_is_not_stored_makes_it_stale() {
    let new = [("etag", "\"new\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")];
    for validator in new {
        let setup = with_head(&[SHORT], &[LONG, ("content-length", "4"), validator]);
        setup.get("http://a/x").await;
        setup.wait(2);
        setup.send(request("HEAD", "http://a/x", &[])).await;
        let got = setup.get("http://a/x").await;
        assert_eq!((got.is_hit(), got.field(validator.0)), (false, None), "{validator:?}");
        let asked = setup.origin.asked(setup.origin.calls() - 1);
        assert!(!asked.contains_key("if-none-match") && !asked.contains_key("if-modified-since"), "{validator:?}");
    }
    // The other way round nothing is received that could differ.
    let setup = with_head(&[LONG, TAG], &[("cache-control", "max-age=200")]);
    setup.get("http://a/x").await;
    setup.send(request("HEAD", "http://a/x", &[RELOAD])).await;
    assert!(setup.get("http://a/x").await.is_hit());
}

/// RFC 9111 sections 3 and 4.3.5: what may no longer be stored is no longer fresh.
#[tokio::test]
async fn a_head_that_forbids_storing_makes_it_stale() {
    for (control, tag) in [
        ("no-store", &[TAG][..]),
        ("private", &[TAG]),
        ("max-age=0", &[]),
        ("max-age=100, private", &[]),
        ("no-cache", &[]),
    ] {
        let known = [RELOAD, ("authorization", "Bearer x")];
        for asker in [&[RELOAD][..], &known, &[("cache-control", "no-cache, no-store")]] {
            // RFC 9111 section 3.5: what credentials are told for themselves alone is not for the others.
            let is_own = asker == known && (control.contains("private") || control.contains("no-store"));
            let setup = with_head(&[&[LONG][..], tag].concat(), &[&[("cache-control", control)], tag].concat());
            setup.get("http://a/x").await;
            setup.send(request("HEAD", "http://a/x", asker)).await;
            assert_eq!(setup.get("http://a/x").await.is_hit(), is_own, "{control} {asker:?}");
        }
    }
}

/// RFC 9111 sections 3.5 and 5.2.1.5: what the request forbids to store says nothing of what is stored.
#[tokio::test]
async fn a_head_whose_answer_is_not_kept_takes_nothing() {
    for asker in [&[RELOAD, ("authorization", "Bearer x")][..], &[("cache-control", "no-cache, no-store")]] {
        let setup = with_head(&[LONG, TAG], &[LONG, TAG]);
        setup.get("http://a/x").await;
        setup.send(request("HEAD", "http://a/x", asker)).await;
        assert!(setup.get("http://a/x").await.is_hit(), "{asker:?}");
    }
}

/// RFC 9111 section 4.3.5: what says that there is something says nothing good of a 404.
#[tokio::test]
async fn a_head_that_succeeds_makes_no_failure_fresh() {
    let setup = setup(&Origin::new(|request| {
        let code = if request.method() == "HEAD" { 200 } else { 404 };
        status(code, &[LONG], "").response()
    }));
    setup.get("http://a/x").await;
    setup.wait(1);
    setup.send(request("HEAD", "http://a/x", &[RELOAD])).await;
    let got = setup.get("http://a/x").await;
    assert_eq!((got.status.as_u16(), got.is_hit()), (404, false));
}

/// RFC 9111 sections 3.5 and 4.3.5: other content that credentials are told of is everybody's only where it says so.
#[tokio::test]
async fn a_head_with_credentials_speaks_for_all_where_it_says_so() {
    for (control, is_left) in
        [("max-age=100", true), ("private", true), ("no-store", true), ("public, max-age=100", false)]
    {
        let setup = with_head(&[LONG, TAG], &[("cache-control", control), ("etag", "\"own\"")]);
        setup.get("http://a/x").await;
        setup.send(request("HEAD", "http://a/x", &[RELOAD, ("authorization", "Bearer x")])).await;
        assert_eq!(setup.get("http://a/x").await.is_hit(), is_left, "{control}");
    }
}
