//! What is stale and answers all the same (RFC 5861, RFC 9111 section 4.2.4).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use http::Response;
use tower::ServiceExt as _;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Origin as Layer, Rejection};

use crate::support::*;

#[tokio::test]
async fn while_it_is_refreshed_it_answers() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let origin = Origin::new(move |_| {
        let n = counted.fetch_add(1, Ordering::SeqCst);
        ok(&[("cache-control", "max-age=2, stale-while-revalidate=9"), ("x-n", &n.to_string())], "body").response()
    });
    let (origin, gate) = origin.gated();
    gate.add_permits(1);
    let setup = setup(&origin);
    let fields = [("cookie", "a=b"), ("if-none-match", "\"z\""), ("accept", "text/html")];
    setup.get("http://a/x").await;
    setup.wait(5);
    for _ in 0..20 {
        let got = setup.get_with("http://a/x", &fields).await;
        assert_eq!((got.field("x-n"), got.cache_status()), (Some("0"), "rampart; hit; ttl=-3"));
    }
    settled().await;
    assert_eq!(origin.calls(), 2, "one asks");
    let asked = origin.asked(1);
    assert!(!asked.contains_key("cookie") && !asked.contains_key("if-none-match"));
    assert_eq!(asked["accept"], "text/html");
    gate.add_permits(1);
    settled().await;
    let got = setup.get("http://a/x").await;
    assert_eq!((got.field("x-n"), got.is_hit()), (Some("1"), true));
    assert_eq!(setup.cache.stats().in_flight, 0);
}

/// Nobody's credentials are lent out, so a caller's request waits.
#[tokio::test]
async fn a_callers_refresh_is_not_in_the_background() {
    let origin =
        Origin::new(|_| ok(&[("cache-control", "public, max-age=2, stale-while-revalidate=9")], "body").response());
    let setup = setup(&origin);
    setup.get("http://a/x").await;
    setup.wait(5);
    let got = setup.get_with("http://a/x", &[("authorization", "Bearer x")]).await;
    assert!(got.cache_status().starts_with("rampart; fwd=stale"), "{}", got.cache_status());
    assert_eq!(origin.asked(1)["authorization"], "Bearer x");
}

/// RFC 5861 section 3 lets a cache answer at once and makes it do so nowhere: a refresh that goes without the field by which
/// the response was chosen would renew another one, and each hit would cost a call for nothing.
#[tokio::test]
async fn what_was_chosen_by_a_cookie_is_not_refreshed_without_it() {
    let origin = Origin::new(|request| {
        let cookie = request.headers().get("cookie").map_or("-", |value| value.to_str().unwrap());
        let fields =
            [("cache-control", "max-age=2, stale-while-revalidate=9"), ("vary", "cookie, accept"), ("x-for", cookie)];
        ok(&fields, "body").response()
    });
    let setup = setup(&origin);
    setup.get_with("http://a/x", &[("cookie", "a=b")]).await;
    setup.wait(5);
    let got = setup.get_with("http://a/x", &[("cookie", "a=b")]).await;
    assert_eq!(got.cache_status(), "rampart; fwd=stale; stored");
    assert_eq!((got.field("x-for"), &origin.asked(1)["cookie"]), (Some("a=b"), &"a=b".parse().unwrap()));
    for _ in 0..3 {
        assert!(setup.get_with("http://a/x", &[("cookie", "a=b")]).await.is_hit());
    }
    settled().await;
    assert_eq!(origin.calls(), 2);
    // Who sends none is answered at once.
    setup.get("http://a/x").await;
    setup.wait(5);
    assert_eq!(setup.get("http://a/x").await.cache_status(), "rampart; hit; ttl=-3");
    settled().await;
    assert_eq!((origin.calls(), setup.get("http://a/x").await.is_hit()), (4, true));
}

#[test]
fn without_a_runtime_the_first_one_refreshes() {
    let origin = Origin::new(|_| ok(&[("cache-control", "max-age=2, stale-while-revalidate=9")], "body").response());
    let setup = setup(&origin);
    futures_util::FutureExt::now_or_never(setup.get("http://a/x")).unwrap();
    setup.wait(5);
    let got = futures_util::FutureExt::now_or_never(setup.get("http://a/x")).unwrap();
    assert!(got.cache_status().starts_with("rampart; fwd=stale"));
    assert_eq!(origin.calls(), 2);
}

/// An origin that answers once, and then fails as it is told.
fn failing(
    fields: &[(&'static str, &str)],
    failure: impl Fn() -> Result<Response<Fed>, Failed> + Send + Sync + 'static,
) -> Setup {
    let first = ok(fields, "body");
    let answered = AtomicBool::new(false);
    setup(&Origin::failing(
        move |_| {
            if answered.swap(true, Ordering::SeqCst) { failure() } else { Ok(first.response()) }
        },
    ))
}

fn refused() -> Result<Response<Fed>, Failed> {
    let mut response = status(503, &[], "").response();
    let rejection = Rejection::new(Layer::Custom("breaker"), Problem::new(ProblemKind::Unavailable));
    response.extensions_mut().insert(rejection);
    Ok(response)
}

#[tokio::test]
async fn when_the_origin_is_gone() {
    for failure in [|| Err(Failed), refused] {
        let setup = failing(&[("cache-control", "max-age=2")], failure);
        setup.get("http://a/x").await;
        setup.wait(60);
        let got = setup.get("http://a/x").await;
        assert_eq!((got.status.as_u16(), &*got.body), (200, &b"body"[..]));
        // RFC 9211 section 2.3: no status where the next hop has told none.
        assert_eq!(got.cache_status(), "rampart; fwd=stale");
        assert_eq!(got.field("age"), Some("60"));
    }
}

/// RFC 9211 section 2.3: a refusal of a layer further in is no answer of the next hop's.
#[tokio::test]
async fn a_refusal_is_not_told_as_the_origins_status() {
    for (failure, told) in [
        (refused as fn() -> _, "rampart; fwd=stale; detail=no-freshness"),
        (|| Ok(status(503, &[], "").response()), "rampart; fwd=stale; fwd-status=503; detail=no-freshness"),
    ] {
        let first = ok(&[("cache-control", "max-age=2"), ("etag", "\"a\"")], "body");
        let answered = AtomicBool::new(false);
        let origin =
            Origin::failing(
                move |_| {
                    if answered.swap(true, Ordering::SeqCst) { failure() } else { Ok(first.response()) }
                },
            );
        let setup = setup_with(&origin, |cache| cache.stale_when_disconnected(false));
        setup.get("http://a/x").await;
        setup.wait(60);
        let got = setup.get("http://a/x").await;
        assert_eq!((got.status.as_u16(), got.cache_status()), (503, told));
    }
}

/// RFC 9111 sections 4.2.4 and 5.2.2.2: then 504.
#[tokio::test]
async fn what_must_be_validated_is_not_served_stale() {
    for directives in ["max-age=2, must-revalidate", "max-age=2, proxy-revalidate", "s-maxage=2", "max-age=2, no-cache"]
    {
        for failure in [|| Err(Failed), refused] {
            let setup = failing(&[("cache-control", directives), ("etag", "\"a\"")], failure);
            setup.get("http://a/x").await;
            setup.wait(60);
            assert_eq!(setup.get("http://a/x").await.status, 504, "{directives}");
        }
    }
}

#[tokio::test]
async fn nothing_stored_and_the_error_comes_out() {
    let setup = setup(&Origin::failing(|_| Err(Failed)));
    assert_eq!(setup.fails("http://a/x").await, Failed);
    assert_eq!(setup.cache.stats().in_flight, 0);
}

/// The answer of a client's own circuit breaker, say.
#[tokio::test]
async fn a_program_says_what_else_means_that_nobody_was_reached() {
    let origin = || Origin::in_turn([ok(&[("cache-control", "max-age=2")], "kept"), status(530, &[], "no")]);
    let told = setup_with(&origin(), |cache| cache.unreachable_when(|response| response.status() == 530));
    let untold = setup(&origin());
    for (setup, code, body) in [(told, 200, "kept"), (untold, 530, "no")] {
        setup.get("http://a/x").await;
        setup.wait(3);
        let got = setup.get("http://a/x").await;
        assert_eq!((got.status.as_u16(), &*got.body), (code, body.as_bytes()));
    }
}

/// RFC 5861 section 4.
#[tokio::test]
async fn stale_if_error() {
    for code in [500, 502, 503, 504] {
        let setup =
            failing(
                &[("cache-control", "max-age=2, stale-if-error=9")],
                move || Ok(status(code, &[], "no").response()),
            );
        setup.get("http://a/x").await;
        setup.wait(11);
        let got = setup.get("http://a/x").await;
        assert_eq!(
            (got.status.as_u16(), got.cache_status()),
            (200, &*format!("rampart; fwd=stale; fwd-status={code}"))
        );
        setup.wait(1);
        assert_eq!(setup.get("http://a/x").await.status, code, "the window is over");
    }
    let setup = failing(&[("cache-control", "max-age=2")], || Ok(status(500, &[], "no").response()));
    setup.get("http://a/x").await;
    setup.wait(3);
    assert_eq!(setup.get("http://a/x").await.status, 500, "nobody allowed it");
    let asks = ("cache-control", "stale-if-error=1");
    assert_eq!(setup.get_with("http://a/x", &[asks]).await.status, 200, "a client may, for itself");
    setup.wait(1);
    assert_eq!(setup.get_with("http://a/x", &[asks]).await.status, 500);
}

/// RFC 5861 section 4: what the response says is the most, however the origin fails and whatever the client takes.
#[tokio::test]
async fn the_response_says_how_stale_it_may_be() {
    for (directives, until) in
        [("max-age=1, stale-if-error=0", 0), ("max-age=1, stale-if-error=1", 1), ("max-age=1, stale-if-error=9", 9)]
    {
        let asks = [("cache-control", "stale-if-error=99")];
        for fields in [&[][..], &asks] {
            let setup = failing(&[("cache-control", directives)], || Err(Failed));
            setup.get("http://a/x").await;
            setup.wait(1 + until);
            if until > 0 {
                assert_eq!(setup.get_with("http://a/x", fields).await.body, "body", "{directives}");
            }
            setup.wait(1);
            let asked = request("GET", "http://a/x", fields);
            assert_eq!(setup.service.clone().oneshot(asked).await.map(|_| ()), Err(Failed), "{directives}");
        }
        let setup = failing(&[("cache-control", directives)], refused);
        setup.get("http://a/x").await;
        setup.wait(2 + until);
        assert_eq!(setup.get("http://a/x").await.status, 503, "{directives}");
    }
}

/// RFC 9111 section 4.3.3: the origin's word about the resource ends what was stored; one about the client does not.
#[tokio::test]
async fn what_the_origin_says_is_gone_answers_nobody() {
    let takes = ("cache-control", "max-stale");
    for (code, is_gone) in
        [(404, true), (410, true), (308, true), (204, true), (401, false), (429, false), (500, false)]
    {
        let setup = failing(&[("cache-control", "max-age=2")], move || Ok(status(code, &[], "").response()));
        setup.get("http://a/x").await;
        setup.wait(3);
        assert_eq!(setup.get("http://a/x").await.status, code);
        let got = setup.get_with("http://a/x", &[takes]).await;
        assert_eq!(got.status.as_u16(), if is_gone { code } else { 200 }, "{code}");
    }
}

#[tokio::test]
async fn bounds_and_defaults() {
    let first = AtomicBool::new(true);
    let origin = Origin::new(move |_| {
        if first.swap(false, Ordering::SeqCst) {
            ok(&[("cache-control", "max-age=2, stale-if-error=999")], "body").response()
        } else {
            status(500, &[], "no").response()
        }
    });
    let setup = setup_with(&origin, |cache| cache.max_stale(Duration::from_secs(5)));
    setup.get("http://a/x").await;
    setup.wait(7);
    assert_eq!(setup.get("http://a/x").await.status, 200);
    setup.wait(1);
    assert_eq!(setup.get("http://a/x").await.status, 500);
}

/// A QUERY is asked anew as a QUERY: a refresh is a GET, and gets something else.
#[tokio::test]
async fn a_stale_query_is_not_refreshed_by_a_get() {
    let origin = Origin::new(|request| {
        let fields = [("cache-control", "max-age=1, stale-while-revalidate=60"), ("etag", "\"a\"")];
        ok(&fields, if request.method() == "QUERY" { "QUERY" } else { "GET" }).response()
    });
    let setup = setup_with(&origin, |cache| {
        cache.query_content(|request| Some(request.headers().get("x-digest")?.as_bytes().to_vec()))
    });
    for calls in 1..4 {
        let got = setup.send(request("QUERY", "http://a/x", &[("x-digest", "1")])).await;
        assert_eq!((&*got.body, origin.calls()), (&b"QUERY"[..], calls));
        setup.wait(3);
    }
}
