//! Bodies, by their media types.

use bytes::Bytes;
use http::{Method, Request};
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_rampart::validate::{Check, Validate, ValidateLayer};

use super::{document, errors, layer, read, request};
use crate::support::{pieces, send};

fn media(content: Value, required: bool) -> Value {
    document(json!({ "/": { "post": { "requestBody": { "required": required, "content": content } } } }))
}

fn poll() -> Value {
    json!({
        "type": "object",
        "properties": { "question": { "type": "string", "minLength": 1 }, "options": { "type": "array", "items": { "type": "string" } } },
        "required": ["question"], "additionalProperties": false,
    })
}

fn post(layer: &ValidateLayer, content_type: &str, body: &str) -> crate::support::Answer {
    let fields = if content_type.is_empty() { vec![] } else { vec![("content-type", content_type)] };
    send(layer, request(Method::POST, "/", &fields, body))
}

#[test]
fn json_is_judged_by_its_schema_and_comes_through_as_it_was() {
    let layer = layer(&media(json!({ "application/json": { "schema": poll() } }), true));
    let body = "{ \"question\" : \"O'Brien\\u0021\" }";
    let answer = post(&layer, "application/json", body);
    assert_eq!((answer.status, &answer.body[..]), (200, body.as_bytes()));
    let answer = post(&layer, "application/json", r#"{"question":"","options":["a",1]}"#);
    assert_eq!(answer.status, 422);
    assert_eq!(
        errors(&answer),
        [["body", "", "type", "#/options/1"], ["body", "", "minLength", "#/question"]]
            .map(|error| error.map(str::to_owned))
    );
    for (content_type, body, status) in [
        ("application/json; charset=utf-8", r#"{"question":"a"}"#, 200),
        ("Application/JSON", r#"{"question":"a"}"#, 200),
        ("application/json", r#"{"question":"a","question":"a"}"#, 400),
        ("application/json", "{", 400),
        ("application/json", "", 400),
        ("", r#"{"question":"a"}"#, 415),
        ("text/plain", r#"{"question":"a"}"#, 415),
        ("application/json; charset=latin1", r#"{"question":"a"}"#, 415),
        ("application/problem+json", r#"{"question":"a"}"#, 415),
        ("application/json, text/plain", r#"{"question":"a"}"#, 415),
    ] {
        assert_eq!(post(&layer, content_type, body).status, status, "{content_type} {body}");
    }
    let mut encoded =
        request(Method::POST, "/", &[("content-type", "application/json"), ("content-encoding", "gzip")], "x");
    assert_eq!(send(&layer, encoded.clone()).status, 415);
    encoded.headers_mut().insert("content-encoding", "identity".parse().unwrap());
    assert_eq!(send(&layer, encoded).status, 400);
}

/// OpenAPI 3.1, "Request Body Object": the most specific type counts.
#[test]
fn the_narrowest_media_type_counts() {
    let number = json!({ "schema": { "type": "number" } });
    let layer = layer(&media(
        json!({
            "*/*": {},
            "application/*": { "schema": { "type": "string" } },
            "application/json": number,
            "application/vnd.poll+json;v=1": { "schema": { "type": "boolean" } },
            "image/*": {},
        }),
        true,
    ));
    for (content_type, body, status) in [
        ("application/json", "1", 200),
        ("application/json", "\"a\"", 422),
        ("application/x+json", "\"a\"", 200),
        ("application/x+json", "1", 422),
        ("application/vnd.poll+json; v=2", "true", 200),
        ("application/vnd.poll+json", "1", 422),
        ("text/plain", "anything", 200),
        ("image/png", "\u{1}", 200),
        ("model/x+json", "{", 400),
    ] {
        assert_eq!(post(&layer, content_type, body).status, status, "{content_type} {body}");
    }
}

#[test]
fn bodies_are_where_they_are_described() {
    let content = json!({ "application/json": {} });
    let optional = layer(&media(content.clone(), false));
    assert_eq!((post(&optional, "", "").status, post(&optional, "application/json", "[]").status), (200, 200));
    assert_eq!(post(&layer(&media(content, true)), "", "").status, 400);
    let none = layer(&document(json!({ "/": { "post": {} } })));
    assert_eq!((post(&none, "", "").status, post(&none, "application/json", "{}").status), (200, 400));
}

/// OpenAPI 3.1, "Encoding Object": members are fields, written as their encoding says.
#[test]
fn a_form_is_an_object() {
    let schema = json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "minLength": 2 },
            "age": { "type": "integer", "maximum": 150 },
            "tags": { "type": "array", "items": { "type": "string" }, "maxItems": 2 },
            "ids": { "type": "array", "items": { "type": "integer" } },
            "address": { "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"] },
            "point": { "type": "object", "properties": { "x": { "type": "number" } } },
            "agree": { "type": "boolean" },
        },
        "required": ["name"], "additionalProperties": false,
    });
    let encoding = json!({ "ids": { "style": "pipeDelimited", "explode": false }, "point": { "style": "deepObject", "explode": true } });
    let layer =
        layer(&media(json!({ "application/x-www-form-urlencoded": { "schema": schema, "encoding": encoding } }), true));
    for (body, status) in [
        ("name=O%27Brien&age=7&tags=a&tags=b&agree=true", 200),
        ("name=a+b&ids=1|2%7C3", 200),
        ("name=ab&address=%7B%22city%22%3A%22Rome%22%7D", 200),
        ("name=ab&address=%7B%22city%22%3A1%7D", 422),
        ("name=ab&address=Rome", 400),
        ("name=ab&point[x]=1.5", 200),
        ("name=ab&point[x]=a", 422),
        ("name=a", 422),
        ("age=7", 422),
        ("name=ab&age=x", 422),
        ("name=ab&age=151", 422),
        ("name=ab&name=ab", 400),
        ("name=ab&tags=a&tags=b&tags=c", 422),
        ("name=ab&other=1", 422),
        ("name=ab&agree=yes", 422),
        ("name=%ff", 400),
        ("name=%zz", 400),
    ] {
        let answer = post(&layer, "application/x-www-form-urlencoded", body);
        assert_eq!(answer.status, status, "{body}: {:?}", errors(&answer));
    }
    let answer = post(&layer, "application/x-www-form-urlencoded", "name=s3cret&name=s3cret");
    assert_eq!(errors(&answer), [["body", "name", "repeated", ""].map(str::to_owned)]);
    assert!(!String::from_utf8_lossy(&answer.body).contains("s3cret"));
}

/// Nothing says whether a field without a type is a number: what reads it as text must find it as described, too.
#[test]
fn fields_of_no_type_are_judged_as_text_too() {
    let of = |schema: Value| layer(&media(json!({ "application/x-www-form-urlencoded": { "schema": schema } }), true));
    let ask = |layer: &ValidateLayer, body: &str| post(layer, "application/x-www-form-urlencoded", body).status;
    for (schema, good, bad) in [
        (json!({ "properties": { "a": { "pattern": "^[a-z]+$" } } }), "a=true", "a=12345"),
        (json!({ "properties": { "a": { "maxLength": 3 } } }), "a=123", "a=12345"),
        (json!({ "properties": { "a": { "minimum": 5 } } }), "a=5", "a=4"),
        (json!({ "properties": { "a": { "items": { "maxLength": 2 } } } }), "a=12&a=1", "a=123&a=1"),
        (json!({ "additionalProperties": { "type": "integer" } }), "a=5", "a=x"),
        (json!({ "additionalProperties": { "type": "string", "maxLength": 2 } }), "a=12", "a=123"),
        (json!({ "patternProperties": { "^a": { "type": "string" } } }), "a=12", "a=1&a=2"),
    ] {
        let layer = of(schema.clone());
        assert_ne!(ask(&layer, bad), 200, "{schema}");
        assert_eq!(ask(&layer, good), 200, "{schema}");
    }
}

/// A form falls under ranges as well, and is read by the members that they describe.
#[test]
fn forms_of_wider_types_and_lists_that_are_json() {
    let members = json!({ "properties": { "a": { "type": "integer" } }, "additionalProperties": false });
    for range in ["application/*", "*/*"] {
        let api = read(&media(json!({ range: { "schema": members } }), true)).unwrap();
        assert!(api.warnings().any(|warning| warning.contains("JSON and forms alone")), "{range}");
        let layer = Validate::new().add_openapi(api).build().unwrap();
        for (body, status) in [("a=5", 200), ("a=x", 422), ("b=5", 422)] {
            assert_eq!(post(&layer, "application/x-www-form-urlencoded", body).status, status, "{range} {body}");
        }
    }
    let list = json!({ "properties": { "a": { "type": "array", "items": { "type": "integer" } } } });
    let encoding = json!({ "a": { "contentType": "application/json" } });
    let content = json!({ "application/x-www-form-urlencoded": { "schema": list, "encoding": encoding } });
    let layer = layer(&media(content, true));
    for (body, status) in [("a=%5B1,2%5D", 200), ("a=%5B%22x%22%5D", 422), ("a=1", 422), ("a=%5B", 400)] {
        assert_eq!(post(&layer, "application/x-www-form-urlencoded", body).status, status, "{body}");
    }
}

/// Nobody chooses by the parameters of a type.
#[test]
fn a_type_that_is_described_twice_is_told() {
    let of = |kind: &str| json!({ "schema": { "type": kind } });
    let content = json!({ "application/json": of("string"), "application/json; v=2": of("integer") });
    let api = read(&media(content, true)).unwrap();
    let warnings: Vec<_> = api.warnings().collect();
    assert!(
        matches!(warnings[..], [warning] if warning.contains("application~1json; v=2: the type is described before"))
    );
}

#[test]
fn statuses_and_reports() {
    let described = media(json!({ "application/json": { "schema": { "type": "string" } } }), true);
    let of = |validate: Validate| {
        post(&validate.add_openapi(read(&described).unwrap()).build().unwrap(), "application/json", "1").status
    };
    assert_eq!(of(Validate::new()), 422);
    assert_eq!(of(Validate::new().schema_errors_are_bad_requests()), 400);
    assert_eq!(of(Validate::new().report(Check::Schema)), 200);
    // A body of the wrong type that is only reported goes through unread.
    let reporting = Validate::new().add_openapi(read(&described).unwrap()).report(Check::ContentType).build().unwrap();
    assert_eq!(post(&reporting, "text/plain", "x").body, "x");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// In whatever pieces a body comes, it is judged alike, and comes through as it was.
    #[test]
    fn chunking_changes_nothing(
        body in prop_oneof![
            Just(r#"{"question":"Tea?","options":["yes","no"]}"#.to_owned()),
            Just(r#"{"question":"","options":[1]}"#.to_owned()),
            Just(r#"{"question":"a","x":1}"#.to_owned()),
            "[\\[\\]{}\",:0-9a-c ]{1,30}",
        ],
        is_form in any::<bool>(),
        cuts in proptest::collection::vec(0_usize..50, 0..6),
    ) {
        let content = json!({
            "application/json": { "schema": poll() },
            "application/x-www-form-urlencoded": { "schema": poll() },
        });
        let layer = layer(&media(content, true));
        let content_type = if is_form { "application/x-www-form-urlencoded" } else { "application/json" };
        let whole = post(&layer, content_type, &body);
        let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
        cuts.extend([0, body.len()]);
        cuts.sort_unstable();
        let bytes = Bytes::from(body.clone());
        let parts = cuts.windows(2).map(|pair| bytes.slice(pair[0]..pair[1])).collect();
        let request = Request::post("/").header("content-type", content_type).body(pieces(parts)).unwrap();
        let answer = send(&layer, request);
        prop_assert_eq!((answer.status, answer.body), (whole.status, whole.body), "{}", body);
    }
}
