//! What the store may hold, and what counts.

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Frame;
use tower::Service as _;
use tower_rampart::Identity;

use crate::support::{Fed, Origin, fed, full, ok, request, setup, setup_with};

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// What one response weighs.
async fn weight(answer: impl Fn() -> Response<Fed> + Send + Sync + 'static, field: &str) -> u64 {
    let setup = setup(&Origin::new(move |_| answer()));
    setup.get_with("http://a/x", &[("x-a", field)]).await;
    assert_eq!(setup.cache.stats().entries, 1);
    setup.cache.stats().bytes
}

fn long(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[tokio::test]
async fn bodies_fields_variants_tags_and_trailers_count() {
    let plain = weight(|| ok(&[FRESH], "").response(), "").await;
    let with_body = weight(|| Response::builder().header(FRESH.0, FRESH.1).body(full(long(5000))).unwrap(), "").await;
    assert_eq!(with_body - plain, 5000);
    let with_field = weight(|| ok(&[FRESH, ("x-b", &long(5000))], "").response(), "").await;
    assert!((5003..5300).contains(&(with_field - plain)), "its own structures count too: {}", with_field - plain);
    let many: Vec<_> = (0..30).map(|n| format!("v{n}")).collect();
    let with_lines = weight(
        move || {
            let lines = many.iter().fold(Response::builder(), |response, value| response.header("x-b", value));
            lines.header(FRESH.0, FRESH.1).body(full("")).unwrap()
        },
        "",
    )
    .await;
    assert!(with_lines - plain > 30 * 100, "thirty lines are no line of ninety bytes: {}", with_lines - plain);
    let varied = weight(|| ok(&[FRESH, ("vary", "x-a")], "").response(), "").await;
    let by_long = weight(|| ok(&[FRESH, ("vary", "x-a")], "").response(), &long(500)).await;
    assert!(by_long - varied >= 500, "{}", by_long - varied);
    let tags: String = (0..60).map(|n| format!("tag-{n} ")).collect();
    let tagged = weight(move || ok(&[FRESH, ("surrogate-key", &tags)], "").response(), "").await;
    assert!(tagged - plain >= 60 * 8, "{}", tagged - plain);
    let trailed = weight(
        || {
            let (feeder, body) = fed();
            let trailers = HeaderMap::from_iter([("x-t".parse().unwrap(), HeaderValue::try_from(long(500)).unwrap())]);
            feeder.send(Ok(Frame::data(Bytes::from_static(b"x")))).unwrap();
            feeder.send(Ok(Frame::trailers(trailers))).unwrap();
            Response::builder().header(FRESH.0, FRESH.1).body(body).unwrap()
        },
        "",
    )
    .await;
    assert!(trailed - plain >= 504, "{}", trailed - plain);
}

/// Many small responses, and few large ones: the bound is one of bytes.
#[tokio::test]
async fn no_more_is_held_than_there_is_room_for() {
    const ROOM: u64 = 256 << 10;
    for (body_bytes, most) in [(0, 256), (8 << 10, 32)] {
        let answer = move |_: &http::Request<()>| {
            Response::builder().header(FRESH.0, FRESH.1).body(full(long(body_bytes))).unwrap()
        };
        let setup = setup_with(&Origin::new(answer), |cache| cache.bytes(ROOM).entry_bytes(16 << 10));
        for n in 0..1000 {
            setup.get(&format!("http://a/{n}")).await;
            assert!(setup.cache.stats().bytes <= ROOM);
        }
        let stats = setup.cache.stats();
        assert!((most / 4..=most).contains(&stats.entries), "{} of {body_bytes} bytes", stats.entries);
        assert!(stats.bytes > ROOM / 4, "{}", stats.bytes);
    }
}

/// Variants of one resource are held under one key, and count as much.
#[tokio::test]
async fn variants_count_one_by_one() {
    let origin = Origin::new(|_| ok(&[FRESH, ("vary", "x-a")], "body").response());
    let setup = setup(&origin);
    let mut bytes = Vec::new();
    for n in 0..4 {
        setup.get_with("http://a/x", &[("x-a", &n.to_string())]).await;
        bytes.push(setup.cache.stats().bytes);
    }
    let steps: Vec<_> = bytes.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(steps.iter().all(|step| *step == steps[0] && *step > 1000), "{bytes:?}");
}

/// What one client's revalidation ends is its own variant.
#[tokio::test]
async fn a_variant_that_goes_leaves_the_others() {
    let origin = Origin::new(|request| {
        if request.headers().contains_key("if-none-match") {
            return ok(&[("cache-control", "no-store"), ("vary", "x-a")], "new").response();
        }
        let says = if request.headers()["x-a"] == "1" { "max-age=1" } else { "max-age=60" };
        ok(&[("cache-control", says), ("vary", "x-a"), ("etag", "\"a\"")], "old").response()
    });
    let setup = setup(&origin);
    for n in ["1", "2"] {
        setup.get_with("http://a/x", &[("x-a", n)]).await;
    }
    setup.hand.advance(std::time::Duration::from_secs(2));
    assert_eq!(setup.get_with("http://a/x", &[("x-a", "1")]).await.body, "new");
    assert_eq!(setup.cache.stats().entries, 1);
    let other = setup.get_with("http://a/x", &[("x-a", "2")]).await;
    assert!(other.is_hit() && other.body == "old");
}

/// RFC 9110 section 15.4.5: of what a 304 repeats, `Last-Modified` only where there is no tag.
#[tokio::test]
async fn a_304_says_what_the_client_knows_its_copy_by() {
    let modified = ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT");
    for (fields, condition, expected) in [
        (vec![FRESH, modified], ("if-modified-since", modified.1), true),
        (vec![FRESH, modified, ("etag", "\"a\"")], ("if-none-match", "\"a\""), false),
    ] {
        let setup = setup(&Origin::in_turn([ok(&fields, "body")]));
        setup.get("http://a/x").await;
        let told = setup.get_with("http://a/x", &[condition]).await;
        assert_eq!((told.status.as_u16(), told.headers.contains_key("last-modified")), (304, expected));
    }
}

/// However a request comes to its key, and however long the body is.
#[tokio::test]
async fn a_hit_allocates_four_times_at_most() {
    let forwarded = [("x-forwarded-host", "example.org"), ("x-forwarded-proto", "https"), ("x-forwarded-port", "443")];
    for (fields, is_known, most) in [(&[][..], false, 2), (&forwarded, false, 3), (&[], true, 3), (&forwarded, true, 4)]
    {
        for bytes in [1, 100_000] {
            let answer =
                move |_: &Request<()>| ok(&[FRESH, ("vary", "accept")], "x").response().map(|_| full(long(bytes)));
            let setup = setup_with(&Origin::new(answer), |cache| cache.private_per_subject(true));
            let ask = || {
                let mut request =
                    request("GET", "/v1/polls?limit=10", &[fields, &[("host", "a"), ("accept", "*")]].concat());
                if is_known {
                    request.extensions_mut().insert(Identity::new("https://issuer.example", "alice"));
                }
                request
            };
            // What is written once, at the first hit, is there.
            for _ in 0..3 {
                setup.send(ask()).await;
            }
            let (mut service, asked) = (setup.service.clone(), ask());
            let mut answer = None;
            let counted = allocation_counter::measure(|| answer = service.call(asked).now_or_never());
            let response = answer.unwrap().unwrap();
            assert!(response.headers()["cache-status"].to_str().unwrap().contains("hit"));
            assert!(counted.count_total <= most, "{fields:?} {is_known} {bytes}: {}", counted.count_total);
        }
    }
}
