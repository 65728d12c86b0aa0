//! Responses.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{HeaderMap, Method, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody};
use serde_json::json;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::validate::{OpenApi, ValidateResponses, ValidateResponsesLayer};
use tower_rampart::{Origin, Refuser, Rejection, RequestFacts, RequestView};

use super::{document, read, request};

fn api() -> OpenApi {
    let user = json!({
        "type": "object", "required": ["id", "name", "password"], "additionalProperties": false,
        "properties": { "id": { "type": "integer", "readOnly": true }, "name": { "type": "string" }, "password": { "type": "string", "writeOnly": true } },
    });
    let mut described = document(json!({ "/users/{id}": { "get": {
        "parameters": [{ "name": "id", "in": "path", "required": true, "schema": {} }],
        "security": [{ "bearer": [] }],
        "responses": {
            "200": { "$ref": "#/components/responses/User" },
            "204": { "description": "d" },
            "304": { "$ref": "#/components/responses/Unchanged" },
            "2XX": { "description": "d", "content": { "text/*": {} } },
            "default": { "description": "d", "content": { "application/problem+json": { "schema": { "required": ["title"] } } } },
        },
    } } }));
    described["components"] = json!({
        "securitySchemes": { "bearer": {} },
        "schemas": { "User": user },
        "responses": { "Unchanged": { "description": "d", "content": { "application/json": {} } }, "User": {
            "description": "d",
            "headers": { "X-Count": { "required": true, "schema": { "type": "integer" } } },
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/User" } } },
        } },
    });
    read(&described).unwrap()
}

/// What the client gets where the handler answers so.
fn answered(
    layer: &ValidateResponsesLayer,
    method: Method,
    target: &str,
    response: Response<Full<Bytes>>,
) -> (u16, Bytes, HeaderMap) {
    let handler = service_fn(move |_: Request<Full<Bytes>>| std::future::ready(Ok::<_, Infallible>(response.clone())));
    let answer = layer.layer(handler).oneshot(request(method, target, &[], "")).now_or_never().unwrap().unwrap();
    let (parts, body) = answer.into_parts();
    (parts.status.as_u16(), body.collect().now_or_never().unwrap().unwrap().to_bytes(), parts.headers)
}

fn response(status: u16, fields: &[(&str, &str)], body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in fields {
        response = response.header(*name, *value);
    }
    response.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap()
}

const JSON: (&str, &str) = ("content-type", "application/json");
const COUNT: (&str, &str) = ("x-count", "1");
const USER: &str = r#"{ "id": 1, "name": "a" }"#;

#[test]
fn what_is_as_described_passes_and_what_is_not_is_answered_500() {
    let enforcing = ValidateResponses::new(api()).build().unwrap();
    let reporting = ValidateResponses::new(api()).report().build().unwrap();
    for (given, expected) in [
        (response(200, &[JSON, COUNT], USER), 200),
        (response(200, &[("content-type", "application/json; charset=utf-8"), COUNT], USER), 200),
        (response(204, &[], ""), 204),
        (response(201, &[("content-type", "text/plain")], "made"), 201),
        (response(404, &[("content-type", "application/problem+json")], r#"{"title":"no"}"#), 404),
        // The password is for servers alone.
        (response(200, &[JSON, COUNT], r#"{"id":1,"name":"a","password":"s3cret"}"#), 500),
        (response(200, &[JSON, COUNT], r#"{"id":1,"name":"a","leak":"s3cret"}"#), 500),
        (response(200, &[JSON, COUNT], r#"{"name":"a"}"#), 500),
        (response(200, &[JSON, COUNT], r#"{"id":1,"id":1,"name":"a"}"#), 500),
        (response(200, &[JSON, COUNT], "{"), 500),
        (response(200, &[JSON], USER), 500),
        (response(200, &[JSON, ("x-count", "one")], USER), 500),
        (response(200, &[("content-type", "text/html"), COUNT], "s3cret"), 500),
        (response(200, &[COUNT], USER), 500),
        (response(200, &[JSON, COUNT, ("content-encoding", "gzip")], USER), 500),
        (response(500, &[("content-type", "text/plain")], "s3cret trace"), 500),
        // Nothing is no JSON, and no type at all.
        (response(200, &[JSON, COUNT], ""), 500),
        (response(200, &[COUNT], ""), 500),
        (response(304, &[], ""), 304),
        (response(404, &[("content-type", "application/problem+json")], "{}"), 500),
    ] {
        let (status, body, headers) = answered(&enforcing, Method::GET, "/users/1", given.clone());
        assert_eq!(status, expected, "{given:?}");
        let sent = given.clone().into_body().collect().now_or_never().unwrap().unwrap().to_bytes();
        if expected == 500 {
            assert_eq!(headers["content-type"], "application/problem+json");
            assert!(!String::from_utf8_lossy(&body).contains("s3cret"), "{given:?}");
        } else {
            assert_eq!(body, sent);
        }
        let reported = answered(&reporting, Method::GET, "/users/1", given.clone());
        assert_eq!((reported.0, reported.1), (given.status().as_u16(), sent));
    }
}

#[test]
fn what_is_not_described_passes() {
    let layer = ValidateResponses::new(api()).build().unwrap();
    let leak = || response(200, &[], "anything");
    assert_eq!(answered(&layer, Method::GET, "/other", leak()).0, 200);
    assert_eq!(answered(&layer, Method::POST, "/users/1", leak()).0, 200);
    assert_eq!(answered(&ValidateResponsesLayer::empty(), Method::GET, "/users/1", leak()).0, 200);
    // HEAD has no body to look at; its fields are.
    assert_eq!(answered(&layer, Method::HEAD, "/users/1", response(200, &[JSON, COUNT], "")).0, 200);
    assert_eq!(answered(&layer, Method::HEAD, "/users/1", response(200, &[JSON], "")).0, 500);
    // A part is no whole.
    assert_eq!(answered(&layer, Method::GET, "/users/1", response(206, &[JSON], "{")).0, 206);
}

/// What a layer further in refuses is no answer of the service that is described, and keeps its status and fields.
#[test]
fn refusals_of_layers_further_in_pass() {
    let layer = ValidateResponses::new(api()).build().unwrap();
    let handler = service_fn(|request: Request<Full<Bytes>>| {
        let wait = std::time::Duration::from_secs(7);
        let rejection =
            Rejection::new(Origin::Custom("proxy"), Problem::new(ProblemKind::Unavailable)).with_retry_after(wait);
        let facts = RequestFacts::of(RequestView::of(&request));
        std::future::ready(Ok::<_, Infallible>(Refuser::new().refuse::<Full<Bytes>>(rejection, &facts)))
    });
    let answer =
        layer.layer(handler).oneshot(request(Method::GET, "/users/1", &[], "")).now_or_never().unwrap().unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str().unwrap()), (503, "7"));
}

/// Clients ask services for compressed answers: they are judged by what comes out, and go on as they came.
#[cfg(feature = "decompression")]
#[test]
fn compressed_answers_are_judged_too() {
    use std::io::Write as _;
    let gzip = |text: &str| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text.as_bytes()).unwrap();
        Bytes::from(encoder.finish().unwrap())
    };
    let answer = |layer: &ValidateResponsesLayer, coding: &str, body: &Bytes| {
        let response = response(200, &[JSON, COUNT, ("content-encoding", coding)], "").map(|_| Full::new(body.clone()));
        let (status, body, _) = answered(layer, Method::GET, "/users/1", response);
        (status, body)
    };
    let layer = ValidateResponses::new(api()).body_bytes(100).build().unwrap();
    let sound = gzip(USER);
    assert_eq!(answer(&layer, "gzip", &sound), (200, sound.clone()));
    let long = gzip(&format!("{USER}{}", " ".repeat(100)));
    assert!(long.len() < 100, "{}", long.len());
    for (coding, body) in [
        ("gzip", &gzip(r#"{"id":1,"name":"a","password":"s3cret"}"#)),
        ("gzip", &long),
        ("gzip", &sound.slice(..20)),
        ("deflate", &sound),
        ("zstd", &sound),
        ("gzip, gzip", &sound),
    ] {
        assert_eq!(answer(&layer, coding, body).0, 500, "{coding}");
        let reporting = ValidateResponses::new(api()).body_bytes(100).report().build().unwrap();
        assert_eq!(answer(&reporting, coding, body), (200, body.clone()), "{coding}");
    }
    // What comes out is held as well, for as long as it is looked at.
    let full = ValidateResponses::new(api()).body_bytes(100).buffer_bytes(100);
    assert_eq!(answer(&full.clone().build().unwrap(), "gzip", &gzip(&format!("{USER}{}", " ".repeat(70)))).0, 503);
    assert_eq!(answer(&full.report().build().unwrap(), "gzip", &gzip(&format!("{USER}{}", " ".repeat(70)))).0, 200);
}

#[test]
fn bodies_are_bounded_and_come_through_in_their_pieces() {
    let stream = |frames: Vec<Result<Frame<Bytes>, &'static str>>| {
        let frames = std::sync::Arc::new(frames);
        let handler = service_fn(move |_: Request<Full<Bytes>>| {
            let body = StreamBody::new(futures_util::stream::iter(frames.clone_all()));
            std::future::ready(Ok::<_, Infallible>(
                Response::builder().header(JSON.0, JSON.1).header(COUNT.0, COUNT.1).body(body).unwrap(),
            ))
        });
        move |layer: &ValidateResponsesLayer| {
            let request = request(Method::GET, "/users/1", &[], "");
            let answer = layer.layer(handler.clone()).oneshot(request).now_or_never().unwrap().unwrap();
            let status = answer.status().as_u16();
            let collected = answer.into_body().collect().now_or_never().unwrap();
            let trailers = collected.as_ref().ok().and_then(|body| body.trailers().cloned());
            (status, collected.map(|body| body.to_bytes()).unwrap_or_default(), trailers)
        }
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", "3".parse().unwrap());
    let (first, second) = USER.split_at(5);
    let pieces = || {
        vec![
            Ok(Frame::data(Bytes::from_static(first.as_bytes()))),
            Ok(Frame::data(Bytes::from_static(second.as_bytes()))),
        ]
    };
    let layer = ValidateResponses::new(api()).body_bytes(100).build().unwrap();
    let mut whole = pieces();
    whole.push(Ok(Frame::trailers(trailers.clone())));
    assert_eq!(stream(whole)(&layer), (200, Bytes::from_static(USER.as_bytes()), Some(trailers)));
    let small = || ValidateResponses::new(api()).body_bytes(10);
    assert_eq!(stream(pieces())(&small().build().unwrap()).0, 500);
    let reported = stream(pieces())(&small().report().build().unwrap());
    assert_eq!((reported.0, reported.1), (200, Bytes::from_static(USER.as_bytes())));
    let broken = vec![Ok(Frame::data(Bytes::from_static(b"{"))), Err("broken")];
    assert_eq!(stream(broken)(&layer).0, 502);
    assert_eq!(stream(vec![])(&layer).0, 500, "nothing is no JSON, whether it is known before or not");
    let error = ValidateResponses::new(api()).buffer_bytes(1).build().unwrap_err();
    assert_eq!(error.setting(), "buffer_bytes");
}

/// Frames are no clones of each other.
trait CloneAll {
    fn clone_all(&self) -> Vec<Result<Frame<Bytes>, &'static str>>;
}

impl CloneAll for Vec<Result<Frame<Bytes>, &'static str>> {
    fn clone_all(&self) -> Self {
        let frame = |frame: &Frame<Bytes>| match (frame.data_ref(), frame.trailers_ref()) {
            (Some(data), _) => Frame::data(data.clone()),
            (None, trailers) => Frame::trailers(trailers.cloned().unwrap_or_default()),
        };
        self.iter().map(|held| held.as_ref().map(frame).map_err(|error| *error)).collect()
    }
}

#[test]
fn what_is_wrong_with_descriptions_of_responses_is_told_when_the_layer_is_built() {
    let described = document(json!({ "/": { "get": { "responses": {
        "ok": {}, "201": { "headers": { "X-A": { "required": true } } }, "200": { "content": { "application/json": { "schema": { "type": "strin" } } } }, "404": { "$ref": "#/components/responses/a" },
    } } } }));
    let mut described = described;
    described["components"] = json!({ "responses": { "a": { "$ref": "#/components/responses/a" } } });
    let error = ValidateResponses::new(read(&described).unwrap()).build().unwrap_err().to_string();
    for place in [
        "responses/ok: is no status",
        "200/content/application~1json/schema/type: ",
        "responses/404: the reference leads round in a circle",
        "201/headers/X-A: has either a `schema` or a `content`",
    ] {
        assert!(error.contains(place), "{place}: {error}");
    }
}
