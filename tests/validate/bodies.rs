//! Content types, lengths, times, and what the inner service gets.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Method, Request};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use proptest::prelude::*;
use tower_rampart::Clock;
use tower_rampart::validate::{Check, Limits, Route, UnknownPaths, Validate};

use crate::support::{get, harden, json, pieces, post, send, sending};

/// RFC 9110 section 8.3: there is one, it can be read, and what it says is taken.
#[test]
fn a_body_says_what_it_is() {
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; a=\"; charset=latin1\"; charset=utf-8",
        "application/problem+json",
        "image/png",
        "application/grpc",
    ] {
        assert_eq!(send(&harden(), post(content_type, "{}")).status, 200, "{content_type}");
    }
    for content_type in
        ["", "json", "application/", "/json", "application/json; charset=latin1", "a b/c", "text/plain; charset=utf-16"]
    {
        let answer = send(&harden(), post(content_type, "{}"));
        assert_eq!((answer.status, answer.error().0.as_str()), (415, "content-type"), "{content_type}");
    }
    let mut none = json("{}");
    none.headers_mut().remove("content-type");
    assert_eq!(send(&harden(), none).status, 415);
    // No body, no type.
    assert_eq!(send(&harden(), get("/")).status, 200);
    let images = Validate::new()
        .content_types(["image/*".parse().unwrap(), "application/*+json".parse().unwrap()])
        .build()
        .unwrap();
    for (content_type, status) in
        [("image/png", 200), ("text/plain", 415), ("application/json", 415), ("application/x+json", 200)]
    {
        assert_eq!(send(&images, post(content_type, "{}")).status, status, "{content_type}");
    }
}

#[test]
fn encodings_are_those_that_are_taken() {
    let encoded = |encoding: &str| {
        let mut request = json("{}");
        request.headers_mut().insert("content-encoding", encoding.parse().unwrap());
        request
    };
    assert_eq!(send(&harden(), encoded("identity")).status, 200);
    for encoding in ["gzip", "gzip, identity", "br", "x"] {
        let answer = send(&harden(), encoded(encoding));
        assert_eq!((answer.status, answer.error().0.as_str()), (415, "content-encoding"), "{encoding}");
    }
    let zstd = Validate::new().content_encodings(["zstd"]).build().unwrap();
    assert_eq!(send(&zstd, encoded("zstd")).status, 415, "what is read is what can be decoded");
    let mut image = post("image/png", "x");
    image.headers_mut().insert("content-encoding", "zstd".parse().unwrap());
    assert_eq!(send(&zstd, image).status, 200, "what streams through may be encoded");
    assert_eq!(send(&zstd, encoded("zstd, br")).status, 415);
}

fn small() -> Validate {
    Validate::new().limits(Limits::new().body_bytes(10))
}

/// RFC 9110 section 15.5.14; and section 10.1.1: refused before the body is asked for.
#[test]
fn a_body_that_says_it_is_too_long_is_not_read() {
    let layer = small().build().unwrap();
    let untouched = StreamBody::new(futures_util::stream::poll_fn(
        |_| -> std::task::Poll<Option<Result<Frame<Bytes>, Infallible>>> { panic!("the body was asked for") },
    ));
    let request = Request::post("/")
        .header("content-type", "application/json")
        .header("content-length", "11")
        .header("expect", "100-continue")
        .body(untouched)
        .unwrap();
    let answer = send(&layer, request);
    assert_eq!((answer.status, answer.error().0.as_str()), (413, "body-bytes"));
}

#[test]
fn a_body_that_turns_out_too_long_is_refused_read_or_streaming() {
    let layer = small().build().unwrap();
    let of = |content_type: &str, parts: &[&'static str]| {
        let parts = parts.iter().map(|part| Bytes::from_static(part.as_bytes())).collect();
        let request = Request::post("/").header("content-type", content_type).body(pieces(parts)).unwrap();
        send(&layer, request)
    };
    for content_type in ["application/json", "image/png"] {
        assert_eq!(of(content_type, &["[1,", "2,3,4", "]"]).status, 200, "{content_type}");
        let answer = of(content_type, &["[1,", "2,3,4", ",5]"]);
        assert_eq!((answer.status, answer.error().0.as_str()), (413, "body-bytes"), "{content_type}");
    }
}

/// Servers see to it that nothing comes where nothing was said to come. Where one does not, nothing comes unseen.
#[test]
fn a_body_that_says_it_is_empty_is() {
    let empty = |parts: Vec<Bytes>| {
        let request = Request::post("/").header("content-type", "application/json").header("content-length", "0");
        send(&small().build().unwrap(), request.body(pieces(parts)).unwrap()).status
    };
    assert_eq!((empty(vec![]), empty(vec![Bytes::new()])), (200, 200));
    assert_eq!(empty(vec![Bytes::from_static(b"[1,")]), 413);
}

#[test]
fn a_body_over_the_limit_that_is_only_reported_goes_on_whole() {
    let layer = small().report(Check::BodyBytes).build().unwrap();
    for content_type in ["application/json", "image/png"] {
        let parts = vec![Bytes::from_static(b"[1,2,"), Bytes::from_static(b"3,4,5,"), Bytes::from_static(b"6]")];
        let request = Request::post("/").header("content-type", content_type).body(pieces(parts)).unwrap();
        let answer = send(&layer, request);
        assert_eq!((answer.status, &answer.body[..]), (200, &b"[1,2,3,4,5,6]"[..]), "{content_type}");
    }
    let mut declared = json("[1,2,3,4,5,6]");
    declared.headers_mut().insert("content-length", "13".parse().unwrap());
    assert_eq!(send(&layer, declared).body, "[1,2,3,4,5,6]");
}

/// A body that begins and does not go on.
fn stalling() -> impl http_body::Body<Data = Bytes, Error = Infallible> + Send + 'static {
    use futures_util::StreamExt as _;
    let first = futures_util::stream::iter([Ok(Frame::data(Bytes::from_static(b"[1,")))]);
    StreamBody::new(Box::pin(first.chain(futures_util::stream::pending())))
}

/// RFC 9110 section 15.5.9.
#[tokio::test]
async fn a_body_that_does_not_arrive_is_given_up() {
    for content_type in ["application/json", "image/png"] {
        let (clock, hand) = Clock::manual();
        let layer = Validate::new().with_clock(clock).build().unwrap();
        let request = Request::post("/").header("content-type", content_type).body(stalling()).unwrap();
        let mut sending = Box::pin(sending(&layer, request));
        assert!((&mut sending).now_or_never().is_none());
        hand.advance(Duration::from_millis(9999));
        assert!((&mut sending).now_or_never().is_none());
        hand.advance(Duration::from_millis(1));
        let answer = sending.await;
        assert_eq!((answer.status, answer.error().0.as_str()), (408, "body-timeout"), "{content_type}");
    }
}

#[tokio::test]
async fn all_bodies_together_are_bounded_and_give_back_what_they_held() {
    let (clock, _hand) = Clock::manual();
    let limits = Limits::new().body_bytes(10).buffer_bytes(10);
    let layer = Validate::new().limits(limits).with_clock(clock).build().unwrap();
    let request = || Request::post("/").header("content-type", "application/json").body(stalling()).unwrap();
    let held: Vec<_> = (0..3)
        .map(|_| {
            let mut sending = Box::pin(sending(&layer, request()));
            assert!((&mut sending).now_or_never().is_none());
            sending
        })
        .collect();
    // Nine of ten bytes are held; two more do not fit.
    let answer = send(&layer, json("[]"));
    assert_eq!((answer.status, answer.headers["retry-after"].to_str().unwrap()), (503, "1"));
    drop(held);
    for _ in 0..100 {
        assert_eq!(send(&layer, json("[]")).status, 200);
    }
}

/// A route whose bodies have no room would be answered 503 for ever. What streams through is not held.
#[test]
fn a_body_of_a_route_has_room() {
    let build = |route: Route| Validate::new().limits(Limits::new().buffer_bytes(1 << 20)).add_route(route).build();
    let long = || Route::new(Method::POST, "/long").body_bytes((1 << 20) + 1);
    assert!(build(long().any_body()).is_ok() && build(long().multipart()).is_ok());
    for route in [long().json(), long().form()] {
        let error = build(route).unwrap_err();
        assert_eq!(error.setting(), "buffer_bytes");
        assert!(error.to_string().contains("does not hold one body of POST /long"), "{error}");
    }
    assert!(build(Route::new(Method::POST, "/").json().body_bytes(1 << 20)).is_ok());
}

#[test]
fn trailers_come_through() {
    for content_type in ["application/json", "image/png"] {
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", "3".parse().unwrap());
        let frames = [Frame::data(Bytes::from_static(b"[1]")), Frame::trailers(trailers)];
        let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok::<_, Infallible>)));
        let answer = send(&harden(), Request::post("/").header("content-type", content_type).body(body).unwrap());
        assert_eq!((answer.status, answer.headers["x-sum"].to_str().unwrap()), (200, "3"));
    }
}

#[test]
fn a_body_that_breaks_off_is_the_clients_fault() {
    let frames = [Ok(Frame::data(Bytes::from_static(b"[1"))), Err("broken")];
    let body = StreamBody::new(futures_util::stream::iter(frames));
    let answer = send(&harden(), Request::post("/").header("content-type", "application/json").body(body).unwrap());
    assert_eq!(answer.status, 400);
}

fn described() -> Validate {
    Validate::new()
        .add_route(Route::new(Method::GET, "/polls/{id}"))
        .add_route(Route::new(Method::POST, "/polls").json())
        .add_route(Route::new(Method::POST, "/login").form())
        .add_route(Route::new(Method::PUT, "/polls/{id}/picture").any_body().body_bytes(4))
}

fn ask(
    layer: &tower_rampart::validate::ValidateLayer,
    method: Method,
    path: &str,
    content_type: &str,
    body: &'static str,
) -> u16 {
    let mut request =
        Request::builder().method(method).uri(path).body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
    if !content_type.is_empty() {
        request.headers_mut().insert("content-type", content_type.parse().unwrap());
    }
    send(layer, request).status
}

#[test]
fn described_requests_have_the_bodies_that_are_described() {
    let layer = described().build().unwrap();
    let json = "application/json";
    for (method, path, content_type, body, status) in [
        (Method::GET, "/polls/7", "", "", 200),
        (Method::HEAD, "/polls/7", "", "", 200),
        (Method::GET, "/polls/7", json, "{}", 400),
        (Method::POST, "/polls", json, "{}", 200),
        (Method::POST, "/polls", "application/x+json", "{}", 200),
        (Method::POST, "/polls", json, "{\"a\":1,\"a\":1}", 400),
        (Method::POST, "/polls", json, "", 400),
        (Method::POST, "/polls", "", "{}", 415),
        (Method::POST, "/polls", "text/plain", "{}", 415),
        (Method::POST, "/login", json, "{}", 415),
        (Method::POST, "/login", "application/x-www-form-urlencoded", "a=b", 200),
        (Method::PUT, "/polls/7/picture", "image/png", "\u{1}\u{2}", 200),
        (Method::PUT, "/polls/7/picture", "image/png", "too long", 413),
        (Method::PUT, "/polls/7/picture", json, "no", 200),
        // Elsewhere the rest does not hold, but for the head and the length.
        (Method::POST, "/other", "", "not json", 200),
        (Method::POST, "/other/../x", "", "", 400),
    ] {
        assert_eq!(
            ask(&layer, method.clone(), path, content_type, body),
            status,
            "{method} {path} {content_type} {body}"
        );
    }
}

/// RFC 9110 section 15.5.6: `Allow` lists what there is.
#[test]
fn other_methods_and_unknown_paths() {
    let layer = described().unknown_paths(UnknownPaths::Refuse).build().unwrap();
    let request = Request::delete("/polls/7").body(Full::<Bytes>::default()).unwrap();
    let answer = send(&layer, request);
    assert_eq!((answer.status, answer.headers["allow"].to_str().unwrap()), (405, "GET, HEAD"));
    assert_eq!(send(&layer, get("/nowhere")).status, 404);
    assert_eq!(send(&layer, get("/polls/7/")).status, 404);
    let preflight = Request::options("/polls")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST")
        .body(Full::<Bytes>::default())
        .unwrap();
    assert_eq!(send(&layer, preflight).status, 200);
    let mut grpc = post("application/grpc", "");
    *grpc.uri_mut() = "/pkg.Service/Method".parse().unwrap();
    let answer = send(&layer, grpc);
    assert_eq!(answer.headers["grpc-status"], "12");
    assert!(Validate::new().unknown_paths(UnknownPaths::Refuse).build().is_err());
    let twice = Validate::new().add_route(Route::new(Method::GET, "/{a}")).add_route(Route::new(Method::GET, "/{b}"));
    assert!(twice.build().unwrap_err().to_string().contains("described twice"));
}

proptest! {
    /// In whatever pieces a body comes, it is judged alike, and comes through as it was.
    #[test]
    fn chunking_changes_nothing(
        body in prop_oneof![
            Just("{\"question\":\"Tea?\",\"options\":[\"yes\",\"no\"]}".to_owned()),
            Just("{\"a\":1,\"\\u0061\":2}".to_owned()),
            "[\\[\\]{}\",:0-9a-c ]{0,40}",
        ],
        cuts in proptest::collection::vec(0_usize..50, 0..6),
    ) {
        let whole = send(&harden(), json(body.clone()));
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.push(0);
        cuts.push(body.len());
        cuts.sort_unstable();
        let bytes = Bytes::from(body.clone());
        let parts = cuts.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect();
        let request = Request::post("/").header("content-type", "application/json").body(pieces(parts)).unwrap();
        let answer = send(&harden(), request);
        // A body of no bytes that says nothing of its length is one that is empty, and no JSON.
        if !body.is_empty() {
            prop_assert_eq!(answer.status, whole.status, "{}", body);
            prop_assert_eq!(answer.body, whole.body);
        }
    }
}

/// A frame that came alone is handed on as it is, not copied.
#[tokio::test]
async fn one_frame_stays_the_same_bytes() {
    use http_body_util::BodyExt as _;
    use tower::{Layer as _, ServiceExt as _};
    let sent = Bytes::from("[1,2,3]".to_owned());
    let address = sent.as_ptr();
    let handler =
        tower::service_fn(move |request: Request<tower_rampart::validate::CheckedBody<Full<Bytes>>>| async move {
            let frame = request.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
            Ok::<_, Infallible>(http::Response::new(Full::<Bytes>::from((frame.as_ptr() as usize).to_string())))
        });
    let answer = harden().layer(handler).oneshot(json(sent.clone())).await.unwrap();
    let seen = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(std::str::from_utf8(&seen).unwrap(), (address as usize).to_string());
}
