//! What is stored in part is completed by asking for the rest (RFC 9111 section 3.4).

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use http_body_util::BodyExt as _;
use proptest::prelude::*;
use tower::ServiceExt as _;

use crate::support::*;

const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// A content with a strong tag, whose origin knows ranges.
fn part_of(content: &str, tag: &str, request: &Request<()>) -> Response<Fed> {
    let holds = request.headers().get("if-range").is_none_or(|condition| condition.to_str().unwrap() == tag);
    let range = request.headers().get("range").filter(|_| holds).map(|range| range.to_str().unwrap().to_owned());
    let (mut from, mut to) = (0, content.len());
    if let Some(range) = &range {
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        if first.is_empty() {
            from = content.len().saturating_sub(last.parse().unwrap());
        } else {
            from = first.parse().unwrap();
            to = if last.is_empty() { to } else { to.min(last.parse::<usize>().unwrap() + 1) };
        }
    }
    let body = full(content[from..to].to_owned());
    let mut response = Response::builder().header(FRESH.0, FRESH.1).header("etag", tag);
    if range.is_some() {
        response = response.status(206).header("content-range", format!("bytes {from}-{}/{}", to - 1, content.len()));
    }
    // RFC 9110 section 15.3.7: what the client has, a 206 to a condition does not repeat.
    if range.is_none() || request.headers().get("if-range").is_none() {
        response = response.header("content-type", "text/plain");
    }
    response.header("content-length", (to - from).to_string()).body(body).unwrap()
}

fn digits() -> Origin {
    Origin::new(|request| part_of("0123456789", "\"a\"", request))
}

#[tokio::test]
async fn the_rest_is_asked_for_and_the_whole_is_answered() {
    for (stored, rest) in [("bytes=0-4", "bytes=5-"), ("bytes=-3", "bytes=0-6")] {
        let setup = setup(&digits());
        setup.get_with("http://a/x", &[("range", stored)]).await;
        let all = setup.get("http://a/x").await;
        assert_eq!((all.status.as_u16(), &*all.body), (200, &b"0123456789"[..]), "{stored}");
        assert_eq!(all.cache_status(), "rampart; fwd=partial; fwd-status=206; stored");
        assert_eq!((all.field("content-range"), all.field("content-length")), (None, Some("10")));
        assert_eq!(all.field("content-type"), Some("text/plain"), "as it is stored");
        let asked = setup.origin.asked(1);
        assert_eq!(asked["range"], rest);
        assert_eq!(asked["if-range"], "\"a\"");
        let hit = setup.get("http://a/x").await;
        assert_eq!((hit.is_hit(), &*hit.body, setup.origin.calls()), (true, &b"0123456789"[..], 2));
    }
}

#[tokio::test]
async fn a_range_is_completed_too() {
    let setup = setup(&digits());
    setup.get_with("http://a/x", &[("range", "bytes=2-4")]).await;
    let got = setup.get_with("http://a/x", &[("range", "bytes=3-7")]).await;
    assert_eq!(
        (got.status.as_u16(), &*got.body, got.field("content-range")),
        (206, &b"34567"[..], Some("bytes 3-7/10"))
    );
    assert_eq!(got.field("content-length"), Some("5"));
    assert_eq!(setup.origin.asked(1)["range"], "bytes=5-7");
    let got = setup.get_with("http://a/x", &[("range", "bytes=0-3")]).await;
    assert_eq!(got.body, "0123");
    assert_eq!(setup.origin.asked(2)["range"], "bytes=0-1");
    // What was asked for bit by bit is one part now.
    let got = setup.get_with("http://a/x", &[("range", "bytes=0-7")]).await;
    assert_eq!((got.is_hit(), &*got.body), (true, &b"01234567"[..]));
}

/// A stale part is as good as a fresh one, if the origin says that nothing has changed.
#[tokio::test]
async fn a_stale_part_is_completed_and_fresh_again() {
    let setup = setup(&digits());
    setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    setup.wait(100);
    assert_eq!(setup.get("http://a/x").await.body, "0123456789");
    assert_eq!(setup.origin.asked(1)["range"], "bytes=5-");
    assert!(setup.get("http://a/x").await.is_hit());
}

/// RFC 9110 section 13.1.5: what has changed is sent whole.
#[tokio::test]
async fn changed_content_is_never_mixed() {
    let version = Arc::new(Mutex::new(("0123456789", "\"a\"")));
    let told = Arc::clone(&version);
    let setup = setup(&Origin::new(move |request| {
        let (content, tag) = *told.lock().unwrap();
        part_of(content, tag, request)
    }));
    setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    *version.lock().unwrap() = ("abcdefghij", "\"b\"");
    let all = setup.get("http://a/x").await;
    assert_eq!((all.status.as_u16(), &*all.body, all.field("etag")), (200, &b"abcdefghij"[..], Some("\"b\"")));
    assert_eq!(all.cache_status(), "rampart; fwd=partial; stored");
    assert!(setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await.body == "abcde");
}

/// RFC 9110 section 8.8.1: a weak tag, or none, does not say that two parts are of the same bytes.
#[tokio::test]
async fn without_a_strong_tag_everything_is_asked_for() {
    for tag in [("etag", "W/\"a\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")] {
        let setup = setup(&Origin::new(move |request| match request.headers().get("range") {
            Some(_) => status(206, &[FRESH, tag, ("content-range", "bytes 0-4/10")], "01234").response(),
            None => ok(&[FRESH, tag], "0123456789").response(),
        }));
        setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
        assert_eq!(setup.get("http://a/x").await.body, "0123456789");
        assert!(!setup.origin.asked(1).contains_key("range"));
    }
}

/// What an origin must not answer is nobody's response, and nothing of that origin is pieced together for an hour.
#[tokio::test]
async fn an_answer_that_does_not_fit_is_refused() {
    let tag = ("etag", "\"a\"");
    for wrong in [
        status(206, &[FRESH, ("etag", "\"b\""), ("content-range", "bytes 5-9/10")], "fghij"),
        status(206, &[FRESH, tag, ("content-range", "bytes 6-9/10")], "6789"),
        status(206, &[FRESH, tag, ("content-range", "bytes 5-8/10")], "5678"),
        status(206, &[FRESH, tag, ("content-range", "bytes 5-9/11")], "56789"),
        status(206, &[FRESH, tag, ("content-range", "bytes 5-9/10"), ("content-encoding", "gzip")], "56789"),
        status(206, &[FRESH, tag, ("content-range", "bytes 5-9/10"), ("content-length", "6")], "56789"),
        status(206, &[FRESH, tag], "56789"),
        status(416, &[tag, ("content-range", "bytes */5")], ""),
        status(304, &[tag], ""),
    ] {
        let told = wrong.clone();
        let setup = setup(&Origin::new(move |request| match request.headers().get("range") {
            Some(range) if range == "bytes=0-4" => {
                status(206, &[FRESH, tag, ("content-range", "bytes 0-4/10")], "01234").response()
            }
            Some(_) => told.response(),
            None => ok(&[FRESH, tag], "0123456789").response(),
        }));
        setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
        assert_eq!(setup.get("http://a/x").await.status, 502, "{wrong:?}");
        assert_eq!(setup.get("http://a/x").await.body, "0123456789", "{wrong:?}");
        // Whatever its query is.
        setup.get_with("http://a/x?y", &[("range", "bytes=0-4")]).await;
        assert_eq!(setup.get("http://a/x?y").await.body, "0123456789", "{wrong:?}");
        setup.get_with("http://a/x?z", &[("range", "bytes=0-4")]).await;
        setup.wait(3601);
        assert_eq!(setup.get("http://a/x?z").await.status, 502, "{wrong:?}");
    }
}

/// One odd resource says nothing of the others; several of them do.
#[tokio::test]
async fn an_origin_of_many_odd_resources_completes_nothing() {
    let tag = ("etag", "\"a\"");
    let setup = setup(&Origin::new(move |request| match request.headers().get("range") {
        Some(range) if range == "bytes=0-4" => {
            status(206, &[FRESH, tag, ("content-range", "bytes 0-4/10")], "01234").response()
        }
        Some(_) if request.uri().path().starts_with("/odd") => status(416, &[tag], "").response(),
        Some(_) => status(206, &[FRESH, tag, ("content-range", "bytes 5-9/10")], "56789").response(),
        None => ok(&[FRESH, tag], "0123456789").response(),
    }));
    let completes = async |uri: &str| {
        setup.get_with(uri, &[("range", "bytes=0-4")]).await;
        setup.get(uri).await.cache_status().starts_with("rampart; fwd=partial; fwd-status=206")
    };
    for n in 0..8 {
        for _ in 0..2 {
            assert!(completes(&format!("http://a/good{n}")).await, "{n}");
            setup.cache.purge_path(&format!("/good{n}"));
        }
        // One that is odd twice within the hour counts once.
        for query in ["", "?again"] {
            completes(&format!("http://a/odd{n}{query}")).await;
        }
    }
    assert!(!completes("http://a/good").await);
    assert!(completes("http://b/good").await, "another origin");
    setup.wait(3601);
    assert!(completes("http://a/good9").await);
}

/// RFC 9111 sections 3.3 and 4: a fresh part answers a range where the whole is stale and cannot be asked about.
#[tokio::test]
async fn a_fresh_part_answers_beside_a_stale_whole() {
    let setup = setup(&Origin::new(move |request| match request.headers().get("range") {
        Some(_) => status(206, &[FRESH, ("content-range", "bytes 2-4/10")], "234").response(),
        None => ok(&[("cache-control", "max-age=1")], "0123456789").response(),
    }));
    setup.get("http://a/x").await;
    setup.wait(2);
    let range = [("range", "bytes=2-4")];
    assert_eq!(setup.get_with("http://a/x", &range).await.body, "234");
    let got = setup.get_with("http://a/x", &range).await;
    assert_eq!((got.is_hit(), &*got.body), (true, &b"234"[..]));
    assert!(!setup.get_with("http://a/x", &[("range", "bytes=5-6")]).await.is_hit());
    assert!(!setup.get("http://a/x").await.is_hit());
}

/// RFC 9112 section 6.3: a length beside a transfer coding says nothing of the rest either.
#[tokio::test]
async fn a_rest_in_chunks_fits() {
    let tag = ("etag", "\"a\"");
    let setup = setup(&Origin::new(move |request| match request.headers()["range"].to_str().unwrap() {
        "bytes=0-4" => status(206, &[FRESH, tag, ("content-range", "bytes 0-4/10")], "01234").response(),
        _ => {
            let coded = [("transfer-encoding", "chunked"), ("content-length", "99")];
            status(206, &[&[FRESH, tag, ("content-range", "bytes 5-9/10")][..], &coded].concat(), "56789").response()
        }
    }));
    setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    assert_eq!(setup.get("http://a/x").await.body, "0123456789");
    let hit = setup.get("http://a/x").await;
    assert_eq!((hit.is_hit(), hit.field("content-length")), (true, Some("10")));
}

/// RFC 9110 section 15.3.7: a part says itself which one it is, so whoever asked for one may get another.
#[tokio::test]
async fn who_asks_for_a_range_is_never_refused() {
    let tag = ("etag", "\"a\"");
    // It knows ranges, and nothing of `If-Range`.
    let version = Arc::new(Mutex::new(("0123456789", "\"a\"")));
    let told = Arc::clone(&version);
    let changing = setup(&Origin::new(move |request| {
        let (content, tag) = *told.lock().unwrap();
        let mut request = request.clone();
        request.headers_mut().remove("if-range");
        part_of(content, tag, &request)
    }));
    changing.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    *version.lock().unwrap() = ("abcdefghij", "\"b\"");
    let got = changing.get_with("http://a/x", &[("range", "bytes=3-7")]).await;
    assert_eq!((got.status.as_u16(), &*got.body, got.field("content-range")), (206, &b"fgh"[..], Some("bytes 5-7/10")));

    // It sends five bytes, whatever it is asked for.
    let short = setup(&Origin::new(move |request| {
        let Some(range) = request.headers().get("range") else { return ok(&[FRESH, tag], "0123456789").response() };
        let from: usize = range.to_str().unwrap()[6..].split_once('-').unwrap().0.parse().unwrap();
        let to = (from + 5).min(10);
        let range = format!("bytes {from}-{}/10", to - 1);
        let body = &"0123456789"[from..to];
        status(206, &[FRESH, tag, ("content-range", &range)], body).response()
    }));
    short.get_with("http://a/x", &[("range", "bytes=0-")]).await;
    let got = short.get_with("http://a/x", &[("range", "bytes=3-")]).await;
    assert_eq!(
        (got.status.as_u16(), &*got.body, got.field("content-range")),
        (206, &b"3456789"[..], Some("bytes 3-9/10"))
    );
    assert_eq!(short.origin.asked(1)["range"], "bytes=5-");
    // What it sent was less than it was asked for, so the whole is not pieced together of it.
    let other = setup(&short.origin);
    other.get_with("http://a/x", &[("range", "bytes=0-")]).await;
    assert_eq!(other.get("http://a/x").await.status, 200);
    assert!(!short.origin.asked(short.origin.calls() - 1).contains_key("range"));
}

/// A rest that is longer or shorter than it says would stand in the wrong place.
#[tokio::test]
async fn a_rest_of_another_length_is_never_taken_for_the_whole() {
    let tag = ("etag", "\"a\"");
    for frames in [&["0123x"][..], &["0123", "x"], &["012"], &[]] {
        let setup = setup(&Origin::new(move |request| {
            if request.headers()["range"] == "bytes=4-" {
                return status(206, &[FRESH, tag, ("content-range", "bytes 4-9/10")], "456789").response();
            }
            let (feeder, body) = fed();
            for frame in frames {
                feeder.send(Ok(Frame::data(Bytes::from(*frame)))).unwrap();
            }
            status(206, &[FRESH, tag, ("content-range", "bytes 0-3/10")], "").response().map(|_| body)
        }));
        setup.get_with("http://a/x", &[("range", "bytes=4-")]).await;
        // Nothing of it is stored, so it is so again.
        for _ in 0..2 {
            let response = setup.service.clone().oneshot(request("GET", "http://a/x", &[])).await.unwrap();
            assert!(response.into_body().collect().await.is_err(), "{frames:?}");
        }
        assert!(setup.get_with("http://a/x", &[("range", "bytes=4-")]).await.is_hit(), "{frames:?}");
    }
}

/// RFC 9110 section 15.3.7: a part that answers `If-Range` has too few fields to become anybody else's.
#[tokio::test]
async fn a_part_without_its_fields_is_for_who_asked() {
    let setup = setup(&digits());
    setup.get_with("http://a/x", &[("range", "bytes=5-"), ("if-range", "\"a\"")]).await;
    let all = setup.get("http://a/x").await;
    assert_eq!((&*all.body, all.field("content-type")), (&b"0123456789"[..], Some("text/plain")));
    assert!(!setup.origin.asked(1).contains_key("range"));
}

/// What is pieced together is purged with each of its pieces; digests were of the pieces (RFC 9530 section 2).
#[tokio::test]
async fn tags_stay_and_digests_go() {
    let tag = ("etag", "\"a\"");
    let digest = ("content-digest", "sha-256=:AAAA:");
    for second in ["bytes=5-", "none"] {
        let setup = setup(&Origin::new(move |request| match request.headers()["range"].to_str().unwrap() {
            "bytes=0-4" => {
                let fields = [FRESH, tag, digest, ("cache-tag", "t"), ("content-range", "bytes 0-4/10")];
                status(206, &fields, "01234").response()
            }
            _ => status(206, &[FRESH, tag, digest, ("content-range", "bytes 5-9/10")], "56789").response(),
        }));
        setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
        if second != "none" {
            setup.get_with("http://a/x", &[("range", second)]).await;
        }
        let all = setup.get("http://a/x").await;
        assert_eq!((&*all.body, all.field("content-digest")), (&b"0123456789"[..], None), "{second}");
        setup.cache.purge_tag("t");
        let again = setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
        assert!(!again.is_hit(), "{second}");
    }
    let whole = setup(&Origin::new(move |_| ok(&[FRESH, tag, digest], "0123456789").response()));
    assert!(whole.get("http://a/x").await.field("content-digest").is_some());
    assert_eq!(whole.get_with("http://a/x", &[("range", "bytes=0-4")]).await.field("content-digest"), None);
}

/// Of several parts the one that has the range answers, and a HEAD's answer is not compared with a part.
#[tokio::test]
async fn parts_side_by_side() {
    let setup = setup(&Origin::new(|request| part_of("0123456789", "\"a\"", request)));
    setup.get_with("http://a/x", &[("range", "bytes=0-1")]).await;
    setup.wait(1);
    setup.get_with("http://a/x", &[("range", "bytes=8-")]).await;
    for range in ["bytes=0-1", "bytes=8-9"] {
        assert!(setup.get_with("http://a/x", &[("range", range)]).await.is_hit(), "{range}");
    }
    // Nor does a client that wants nothing stored take it from the others.
    setup.get_with("http://a/x", &[("range", "bytes=4-5"), ("cache-control", "no-store")]).await;
    assert!(setup.get_with("http://a/x", &[("range", "bytes=8-9")]).await.is_hit());
}

#[tokio::test]
async fn what_goes_wrong_elsewhere_passes_and_the_part_stays() {
    let answers = [
        status(206, &[FRESH, ("etag", "\"a\""), ("content-range", "bytes 0-4/10")], "01234"),
        status(503, &[], "later"),
        status(206, &[FRESH, ("etag", "\"a\""), ("content-range", "bytes 5-9/10")], "56789"),
    ];
    let setup = setup(&Origin::in_turn(answers));
    setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    assert_eq!(setup.get("http://a/x").await.status, 503);
    assert!(setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await.is_hit());
    assert_eq!(setup.get("http://a/x").await.body, "0123456789");
}

/// Who asks for something else gets what the origin says, and not what is pieced together.
#[tokio::test]
async fn other_requests_go_on_as_they_are() {
    for fields in [
        &[("cache-control", "no-cache")][..],
        &[("cache-control", "no-store")],
        &[("if-none-match", "\"b\"")],
        &[("range", "bytes=0-1,6-7")],
        &[("range", "bytes=7-")],
        &[("range", "bytes=0-7"), ("if-range", "\"a\"")],
    ] {
        let setup = setup(&Origin::new(|request| match request.headers().get("range") {
            Some(range) if range == "bytes=0-4" => {
                status(206, &[FRESH, ("etag", "\"a\""), ("content-range", "bytes 0-4/10")], "01234").response()
            }
            _ => ok(&[FRESH, ("etag", "\"b\"")], "abcdefghij").response(),
        }));
        setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
        setup.get_with("http://a/x", fields).await;
        let asked = setup.origin.asked(1);
        for name in ["range", "if-range"] {
            let sent = fields.iter().find(|(field, _)| *field == name).map(|(_, value)| *value);
            assert_eq!(asked.get(name).map(|value| value.to_str().unwrap()), sent, "{fields:?}");
        }
    }
}

/// A body that breaks off is broken for whoever reads it, and completes nothing.
#[tokio::test]
async fn a_rest_that_breaks_off() {
    let feeders = Arc::new(Mutex::new(Vec::new()));
    let made = Arc::clone(&feeders);
    let setup = setup(&Origin::new(move |request| {
        let response = part_of("0123456789", "\"a\"", request);
        if request.headers()["range"] == "bytes=0-4" {
            return response;
        }
        let (feeder, body) = fed();
        made.lock().unwrap().push(feeder);
        response.map(|_| body)
    }));
    setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    for fails in [true, false] {
        let response = setup.service.clone().oneshot(request("GET", "http://a/x", &[])).await.unwrap();
        let mut body = response.into_body();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "01234", "what is there comes at once");
        let feeder = feeders.lock().unwrap().pop().unwrap();
        feeder.send(Ok(Frame::data(Bytes::from("56")))).unwrap();
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "56");
        if fails {
            feeder.send(Err(Torn)).unwrap();
            assert!(body.frame().await.unwrap().is_err());
        } else {
            feeder.send(Ok(Frame::data(Bytes::from("789")))).unwrap();
            drop(feeder);
            assert_eq!(body.collect().await.unwrap().to_bytes(), "789");
        }
    }
    assert!(setup.get("http://a/x").await.is_hit());
    assert_eq!(setup.origin.calls(), 3);
}

/// Those who ask at the same time share what is pieced together.
#[tokio::test]
async fn a_herd_asks_for_the_rest_once() {
    let (origin, gate) = digits().gated();
    gate.add_permits(1);
    let setup = setup(&origin);
    setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    let herd: Vec<_> =
        (0..20).map(|_| tokio::spawn(setup.service.clone().oneshot(request("GET", "http://a/x", &[])))).collect();
    settled().await;
    gate.add_permits(1);
    for one in herd {
        assert_eq!(collect(one.await.unwrap().unwrap()).await.body, "0123456789");
    }
    assert_eq!(setup.origin.calls(), 2);
}

#[tokio::test]
async fn a_part_that_was_purged_is_not_used() {
    let setup = setup(&digits());
    setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
    setup.cache.purge_all();
    assert_eq!(setup.get("http://a/x").await.body, "0123456789");
    assert!(!setup.origin.asked(1).contains_key("range"));
}

/// What may not be stored any more is pieced together for this one request.
#[tokio::test]
async fn a_rest_that_is_not_to_be_stored() {
    let answers = [
        status(206, &[FRESH, ("etag", "\"a\""), ("content-range", "bytes 5-9/10")], "56789"),
        status(206, &[("cache-control", "no-store"), ("etag", "\"a\""), ("content-range", "bytes 0-4/10")], "01234"),
    ];
    let setup = setup(&Origin::in_turn(answers));
    setup.get_with("http://a/x", &[("range", "bytes=5-")]).await;
    let all = setup.get("http://a/x").await;
    assert_eq!((all.status.as_u16(), &*all.body, all.field("content-length")), (200, &b"0123456789"[..], Some("10")));
    assert!(all.cache_status().contains("fwd=partial; fwd-status=206; detail=no-store"), "{}", all.cache_status());
}

#[derive(Debug, Clone)]
enum Act {
    Get,
    Range(usize, usize),
    Last(usize),
    Change,
    Wait,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Get),
        6 => (0..30_usize, 1..30_usize).prop_map(|(from, length)| Act::Range(from, from + length - 1)),
        2 => (1..30_usize).prop_map(Act::Last),
        1 => Just(Act::Change),
        1 => Just(Act::Wait),
    ]
}

fn content(version: usize) -> String {
    (0..30).map(|at| char::from(b'a' + u8::try_from((at * 7 + version * 11) % 26).unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is asked for in whatever order: each answer is of one version, and is what its own fields say it is.
    #[test]
    fn an_answer_is_of_one_version(acts in proptest::collection::vec(act(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let version = Arc::new(Mutex::new(0_usize));
            let told = Arc::clone(&version);
            let setup = setup(&Origin::new(move |request| {
                let version = *told.lock().unwrap();
                part_of(&content(version), &format!("\"{version}\""), request)
            }));
            for act in acts {
                let range = match act {
                    Act::Change => { *version.lock().unwrap() += 1; continue }
                    Act::Wait => { setup.wait(61); continue }
                    Act::Get => None,
                    Act::Range(from, to) => Some(format!("bytes={from}-{to}")),
                    Act::Last(length) => Some(format!("bytes=-{length}")),
                };
                let fields: Vec<_> = range.iter().map(|range| ("range", range.as_str())).collect();
                let got = setup.get_with("http://a/x", &fields).await;
                let of: usize = got.field("etag").unwrap().trim_matches('"').parse().unwrap();
                let all = content(of);
                let (from, to) = match got.field("content-range") {
                    None => (0, 30),
                    Some(range) => {
                        let (from, to) = range.strip_prefix("bytes ").unwrap().strip_suffix("/30").unwrap().split_once('-').unwrap();
                        (from.parse::<usize>().unwrap(), to.parse::<usize>().unwrap() + 1)
                    }
                };
                prop_assert_eq!(got.status.as_u16(), if got.field("content-range").is_some() { 206 } else { 200 });
                prop_assert_eq!(&*got.body, &all.as_bytes()[from..to]);
                if let (Act::Range(first, last), 206) = (&act, got.status.as_u16()) {
                    prop_assert_eq!((from, to), (*first, 30.min(last + 1)));
                }
                prop_assert_eq!(got.field("content-length").map(|length| length.parse::<usize>().unwrap()), Some(to - from));
            }
            Ok(())
        })?;
    }
}

/// What is completed is the part that leaves the least to ask for, whichever came first.
#[tokio::test]
async fn the_part_that_leaves_the_least_is_completed() {
    for ranges in [["bytes=0-1", "bytes=4-9"], ["bytes=4-9", "bytes=0-1"]] {
        let origin = Origin::new(|request| part_of("0123456789", "\"a\"", request));
        let setup = setup(&origin);
        for range in ranges {
            setup.get_with("http://a/x", &[("range", range)]).await;
            setup.wait(1);
        }
        let got = setup.get_with("http://a/x", &[("range", "bytes=0-9")]).await;
        assert_eq!((&*got.body, &origin.asked(2)["range"]), (&b"0123456789"[..], &"bytes=0-3".parse().unwrap()));
    }
}

/// Parts of one coding are put together; of what came without a word of it, the same is meant.
#[tokio::test]
async fn parts_of_one_coding() {
    for (second, is_completed) in [(Some("gzip"), true), (None, true), (Some("br"), false)] {
        let origin = Origin::new(move |request| {
            let mut response = part_of("0123456789", "\"a\"", request);
            let is_first = request.headers().get("range").is_some_and(|range| range == "bytes=0-4");
            if let Some(coding) = if is_first { Some("gzip") } else { second } {
                response.headers_mut().insert("content-encoding", coding.parse().unwrap());
            }
            response
        });
        let setup = setup(&origin);
        setup.get_with("http://a/x", &[("range", "bytes=0-4")]).await;
        let got = setup.get_with("http://a/x", &[("range", "bytes=0-9")]).await;
        let expected = if is_completed {
            ("rampart; fwd=partial; fwd-status=206; stored", "0123456789")
        } else {
            ("rampart; fwd=partial; stored", "56789")
        };
        assert_eq!(
            (got.cache_status(), &*got.body, origin.calls()),
            (expected.0, expected.1.as_bytes(), 2),
            "{second:?}"
        );
    }
}
