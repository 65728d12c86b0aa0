//! The value of a body, handed on.
#![cfg(feature = "json-schema")]

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde::Deserialize;
use serde_json::Value;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::validate::{Check, CheckedBody, Limits, ParsedJson, Route, Schema, Validate, ValidateLayer};

use crate::support::json;

/// The value that a handler finds beside the body it reads.
fn value(layer: &ValidateLayer, body: &'static str) -> Option<Value> {
    let handler = service_fn(move |request: Request<CheckedBody<Full<Bytes>>>| async move {
        let value = request.extensions().get::<ParsedJson>().map(|parsed| parsed.fill::<Value>().unwrap());
        assert_eq!(request.into_body().collect().await.unwrap().to_bytes(), body);
        let mut response = Response::new(Full::<Bytes>::default());
        response.extensions_mut().insert(value);
        Ok::<_, Infallible>(response)
    });
    let answer = layer.layer(handler).oneshot(json(body)).now_or_never().unwrap().unwrap();
    answer.extensions().get::<Option<Value>>().cloned().flatten()
}

fn described(route: Route) -> Validate {
    Validate::new().add_route(route)
}

fn post() -> Route {
    Route::new(Method::POST, "/")
}

fn schema() -> Schema {
    Schema::new("{\"type\":\"object\"}").unwrap()
}

const BODY: &str = "{\"a\":[1,18446744073709551615,-2.5,\"\\u0041\",null,true]}";

#[test]
fn the_value_is_handed_on_where_one_was_made() {
    let expected: Value = serde_json::from_str(BODY).unwrap();
    assert_eq!(value(&described(post().schema(schema())).build().unwrap(), BODY), Some(expected.clone()));
    assert_eq!(value(&described(post().json().parsed()).build().unwrap(), BODY), Some(expected));
    // Where nobody asks, none is made.
    assert_eq!(value(&described(post().json()).build().unwrap(), BODY), None);
    assert_eq!(value(&Validate::new().build().unwrap(), BODY), None);
    // It is what was read, not what the schema says of it.
    let reporting = described(post().schema(schema())).report(Check::Schema).build().unwrap();
    assert_eq!(value(&reporting, "[1]"), Some(serde_json::json!([1])));
    let reporting = described(post().schema(schema())).report_all().build().unwrap();
    assert_eq!(value(&reporting, "{\"a\":1,\"a\":2}"), None);
}

/// Types are filled as serde_json fills them, and what does not fit says nothing of the value.
#[test]
fn types_are_filled_from_the_value() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Poll<'a> {
        question: &'a str,
        votes: u64,
        kind: Kind,
        #[serde(default)]
        tags: Vec<String>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        Open,
    }
    let handler = service_fn(|request: Request<CheckedBody<Full<Bytes>>>| async move {
        let parsed = request.extensions().get::<ParsedJson>().unwrap();
        let poll: Poll<'_> = parsed.fill().unwrap();
        assert_eq!(poll, Poll { question: "Tea?", votes: u64::MAX, kind: Kind::Open, tags: Vec::new() });
        let error = parsed.fill::<Vec<String>>().unwrap_err();
        assert!(!format!("{error} {error:?} {parsed:?}").contains("Tea"));
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let layer = described(post().json().parsed()).build().unwrap();
    let body = format!("{{\"question\":\"Tea?\",\"votes\":{},\"kind\":\"open\"}}", u64::MAX);
    let answer = layer.layer(handler).oneshot(json(body)).now_or_never().unwrap().unwrap();
    assert_eq!(answer.status(), 200);
}

#[cfg(feature = "axum")]
mod axum {
    use ::axum::Router;
    use ::axum::body::Body;
    use ::axum::routing::post;
    use tower_rampart::axum::Validated;

    use super::*;

    #[derive(Deserialize)]
    struct Poll {
        question: String,
    }

    async fn ask(layer: ValidateLayer, body: &'static str) -> (u16, String) {
        let handler = |Validated(poll): Validated<Poll>| async move { poll.question };
        let app = Router::new().route("/", post(handler)).layer(layer);
        let request = Request::post("/").header("content-type", "application/json").body(Body::from(body)).unwrap();
        let answer = app.oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn an_extractor_fills_a_type_and_reads_nothing() {
        let layer = || described(super::post().schema(schema())).build().unwrap();
        assert_eq!(ask(layer(), "{\"question\":\"Tea?\"}").await, (200, "Tea?".to_owned()));
        let (status, body) = ask(layer(), "{\"question\":\"Tea?\",\"question\":\"\"}").await;
        assert_eq!((status, body.contains("multiple")), (400, false));
        // As described, and no poll.
        let (status, body) = ask(layer(), "{\"s3cret\":7}").await;
        assert_eq!((status, body.contains("s3cret"), body.contains("problem")), (422, false, false), "{body}");
    }

    #[tokio::test]
    async fn without_a_value_it_says_whose_fault_that_is() {
        assert_eq!(ask(Validate::new().build().unwrap(), "{}").await.0, 500);
        let reporting = described(super::post().schema(schema())).report_all().build().unwrap();
        assert_eq!(ask(reporting, "not json").await.0, 400);
        // However it comes that there is none.
        let small = Limits::new().body_bytes(5);
        let reporting = described(super::post().schema(schema())).limits(small).report_all().build().unwrap();
        assert_eq!(ask(reporting.clone(), "{\"question\":\"Tea?\"}").await.0, 400);
        assert_eq!(ask(reporting, "").await.0, 400);
    }

    /// A body that may be left out, or be a form, is none of a value.
    #[cfg(feature = "openapi")]
    #[tokio::test]
    async fn bodies_that_are_described_and_have_no_value() {
        let document = r#"{"openapi":"3.1.0","paths":{"/":{"post":{"requestBody":{"content":{
            "application/json":{"schema":{"type":"object"}},
            "application/x-www-form-urlencoded":{"schema":{"type":"object"}}
        }}}}}}"#;
        let api = tower_rampart::validate::OpenApi::from_json(document).unwrap();
        let layer = Validate::new().add_openapi(api).build().unwrap();
        let handler = |Validated(poll): Validated<Poll>| async move { poll.question };
        let app = Router::new().route("/", post(handler)).layer(layer);
        for (content_type, body, status) in [
            ("application/json", "{\"question\":\"Tea?\"}", 200),
            ("application/json", "", 400),
            ("application/x-www-form-urlencoded", "question=Tea", 400),
        ] {
            let request = Request::post("/").header("content-type", content_type).body(Body::from(body)).unwrap();
            assert_eq!(app.clone().oneshot(request).await.unwrap().status(), status, "{content_type}: {body}");
        }
    }
}
