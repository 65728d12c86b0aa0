//! Writes, purges, and fills that they meet on their way (RFC 9111 section 4.4, RFC 9875).

use std::sync::Arc;

use http_body::Frame;
use tower::ServiceExt as _;
use tower_rampart::cache::{CacheBuilder, Purge};
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Identity, Origin as Layer, Rejection};

use crate::support::*;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

fn writable(answer: Answered) -> Setup {
    setup(&Origin::new(move |request| match request.method().as_str() {
        "GET" => ok(&[FRESH, ("vary", "x-a"), ("cache-groups", "\"g\"")], "x").response(),
        _ => answer.response(),
    }))
}

async fn is_hit(setup: &Setup, uri: &str) -> bool {
    setup.get(uri).await.is_hit()
}

#[tokio::test]
async fn an_unsafe_request_invalidates_all_variants_of_its_target() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "FROB"] {
        for code in [200, 204, 303] {
            let setup = writable(status(code, &[], ""));
            for value in ["1", "2"] {
                setup.get_with("http://a/x?q", &[("x-a", value)]).await;
            }
            setup.get("http://a/x").await;
            let got = setup.send(request(method, "http://a/x?q", &[])).await;
            assert_eq!(got.cache_status(), "rampart; fwd=method");
            for value in ["1", "2"] {
                assert!(!setup.get_with("http://a/x?q", &[("x-a", value)]).await.is_hit(), "{method} {code}");
            }
            assert!(is_hit(&setup, "http://a/x").await, "another resource");
        }
    }
}

#[tokio::test]
async fn one_that_failed_does_not() {
    for code in [400, 404, 500, 503] {
        let setup = writable(status(code, &[("location", "/y")], ""));
        setup.get("http://a/x").await;
        setup.get("http://a/y").await;
        setup.send(request("POST", "http://a/x", &[])).await;
        assert!(is_hit(&setup, "http://a/x").await && is_hit(&setup, "http://a/y").await, "{code}");
    }
    let setup = writable(status(204, &[], ""));
    setup.get("http://a/x").await;
    setup.send(request("OPTIONS", "http://a/x", &[])).await;
    assert!(is_hit(&setup, "http://a/x").await, "a safe one");
}

/// RFC 9111 section 4.4 speaks of the URI: whatever else is in a key, and whatever way the unsafe request goes.
#[tokio::test]
async fn what_else_is_in_the_key_keeps_nothing() {
    let writable = || {
        Origin::new(|request| match request.method().as_str() {
            "GET" => ok(&[FRESH], "x").response(),
            _ => status(204, &[("location", "/y")], "").response(),
        })
    };
    let setup = setup(&writable());
    setup.get("http://a/x").await;
    setup.send(request("POST", "http://a/x", &[("x-forwarded-proto", "https")])).await;
    assert!(!is_hit(&setup, "http://a/x").await, "it came through another proxy");

    // Parts that an unsafe request does not have send it past the cache, and what it changes is changed.
    let tenant = |request: tower_rampart::RequestView<'_>| {
        request.headers().get("x-tenant").map(|tenant| tenant.as_bytes().to_vec())
    };
    let setup = setup_with(&writable(), |cache| cache.add_key_part(tenant));
    let a = [("x-tenant", "a")];
    for uri in ["http://a/x", "http://a/y"] {
        setup.get_with(uri, &a).await;
        assert!(setup.get_with(uri, &a).await.is_hit());
    }
    let got = setup.send(request("POST", "http://a/x", &[])).await;
    assert_eq!(got.cache_status(), "rampart; fwd=method");
    for uri in ["http://a/x", "http://a/y"] {
        assert!(!setup.get_with(uri, &a).await.is_hit(), "{uri}");
    }

    let route = tower_rampart::cache::Route::bypass();
    let setup = setup_with(&writable(), |cache| cache.add_route("/admin", route));
    setup.get("http://a/y").await;
    setup.send(request("POST", "http://a/admin", &[])).await;
    assert!(!is_hit(&setup, "http://a/y").await, "its answer says what it has changed");
}

/// A POST's answer that is kept for later GETs is kept under no other key than they have.
#[tokio::test]
async fn nothing_is_kept_of_what_went_past() {
    let setup = setup_with(&Origin::new(|_| ok(&[FRESH, ("content-location", "/x")], "x").response()), |cache| {
        cache.add_key_part(|request| request.headers().get("x-tenant").map(|tenant| tenant.as_bytes().to_vec()))
    });
    let got = setup.send(request("POST", "http://a/x", &[])).await;
    assert_eq!((got.cache_status(), setup.cache.stats().entries), ("rampart; fwd=method", 0));
    setup.send(request("POST", "http://a/x", &[("x-tenant", "a")])).await;
    assert!(setup.get_with("http://a/x", &[("x-tenant", "a")]).await.is_hit());
    assert!(!setup.get_with("http://a/x", &[("x-tenant", "b")]).await.is_hit());
}

/// It may have been done although nobody said so. What was refused was not.
#[tokio::test]
async fn one_that_the_origin_did_not_answer() {
    for (kind, is_sent) in
        [(ProblemKind::BadGateway, true), (ProblemKind::DeadlineExceeded, true), (ProblemKind::Unavailable, false)]
    {
        let setup = setup(&Origin::new(move |request| {
            if request.method() == "GET" {
                return ok(&[FRESH], "x").response();
            }
            let mut response = status(kind.status().as_u16(), &[], "").response();
            response.extensions_mut().insert(Rejection::new(Layer::Custom("proxy"), Problem::new(kind)));
            response
        }));
        setup.get("http://a/x").await;
        setup.send(request("POST", "http://a/x", &[])).await;
        assert_eq!(is_hit(&setup, "http://a/x").await, !is_sent, "{kind:?}");
    }
}

#[tokio::test]
async fn places_that_it_names_are_invalidated_on_the_same_origin() {
    for name in ["location", "content-location"] {
        for (value, is_named) in [
            ("/d/y", true),
            ("y", true),
            ("./y", true),
            ("../d/y", true),
            ("http://a/d/y", true),
            ("HTTP://A:80/d/y#z", true),
            ("/d/./y", true),
            ("/z/../d/y", true),
            ("http://a/d/z/../y", true),
            ("//a/d/y", true),
            ("http://b/d/y", false),
            ("https://a/d/y", false),
            ("//b/d/y", false),
            ("/d/y?q", false),
            ("::", false),
        ] {
            let setup = writable(status(201, &[(name, value)], ""));
            setup.get("http://a/d/y").await;
            setup.send(request("POST", "http://a/d/x", &[])).await;
            assert_eq!(is_hit(&setup, "http://a/d/y").await, !is_named, "{name}: {value}");
        }
    }
}

/// RFC 9875 section 3.
#[tokio::test]
async fn groups() {
    let setup = writable(status(204, &[("cache-group-invalidation", "\"g\"")], ""));
    for uri in ["http://a/1", "http://a/2", "http://b/1"] {
        setup.get(uri).await;
    }
    setup.send(request("POST", "http://a/x", &[])).await;
    assert!(!is_hit(&setup, "http://a/1").await && !is_hit(&setup, "http://a/2").await);
    assert!(is_hit(&setup, "http://b/1").await, "another origin's group");
    let safe = setup_with(
        &Origin::new(|_| ok(&[FRESH, ("cache-groups", "\"g\""), ("cache-group-invalidation", "\"g\"")], "").response()),
        |c| c,
    );
    safe.get("http://a/1").await;
    safe.get("http://a/2").await;
    assert!(is_hit(&safe, "http://a/1").await, "a safe request invalidates nothing");
}

/// RFC 9110 section 9.3.3.
#[tokio::test]
async fn what_a_post_makes_is_what_a_get_gets() {
    let setup = writable(ok(&[FRESH, ("content-location", "/x")], "made"));
    setup.get("http://a/x").await;
    let got = setup.send(request("POST", "http://a/x", &[])).await;
    assert_eq!(got.cache_status(), "rampart; fwd=method; stored");
    let got = setup.get("http://a/x").await;
    assert_eq!((got.is_hit(), &*got.body), (true, &b"made"[..]));
    for fields in [&[FRESH][..], &[FRESH, ("content-location", "/y")], &[("etag", "\"a\""), ("content-location", "/x")]]
    {
        let setup = writable(ok(fields, "made"));
        setup.send(request("POST", "http://a/x", &[])).await;
        assert!(!is_hit(&setup, "http://a/x").await);
    }
}

#[tokio::test]
async fn purges() {
    let tagged = || {
        setup(&Origin::new(|_| {
            ok(&[FRESH, ("surrogate-key", "a b"), ("cache-tag", "c d,e"), ("etag", "\"1\"")], "x").response()
        }))
    };
    type Purging = fn(&Setup);
    let purge: [(&str, Purging); 9] = [
        ("a", |setup| setup.cache.purge_tag("b")),
        ("b", |setup| setup.cache.purge_tag("c d")),
        ("path", |setup| setup.cache.purge_path("/d/x")),
        ("prefix", |setup| setup.cache.purge_prefix("/d/")),
        ("uri", |setup| setup.cache.purge_uri(&"http://a/d/x?q".parse().unwrap())),
        ("all", |setup| setup.cache.purge_all()),
        ("soft", |setup| setup.cache.purge_tag_as("a", Purge::Soft)),
        ("soft uri", |setup| setup.cache.purge_uri_as(&"http://a/d/x?q".parse().unwrap(), Purge::Soft)),
        ("expire", |setup| setup.cache.purge_all_as(Purge::Soft)),
    ];
    for (name, purge) in purge {
        let setup = tagged();
        let got = setup.get("http://a/d/x?q").await;
        assert!(got.field("surrogate-key").is_none() && got.field("cache-tag").is_none());
        assert!(is_hit(&setup, "http://a/d/x?q").await);
        purge(&setup);
        let expected = if name.contains("soft") || name == "expire" { 1 } else { 0 };
        assert_eq!(setup.cache.stats().entries, expected, "{name}");
        let got = setup.get("http://a/d/x?q").await;
        assert!(!got.is_hit(), "{name}");
        assert_eq!(setup.origin.asked(1).contains_key("if-none-match"), expected == 1, "{name}");
        assert!(is_hit(&setup, "http://a/d/x?q").await, "{name}: what came after is good");
    }
    let setup = tagged();
    setup.get("http://a/x").await;
    for tag in ["A", "a b", "c", "d", ""] {
        setup.cache.purge_tag(tag);
    }
    setup.cache.purge_path("/");
    setup.cache.purge_prefix("/d");
    assert!(is_hit(&setup, "http://a/x").await);
}

/// A purge or a write that meets a fill on its way: the old body never comes back.
#[tokio::test]
async fn nothing_old_is_stored_after_a_purge_or_a_write() {
    let purge: [fn(&Setup); 4] = [
        |setup| setup.cache.purge_path("/x"),
        |setup| setup.cache.purge_all(),
        |setup| setup.cache.purge_prefix("/"),
        |setup| setup.cache.purge_uri(&"http://a/x".parse().unwrap()),
    ];
    for purge in purge {
        let (feeder, body) = fed();
        let body = std::sync::Mutex::new(Some(body));
        let origin = Origin::new(move |_| {
            let mut response = ok(&[FRESH], "").response();
            *response.body_mut() = body.lock().unwrap().take().unwrap_or_else(|| full("new"));
            response
        });
        let setup = setup(&origin);
        let response = setup.service.clone().oneshot(request("GET", "http://a/x", &[])).await.unwrap();
        purge(&setup);
        feeder.send(Ok(Frame::data("old".into()))).unwrap();
        drop(feeder);
        assert_eq!(collect(response).await.body, "old");
        assert_eq!(setup.cache.stats().entries, 0);
        assert_eq!(setup.get("http://a/x").await.body, "new");
    }
}

#[tokio::test]
async fn a_request_after_a_write_joins_no_fill_from_before() {
    let (origin, gate) = Origin::new(|request| match request.method().as_str() {
        "GET" => ok(&[FRESH], "x").response(),
        _ => status(204, &[], "").response(),
    })
    .gated();
    let setup = Arc::new(setup(&origin));
    let get = || {
        let setup = Arc::clone(&setup);
        tokio::spawn(async move { setup.get("http://a/x").await })
    };
    let before = get();
    settled().await;
    let write = {
        let setup = Arc::clone(&setup);
        tokio::spawn(async move { setup.send(request("POST", "http://a/x", &[])).await })
    };
    settled().await;
    assert_eq!(origin.calls(), 2);
    write.abort();
    settled().await;
    let after = get();
    settled().await;
    assert_eq!(origin.calls(), 3, "a write that nobody saw the end of counts too");
    gate.add_permits(9);
    let (before, after) = (before.await.unwrap(), after.await.unwrap());
    assert!(!before.cache_status().contains("collapsed") && !after.cache_status().contains("collapsed"));
    assert!(is_hit(&setup, "http://a/x").await);
}

#[tokio::test]
async fn requests_tag_their_responses() {
    let origin = Origin::new(|_| ok(&[("cache-control", "max-age=9")], "body").response());
    let tags = |request: tower_rampart::RequestView<'_>| {
        request.uri().path().split('/').skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    let setup = setup_with(&origin, |cache| cache.add_tags(tags));
    for uri in ["http://a/polls/1", "http://a/polls/2"] {
        setup.get(uri).await;
    }
    setup.cache.purge_tag("1");
    assert!(!setup.get("http://a/polls/1").await.is_hit());
    assert!(setup.get("http://a/polls/2").await.is_hit());
    setup.cache.purge_tag("polls");
    assert!(!setup.get("http://a/polls/2").await.is_hit());
}

/// RFC 9110 section 4.2.3: the case of a host and a default port, or an empty one, make no other resource.
#[tokio::test]
async fn all_spellings_of_a_host_are_one() {
    let hosts = ["h.example", "H.Example", "h.example:80", "h.example:", "H.EXAMPLE:80"];
    let by_host = |method: &str, host: &str| request(method, "/x", &[("host", host)]);
    for host in hosts {
        let setup = writable(status(204, &[], ""));
        setup.send(by_host("GET", "h.example")).await;
        assert!(setup.send(by_host("GET", host)).await.is_hit(), "{host}");
        setup.send(by_host("DELETE", host)).await;
        assert!(!setup.send(by_host("GET", "h.example")).await.is_hit(), "{host}");
        setup.cache.purge_uri(&format!("http://{host}/x").parse().unwrap());
        assert_eq!(setup.cache.stats().entries, 0, "{host}");
        // What is asked for in another spelling goes with what is purged or written to.
        setup.send(by_host("GET", host)).await;
        setup.cache.purge_uri_as(&"http://h.example/x".parse().unwrap(), Purge::Soft);
        assert!(!setup.send(by_host("GET", host)).await.is_hit(), "{host}");
    }
    let setup = setup(&Origin::new(|_| ok(&[FRESH], "x").response()));
    setup.send(by_host("GET", "h.example")).await;
    for other in ["h.example:8080", "h.example:443", "h.example.", "h.example:80:", "i.example", "h.example:080"] {
        assert!(!setup.send(by_host("GET", other)).await.is_hit(), "{other}");
    }
    assert_eq!(setup.origin.asked(1)["host"], "h.example:8080");
    setup.get("https://s.example/x").await;
    assert!(setup.get("https://S.example:443/x").await.is_hit());
    assert!(!setup.get("https://s.example:80/x").await.is_hit());
    setup.send(by_host("GET", "Odd.Example:80")).await;
    let calls = setup.origin.calls();
    assert_eq!(setup.origin.asked(calls - 1)["host"], "Odd.Example:80", "the origin is sent what the client wrote");
}

/// RFC 9110 section 8.7: a Content-Location tells of a representation, which is what a 200 has; and an odd request may have
/// made that of something else.
#[tokio::test]
async fn a_posts_answer_is_kept_only_where_it_is_what_a_get_gets() {
    let answers: [(u16, &[(&str, &str)]); 7] = [
        (201, &[]),
        (202, &[]),
        (302, &[]),
        (303, &[]),
        (200, &[("x-original-url", "/y")]),
        (200, &[("x-http-method-override", "DELETE")]),
        (200, &[("forwarded", "host=evil")]),
    ];
    for (code, fields) in answers {
        let setup = writable(status(code, &[FRESH, ("content-location", "/x")], "made"));
        setup.get("http://a/x").await;
        let got = setup.send(request("POST", "http://a/x", fields)).await;
        assert_eq!(got.cache_status(), "rampart; fwd=method", "{code} {fields:?}");
        assert_eq!(setup.cache.stats().entries, 0, "{code} {fields:?}");
    }
    // A body is no oddity of a POST.
    let setup = writable(ok(&[FRESH, ("content-location", "/x")], "made"));
    setup.send(request("POST", "http://a/x", &[("content-length", "3")])).await;
    assert!(is_hit(&setup, "http://a/x").await);
}

/// RFC 9111 section 4.4, RFC 9110 section 9.2.1: methods that are registered as safe change nothing.
#[tokio::test]
async fn safe_methods_invalidate_nothing() {
    for method in ["PROPFIND", "REPORT", "SEARCH", "QUERY", "OPTIONS", "TRACE"] {
        let setup = writable(status(200, &[("location", "/y")], ""));
        setup.get("http://a/x").await;
        setup.get("http://a/y").await;
        let got = setup.send(request(method, "http://a/x", &[])).await;
        assert_eq!(got.cache_status(), "rampart; fwd=method", "{method}");
        assert!(is_hit(&setup, "http://a/x").await && is_hit(&setup, "http://a/y").await, "{method}");
    }
}

/// What is the same by what the user said of queries is written to and purged as one, whoever has it stored.
#[tokio::test]
async fn queries_that_are_one_are_invalidated_as_one() {
    let settle = |cache: CacheBuilder| cache.private_per_subject(true).drop_query(["utm_*"]).sort_query();
    for (stored, written) in [("/x?utm_source=a", "/x"), ("/x", "/x?utm_source=a"), ("/y?b=1&a=2&utm_x", "/y?a=2&b=1")]
    {
        for purges in [false, true] {
            let private = ("cache-control", "private, max-age=60");
            let setup = setup_with(&Origin::new(move |_| ok(&[private], "x").response()), settle);
            let by_alice = |method: &str, uri: &str| {
                let mut request = request(method, &format!("http://a{uri}"), &[]);
                request.extensions_mut().insert(Identity::new("i", "alice"));
                setup.send(request)
            };
            by_alice("GET", stored).await;
            assert!(by_alice("GET", written).await.is_hit(), "{stored} {written}");
            if purges {
                setup.cache.purge_uri(&format!("http://a{written}").parse().unwrap());
            } else {
                by_alice("POST", written).await;
            }
            assert!(!by_alice("GET", stored).await.is_hit(), "{stored} {written} {purges}");
        }
    }
}
