//! What is answered out of the store, and to whom.

use http::Method;
use http_body::Frame;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_rampart::Identity;
use tower_rampart::cache::{CacheBypass, CacheHint, Policy, Route};

use crate::support::*;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

#[tokio::test]
async fn a_fresh_response_answers_until_it_is_stale() {
    let setup = setup(&Origin::new(|_| ok(&[FRESH, ("x-a", "1")], "body").response()));
    let first = setup.get("http://a/x").await;
    assert_eq!(first.cache_status(), "rampart; fwd=uri-miss; stored");
    assert_eq!(first.field("age"), None);
    setup.wait(59);
    let second = setup.get("http://a/x").await;
    assert_eq!(second.cache_status(), "rampart; hit; ttl=1");
    assert_eq!((second.field("age"), second.field("x-a"), &*second.body), (Some("59"), Some("1"), &b"body"[..]));
    assert!(second.field("date").is_some(), "its own date, and not the hit's");
    setup.wait(1);
    let third = setup.get("http://a/x").await;
    assert_eq!(third.cache_status(), "rampart; fwd=stale; stored");
    assert_eq!(setup.origin.calls(), 2);
}

/// RFC 9111 section 4: the key; and what has another one.
#[tokio::test]
async fn nobody_gets_anothers_response() {
    let setup = setup(&Origin::new(|request| ok(&[FRESH, ("x-uri", &request.uri().to_string())], "").response()));
    let targets =
        ["http://a/x", "http://a/x?", "http://a/x?q", "http://b/x", "https://a/x", "http://a/X", "http://a/y"];
    for _ in 0..2 {
        for target in targets {
            assert_eq!(setup.get(target).await.field("x-uri").unwrap(), target);
        }
    }
    assert_eq!(setup.origin.calls(), targets.len());
    assert_eq!(setup.cache.stats().entries, targets.len() as u64);
}

#[tokio::test]
async fn head_is_answered_from_get_and_never_the_other_way() {
    let setup = setup(&Origin::new(|request| {
        ok(&[FRESH], if *request.method() == Method::HEAD { "" } else { "0123456789" }).response()
    }));
    let head = || setup.send(request("HEAD", "http://a/x", &[]));
    assert_eq!(head().await.body, "");
    assert_eq!(setup.get("http://a/x").await.body, "0123456789");
    let got = head().await;
    assert!(got.is_hit());
    assert_eq!((&*got.body, got.field("content-length")), (&b""[..], Some("10")));
    assert_eq!(setup.origin.calls(), 2);
}

/// RFC 9111 section 4.1.
#[tokio::test]
async fn variants_live_side_by_side() {
    let setup = setup(&Origin::new(|request| {
        let encoding = request.headers().get("accept-encoding").map_or("", |value| value.to_str().unwrap());
        ok(&[FRESH, ("vary", "Accept-Encoding"), ("x-for", encoding)], "").response()
    }));
    for encoding in ["gzip", "br", "gzip", "br", " br ,", "BR"] {
        let got = setup.get_with("http://a/x", &[("accept-encoding", encoding)]).await;
        assert_eq!(
            got.field("x-for").unwrap().trim_matches([' ', ',']).to_lowercase(),
            encoding.trim_matches([' ', ',']).to_lowercase()
        );
    }
    assert_eq!(setup.origin.calls(), 2);
    assert_eq!(setup.get("http://a/x").await.cache_status(), "rampart; fwd=vary-miss; stored");
    assert_eq!(setup.cache.stats().entries, 3);
}

#[tokio::test]
async fn variants_are_bounded() {
    let origin = Origin::new(|_| ok(&[FRESH, ("vary", "x-a")], "").response());
    let setup = setup_with(&origin, |cache| cache.max_variants(3));
    for n in 0..50 {
        setup.get_with("http://a/x", &[("x-a", &n.to_string())]).await;
    }
    assert_eq!(setup.cache.stats().entries, 3);
    assert!(setup.get_with("http://a/x", &[("x-a", "49")]).await.is_hit());
}

/// RFC 9111 section 3.5, and nothing shared between callers.
#[tokio::test]
async fn callers_who_are_known() {
    let answers = |request: &http::Request<()>| {
        ok(&[("cache-control", request.headers()["x-say"].to_str().unwrap())], "").response()
    };
    let say = |value: &'static str| request("GET", "http://a/x", &[("x-say", value)]);
    let known = |subject: &'static str, value: &'static str| {
        let mut request = say(value);
        request.extensions_mut().insert(Identity::new("issuer", subject));
        request
    };
    let setup = setup(&Origin::new(answers));
    for value in ["max-age=60", "private, max-age=60"] {
        setup.send(known("alice", value)).await;
        assert!(!setup.send(known("alice", value)).await.is_hit(), "{value}");
    }
    let authorized = request("GET", "http://a/x", &[("authorization", "Bearer x"), ("x-say", "max-age=60")]);
    setup.send(authorized).await;
    assert_eq!(setup.cache.stats().entries, 0);
    setup.send(known("alice", "s-maxage=60")).await;
    assert!(setup.send(say("-")).await.is_hit(), "everybody's");

    let setup = setup_with(&Origin::new(answers), |cache| cache.private_per_subject(true));
    setup.send(known("alice", "private, max-age=60")).await;
    assert!(setup.send(known("alice", "-")).await.is_hit());
    assert!(!setup.send(known("bob", "private, max-age=60")).await.is_hit());
    assert!(!setup.send(say("no-store")).await.is_hit(), "a stranger");
    assert_eq!(setup.cache.stats().entries, 2);
}

#[tokio::test]
async fn what_is_not_for_others_is_not_stored() {
    for fields in [
        &[FRESH, ("set-cookie", "a=b")][..],
        &[FRESH, ("vary", "*")],
        &[("cache-control", "private, max-age=60")],
        &[("cache-control", "no-store, max-age=60")],
        &[("cache-control", "NO-CACHE")],
        &[],
    ] {
        let fields = fields.to_vec();
        let setup = setup(&Origin::new(move |_| ok(&fields, "x").response()));
        for _ in 0..2 {
            assert!(!setup.get("http://a/x").await.is_hit());
        }
        assert_eq!((setup.origin.calls(), setup.cache.stats().entries), (2, 0));
    }
}

#[tokio::test]
async fn odd_requests_go_past() {
    let setup = setup(&Origin::new(|_| ok(&[FRESH], "x").response()));
    setup.get("http://a/x").await;
    for fields in [
        ("content-length", "3"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("x-http-method-override", "DELETE"),
        ("x_http_method", "DELETE"),
        ("x-http_method-override", "DELETE"),
        ("x_original_url", "/y"),
        ("x-original-url", "/admin"),
        ("x-host", "evil"),
        ("x-http-host-override", "evil"),
        ("x-rewrite-uri", "/admin"),
        ("x-original-method", "DELETE"),
        ("x_forwarded_server", "evil"),
        ("x-original_host", "evil"),
        ("forwarded", "for=1.2.3.4;Host=evil"),
    ] {
        assert_eq!(setup.get_with("http://a/x", &[fields]).await.cache_status(), "rampart; fwd=bypass", "{fields:?}");
    }
    for forwarded in ["for=1.2.3.4;proto=http", "host", ""] {
        let got = setup.get_with("http://a/x", &[("forwarded", forwarded)]).await;
        assert!(got.is_hit(), "{forwarded} names no host");
    }
    for name in ["x-forwarded-host", "x-forwarded-server", "x-original-host", "x-envoy-original-path"] {
        assert!(!setup.get_with("http://a/x", &[(name, "evil")]).await.is_hit(), "{name} is keyed");
        assert!(setup.get_with("http://a/x", &[(name, "evil")]).await.is_hit(), "{name}");
    }
    let mut marked = request("GET", "http://a/x", &[]);
    marked.extensions_mut().insert(CacheBypass);
    assert_eq!(setup.send(marked).await.cache_status(), "rampart; fwd=bypass");
    let two_hosts = request("GET", "/x", &[("host", "a"), ("host", "b")]);
    assert_eq!(setup.send(two_hosts).await.cache_status(), "rampart; fwd=bypass");
    assert!(setup.get("http://a/x").await.is_hit());
}

/// RFC 9111 section 5.2.1.
#[tokio::test]
async fn clients_may_ask_for_more_and_the_origins_policy_does_not_listen() {
    let origin = || Origin::new(|_| ok(&[FRESH], "x").response());
    let shared = setup(&origin());
    let unavailable = shared.get_with("http://a/x", &[("cache-control", "only-if-cached")]).await;
    assert_eq!(unavailable.status, 504);
    // RFC 9211 section 2: a response that is made here, and of nothing stored, has no such field.
    assert_eq!(unavailable.field("cache-status"), None);
    shared.get("http://a/x").await;
    assert!(shared.get_with("http://a/x", &[("cache-control", "only-if-cached")]).await.is_hit());
    for fields in [("cache-control", "no-cache"), ("cache-control", "max-age=0"), ("pragma", "no-cache")] {
        let got = shared.get_with("http://a/x", &[fields]).await;
        assert_eq!(got.cache_status(), "rampart; fwd=request; stored", "{fields:?}");
    }
    let origins = setup_with(&origin(), |cache| cache.policy(Policy::Origin));
    origins.get("http://a/x").await;
    for value in ["no-cache", "max-age=0", "min-fresh=999", "no-store"] {
        assert!(origins.get_with("http://a/x", &[("cache-control", value)]).await.is_hit(), "{value}");
    }
}

/// RFC 9111 section 5.2.1.7: who takes nothing but what is stored gets nothing else, however odd the request is.
#[tokio::test]
async fn only_if_cached_does_not_go_on() {
    let origin = || Origin::new(|_| ok(&[FRESH], "x").response());
    let stored = ("cache-control", "only-if-cached");
    let odd = [
        ("if-match", "\"a\""),
        ("if-unmodified-since", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("x-http-method-override", "DELETE"),
        ("x-original-url", "/y"),
        ("content-length", "3"),
        ("forwarded", "host=evil"),
    ];
    for method in ["GET", "HEAD"] {
        let shared = setup(&origin());
        let origins = setup_with(&origin(), |cache| cache.policy(Policy::Origin));
        for field in odd {
            let asked = || request(method, "http://a/x", &[stored, field]);
            assert_eq!(shared.send(asked()).await.status, 504, "{method} {field:?}");
            assert_eq!(origins.send(asked()).await.status, 200, "{method} {field:?}: clients are not heard");
        }
        assert_eq!(shared.origin.calls(), 0, "{method}");
        // What a program sends past the cache goes past it.
        let mut marked = request(method, "http://a/x", &[stored]);
        marked.extensions_mut().insert(CacheBypass);
        assert_eq!(shared.send(marked).await.cache_status(), "rampart; fwd=bypass");
    }
    let shared = setup(&origin());
    assert_eq!(shared.send(request("POST", "http://a/x", &[stored, odd[0]])).await.status, 200);
}

/// A handler's exceptions from the security headers stand in the response's extensions, which a hit has not.
#[cfg(feature = "security-headers")]
#[tokio::test]
async fn what_has_headers_of_its_own_is_not_stored() {
    use tower_rampart::security_headers::HeaderOverrides;

    let setup = setup(&Origin::new(|_| {
        let mut response = ok(&[FRESH], "body").response();
        response.extensions_mut().insert(HeaderOverrides::new().remove(http::header::REFERRER_POLICY));
        response
    }));
    for _ in 0..2 {
        assert_eq!(setup.get("http://a/x").await.cache_status(), "rampart; fwd=uri-miss; detail=header-overrides");
    }
}

/// RFC 9110 section 14, RFC 9111 sections 3.3 and 3.4.
#[tokio::test]
async fn ranges() {
    let tag = ("etag", "\"a\"");
    let whole = setup(&Origin::new(move |_| ok(&[FRESH, tag], "0123456789").response()));
    whole.get("http://a/x").await;
    let part = whole.get_with("http://a/x", &[("range", "bytes=-3")]).await;
    assert_eq!(
        (part.status.as_u16(), &*part.body, part.field("content-range")),
        (206, &b"789"[..], Some("bytes 7-9/10"))
    );
    assert!(part.is_hit());

    let parts = setup(&Origin::new(move |request| match request.headers()["range"].to_str().unwrap() {
        "bytes=0-4" => status(206, &[FRESH, tag, ("content-range", "bytes 0-4/10")], "01234").response(),
        _ => status(206, &[FRESH, tag, ("content-range", "bytes 5-9/10")], "56789").response(),
    }));
    let get = async |range| parts.get_with("http://a/x", &[("range", range)]).await;
    get("bytes=0-4").await;
    assert!(get("bytes=0-4").await.is_hit());
    assert_eq!(get("bytes=1-2").await.body, "12");
    assert_eq!(parts.origin.calls(), 1);
    get("bytes=5-9").await;
    assert_eq!(get("bytes=3-7").await.body, "34567");
    let all = parts.get("http://a/x").await;
    assert_eq!((all.status.as_u16(), &*all.body, all.field("content-range")), (200, &b"0123456789"[..], None));
    assert_eq!((all.field("content-length"), parts.origin.calls()), (Some("10"), 2));
}

/// RFC 9110 section 15.3.7.3: a part that is all of it is the whole.
#[tokio::test]
async fn a_part_that_is_the_whole() {
    let all = || status(206, &[FRESH, ("content-range", "bytes 0-9/10")], "0123456789").response();
    let setup = setup(&Origin::new(move |_| all()));
    assert_eq!(setup.get_with("http://a/x", &[("range", "bytes=0-")]).await.status, 206);
    let got = setup.get("http://a/x").await;
    assert_eq!((got.is_hit(), got.status.as_u16(), &*got.body), (true, 200, &b"0123456789"[..]));
    assert_eq!((got.field("content-range"), got.field("content-length")), (None, Some("10")));
    let part = setup.get_with("http://a/x", &[("range", "bytes=8-")]).await;
    assert_eq!((part.is_hit(), part.status.as_u16(), &*part.body), (true, 206, &b"89"[..]));
}

/// A server that has got the trailers asks for nothing more.
#[tokio::test]
async fn trailers_are_the_end() {
    let trailers = http::HeaderMap::from_iter([(http::HeaderName::from_static("x-t"), "1".parse().unwrap())]);
    let setup = setup(&Origin::new(move |_| {
        let (feeder, body) = fed();
        feeder.send(Ok(Frame::data("body".into()))).unwrap();
        feeder.send(Ok(Frame::trailers(trailers.clone()))).unwrap();
        // It stays open, and does not say that it has ended.
        std::mem::forget(feeder);
        http::Response::builder().header(FRESH.0, FRESH.1).body(body).unwrap()
    }));
    let response = setup.service.clone().oneshot(request("GET", "http://a/x", &[])).await.unwrap();
    let mut body = Box::pin(response.into_body());
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "body");
    assert_eq!(body.frame().await.unwrap().unwrap().into_trailers().unwrap()["x-t"], "1");
    drop(body);
    let got = setup.get("http://a/x").await;
    assert_eq!((got.is_hit(), &*got.body, got.field("x-t")), (true, &b"body"[..], None));
}

#[tokio::test]
async fn too_long_is_passed_on_and_not_kept() {
    let origin = Origin::new(|_| ok(&[FRESH], "0123456789").response());
    let setup = setup_with(&origin, |cache| cache.entry_bytes(9));
    for _ in 0..2 {
        assert_eq!(setup.get("http://a/x").await.body, "0123456789");
    }
    assert_eq!((setup.origin.calls(), setup.cache.stats().entries), (2, 0));
    let told = Origin::new(|_| ok(&[FRESH, ("content-length", "10")], "0123456789").response());
    let setup = setup_with(&told, |cache| cache.entry_bytes(9));
    assert_eq!(setup.get("http://a/x").await.cache_status(), "rampart; fwd=uri-miss; detail=too-large");
}

#[tokio::test]
async fn a_wrong_length_is_not_kept() {
    let setup = setup(&Origin::new(|_| ok(&[FRESH, ("content-length", "10")], "012345").response()));
    for _ in 0..2 {
        assert_eq!(setup.get("http://a/x").await.body, "012345");
    }
    assert_eq!((setup.origin.calls(), setup.cache.stats().entries), (2, 0));
}

/// RFC 9112 section 6.3: `Transfer-Encoding` overrides `Content-Length`, which then says nothing.
#[tokio::test]
async fn a_length_beside_a_transfer_coding_is_none() {
    for length in ["3", "99", "99999999999"] {
        let fields = [FRESH, ("transfer-encoding", "chunked"), ("content-length", length)];
        let setup = setup(&Origin::new(move |_| ok(&fields, "body").response()));
        setup.get("http://a/x").await;
        let got = setup.get("http://a/x").await;
        assert_eq!((got.is_hit(), &*got.body, got.field("content-length")), (true, &b"body"[..], None), "{length}");
    }
    let post =
        ok(&[FRESH, ("content-location", "/x"), ("transfer-encoding", "chunked"), ("content-length", "3")], "made");
    let setup = setup(&Origin::new(move |_| post.response()));
    setup.send(request("POST", "http://a/x", &[])).await;
    assert_eq!(setup.get("http://a/x").await.body, "made");
    assert_eq!(setup.origin.calls(), 1);
}

#[tokio::test]
async fn routes_and_hints() {
    let origin = Origin::new(|request| {
        let mut response = ok(&[], "x").response();
        if request.uri().path() == "/hinted" {
            response.extensions_mut().insert(CacheHint::new().ttl(std::time::Duration::from_secs(5)).add_tag("t"));
        }
        response
    });
    let setup = setup_with(&origin, |cache| {
        cache
            .add_route("/bypassed", Route::bypass())
            .add_route("/told/**", Route::new().cache_control("max-age=9".parse().unwrap()).add_tag("told"))
            .add_route(
                "/keyed",
                Route::new()
                    .ttl(std::time::Duration::from_secs(9))
                    .add_key_part(|request| Some(request.headers().get("x-part")?.as_bytes().to_vec())),
            )
    });
    setup.get("http://a/hinted").await;
    assert_eq!(setup.get("http://a/hinted").await.cache_status(), "rampart; hit; ttl=5");
    setup.cache.purge_tag("t");
    assert!(!setup.get("http://a/hinted").await.is_hit());
    assert_eq!(setup.get("http://a/bypassed").await.cache_status(), "rampart; fwd=bypass");
    assert_eq!(setup.get("http://a/told/1").await.field("cache-control"), Some("max-age=9"));
    assert!(setup.get("http://a/told/1").await.is_hit());
    assert_eq!(setup.get("http://a/keyed").await.cache_status(), "rampart; fwd=bypass", "a part that is missing");
    for part in ["1", "2"] {
        assert!(!setup.get_with("http://a/keyed", &[("x-part", part)]).await.is_hit());
    }
    assert!(setup.get_with("http://a/keyed", &[("x-part", "1")]).await.is_hit());
    // What is found by more than its URI is invalidated by it all the same.
    setup.send(request("POST", "http://a/keyed", &[("x-part", "3")])).await;
    assert!(!setup.get_with("http://a/keyed", &[("x-part", "1")]).await.is_hit());
}

#[tokio::test]
async fn queries_as_told() {
    let origin = || Origin::new(|_| ok(&[FRESH], "x").response());
    let sorted = setup_with(&origin(), |cache| cache.sort_query().drop_query(["utm_*"]));
    sorted.get("http://a/x?b=1&a=2").await;
    assert!(sorted.get("http://a/x?a=2&b=1&utm_source=z").await.is_hit());
    assert!(!sorted.get("http://a/x?a=2&b=2").await.is_hit());
    let query = setup_with(&origin(), |cache| {
        cache.query_content(|request| Some(request.headers().get("x-digest")?.as_bytes().to_vec()))
    });
    let ask = |digest: &'static str| query.send(request("QUERY", "http://a/x", &[("x-digest", digest)]));
    ask("1").await;
    assert!(ask("1").await.is_hit());
    assert!(!ask("2").await.is_hit());
    let odd = query.send(request("QUERY", "http://a/x", &[("x-digest", "1"), ("x-original-url", "/y")])).await;
    assert_eq!(odd.cache_status(), "rampart; fwd=bypass");
    let long = query.send(request("QUERY", "http://a/x", &[("x-digest", "1"), ("content-length", "9")])).await;
    assert!(long.is_hit(), "its content is a part of the key");
    assert!(!query.get("http://a/x").await.is_hit());
}

#[tokio::test]
async fn tags_are_made_and_answer_conditions() {
    let origin = Origin::new(|_| ok(&[FRESH], "x").response());
    let setup = setup_with(&origin, |cache| cache.generate_etags(true));
    setup.get("http://a/x").await;
    let tag = setup.get("http://a/x").await.field("etag").unwrap().to_owned();
    let got = setup.get_with("http://a/x", &[("if-none-match", &tag)]).await;
    assert_eq!((got.status.as_u16(), &*got.body), (304, &b""[..]));
}

#[tokio::test]
async fn no_status_field_when_told() {
    let origin = Origin::new(|_| ok(&[FRESH], "x").response());
    let setup = setup_with(&origin, |cache| cache.status_name(None));
    for _ in 0..2 {
        assert_eq!(setup.get("http://a/x").await.field("cache-status"), None);
    }
    assert_eq!(setup.origin.calls(), 1);
}

#[tokio::test]
async fn grpc_is_left_alone() {
    let setup = setup(&Origin::new(|_| ok(&[FRESH], "x").response()));
    let got = setup.send(request("POST", "http://a/pkg.S/M", &[("content-type", "application/grpc")])).await;
    assert_eq!(got.field("cache-status"), None);
}

/// What an inner layer writes into requests chooses a variant that cannot be told apart here.
#[tokio::test]
async fn what_varies_by_something_unseen_is_not_stored() {
    let origin = |vary: &'static str| Origin::new(move |_| ok(&[FRESH, ("vary", vary)], "x").response());
    for (vary, is_stored) in [("x-auth-subject", false), ("via", false), ("via-x", true), ("x-authority", true)] {
        let setup = setup_with(&origin(vary), |cache| cache.written_inside(["x-auth-", "via"]));
        setup.get("http://a/x").await;
        assert_eq!(setup.get("http://a/x").await.is_hit(), is_stored, "{vary}");
    }
}

/// draft-ietf-httpbis-no-vary-search.
#[tokio::test]
async fn responses_say_which_parameters_matter() {
    let origin = || {
        Origin::new(|request| match request.uri().path() {
            "/x" => ok(&[FRESH, ("no-vary-search", "key-order, params=(\"utm\")")], "x").response(),
            _ => ok(&[FRESH, ("no-vary-search", "params")], "y").response(),
        })
    };
    let setup = setup_with(&origin(), |cache| cache.no_vary_search(true));
    setup.get("http://a/x?a=1&b=2&utm=3").await;
    assert!(setup.get("http://a/x?b=2&a=1").await.is_hit());
    assert!(!setup.get("http://a/x?b=2&a=2").await.is_hit());
    setup.get("http://a/y?a").await;
    assert!(setup.get("http://a/y").await.is_hit());
    assert!(!setup.get("http://b/y").await.is_hit(), "another origin's rule");
    assert!(setup.get("http://a/x?b=2&a=1").await.is_hit(), "another path's, too");
    setup.send(request("POST", "http://a/y?b", &[])).await;
    assert!(!setup.get("http://a/y").await.is_hit());
    let deaf = self::setup(&origin());
    deaf.get("http://a/y?a").await;
    assert!(!deaf.get("http://a/y?b").await.is_hit(), "only when it is wished");
}

/// A range that is not there is nobody else's answer.
#[tokio::test]
async fn an_answer_to_one_field_poisons_nothing() {
    let setup = setup(&Origin::new(|request| {
        if request.headers().contains_key("range") {
            return status(416, &[FRESH, ("content-range", "bytes */4")], "").response();
        }
        ok(&[FRESH, ("surrogate-key", "t")], "body").response()
    }));
    assert_eq!(setup.get_with("http://a/x", &[("range", "bytes=9-")]).await.status, 416);
    assert_eq!(setup.get("http://a/x").await.body, "body");
    let bypassed = setup.get_with("http://a/x", &[("if-match", "\"a\"")]).await;
    assert_eq!((bypassed.cache_status(), bypassed.field("surrogate-key")), ("rampart; fwd=request", None));
}

/// Fields come as slices of the buffer that a connection is read into; what is stored has its own bytes, and no more.
#[tokio::test]
async fn what_is_stored_keeps_no_connections_buffer() {
    use http_body_util::{Empty, Full};
    use hyper_util::rt::TokioIo;

    let (near, far) = tokio::io::duplex(1 << 16);
    let answers = hyper::service::service_fn(|_| async {
        let response = http::Response::builder().header(FRESH.0, FRESH.1).header("x-a", "one");
        response.body(Full::new(bytes::Bytes::from("body")))
    });
    tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(far), answers));
    let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(near)).await.unwrap();
    tokio::spawn(connection);
    let sender = std::sync::Arc::new(tokio::sync::Mutex::new(sender));
    let client = tower::service_fn(move |request: http::Request<Empty<bytes::Bytes>>| {
        let sender = std::sync::Arc::clone(&sender);
        async move { sender.lock().await.send_request(request).await }
    });
    let service = tower::ServiceBuilder::new().layer(tower_rampart::cache::Cache::builder().build().unwrap().layer());
    let service = service.service(client);
    let mut between = Vec::new();
    for _ in 0..2 {
        let request = http::Request::get("/x").header("host", "a").body(Empty::new()).unwrap();
        let (parts, body) = service.clone().oneshot(request).await.unwrap().into_parts();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "body");
        let at = |name| parts.headers[name].as_bytes().as_ptr() as usize;
        between.push(at("x-a") - at(FRESH.0) - FRESH.1.len());
    }
    assert_eq!(
        between,
        ["\r\nx-a: ".len(), 0],
        "a line ends between what came, and nothing stands between what is kept"
    );
}

/// A response that says nothing of its query is found by it as it came, where rules are heeded too.
#[tokio::test]
async fn a_response_without_a_rule_has_its_whole_query() {
    let setup = setup_with(&Origin::new(|_| ok(&[FRESH], "x").response()), |cache| cache.no_vary_search(true));
    for uri in ["http://a/x?a=1&b", "http://a/x?", "http://a/x", "http://a?q"] {
        assert!(!setup.get(uri).await.is_hit(), "{uri}");
        assert!(setup.get(uri).await.is_hit(), "{uri}");
    }
    assert!(setup.get("http://a/?q").await.is_hit(), "no path is the root");
}

/// Without anything that counts, a query is as good as none.
#[tokio::test]
async fn a_query_of_which_nothing_is_left() {
    let setup = setup_with(&Origin::new(|_| ok(&[FRESH], "x").response()), |cache| cache.drop_query(["utm_*"]));
    setup.get("http://a/x?utm_a=1").await;
    assert!(setup.get("http://a/x?utm_b=2").await.is_hit());
    assert!(setup.get("http://a/x").await.is_hit());
    assert!(!setup.get("http://a/x?").await.is_hit(), "an empty one is another target");
}

/// A key of the most bytes is one; a longer one goes past.
#[tokio::test]
async fn a_key_that_is_too_long_goes_past() {
    let setup = setup_with(&Origin::new(|_| ok(&[FRESH], "x").response()), |cache| cache.key_bytes(64));
    let target = |bytes: usize| format!("http://a/{}", "x".repeat(bytes));
    let longest = (1..64).take_while(|bytes| 9 + "a/".len() + bytes <= 64).last().unwrap();
    for (bytes, is_stored) in [(longest, true), (longest + 1, false)] {
        setup.get(&target(bytes)).await;
        let again = setup.get(&target(bytes)).await;
        assert_eq!(again.is_hit(), is_stored, "{bytes}: {}", again.cache_status());
    }
    assert_eq!(setup.get(&target(longest + 1)).await.cache_status(), "rampart; fwd=bypass");
}
