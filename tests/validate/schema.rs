//! JSON Schema.
#![cfg(feature = "json-schema")]

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use tower_rampart::validate::{Check, Limits, Route, Schema, Validate, ValidateLayer};

use crate::support::{Answer, json as request, send};

fn layer(schema: &Value) -> ValidateLayer {
    let schema = Schema::new(schema.to_string()).unwrap();
    Validate::new().add_route(Route::new(Method::POST, "/").schema(schema)).build().unwrap()
}

fn poll() -> Value {
    json!({
        "type": "object",
        "properties": {
            "question": { "type": "string", "minLength": 1, "maxLength": 20 },
            "options": {
                "type": "array", "minItems": 2, "maxItems": 3, "uniqueItems": true,
                "items": { "type": "string", "maxLength": 5 },
            },
            "closes_at": { "type": "string", "format": "date-time" },
            "weight": { "type": "integer", "minimum": 1, "multipleOf": 2 },
        },
        "required": ["question", "options"],
        "additionalProperties": false,
    })
}

fn ask(body: &str) -> Answer {
    send(&layer(&poll()), request(body.to_owned()))
}

#[test]
fn what_is_as_described_passes_unchanged() {
    let body = "{ \"question\" : \"Tea?\", \"options\": [\"yes\", \"no\"], \"closes_at\": \"2027-01-01T00:00:00Z\" }";
    let answer = ask(body);
    assert_eq!((answer.status, &answer.body[..]), (200, body.as_bytes()));
}

#[test]
fn breaches_are_told_in_the_schemas_words_with_their_place() {
    for (body, keyword, pointer, detail) in [
        (r#"{"question":"","options":["a","b"]}"#, "minLength", "#/question", "At least 1 characters are needed."),
        (r#"{"question":"x","options":["a"]}"#, "minItems", "#/options", "At least 2 items are needed."),
        (
            r#"{"question":"x","options":["a","toolong"]}"#,
            "maxLength",
            "#/options/1",
            "At most 5 characters are allowed.",
        ),
        (r#"{"question":"x","options":["a","a"]}"#, "uniqueItems", "#/options", "Two of its items are the same."),
        (r#"{"question":7,"options":["a","b"]}"#, "type", "#/question", "It is of another type."),
        (r#"{"options":["a","b"]}"#, "required", "#/question", "The member \"question\" is missing."),
        (
            r#"{"question":"x","options":["a","b"],"closes_at":"soon"}"#,
            "format",
            "#/closes_at",
            "It is not of the format `date-time`.",
        ),
        (r#"{"question":"x","options":["a","b"],"weight":3}"#, "multipleOf", "#/weight", "It must be a multiple of 2."),
        (r#"{"question":"x","options":["a","b"],"weight":0}"#, "minimum", "#/weight", "It must be at least 1."),
        (
            r#"{"question":"x","options":["a","b"],"s3cret":1}"#,
            "additionalProperties",
            "#",
            "It has members that are not described.",
        ),
    ] {
        let answer = ask(body);
        let error = answer.json()["errors"][0].clone();
        let got = (
            answer.status,
            error["keyword"].as_str().unwrap(),
            error["pointer"].as_str().unwrap(),
            error["detail"].as_str().unwrap(),
        );
        assert_eq!(got, (422, keyword, pointer, detail), "{body}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("s3cret"), "{body}");
    }
}

/// What cannot be read is 400 still, and read once.
#[test]
fn structure_comes_before_the_schema() {
    for body in [r#"{"question":"x","question":"y","options":["a","b"]}"#, "{", "", "{\"question\":\"\\u0000\"}"] {
        assert_eq!(ask(body).status, 400, "{body}");
    }
}

#[test]
fn all_breaches_of_a_short_body_are_told_and_sixteen_at_most() {
    let answer = ask(r#"{"question":"","options":["a"],"weight":3,"x":1}"#);
    let errors = answer.json()["errors"].as_array().unwrap().len();
    assert_eq!((errors, answer.json().get("truncated").is_none()), (4, true));
    let many = json!({ "type": "array", "items": { "type": "string" } });
    let answer = send(&layer(&many), request(format!("[{}0]", "0,".repeat(99))));
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 16);
    assert_eq!(answer.json()["truncated"], true);
    // In a long one the first, which does not cost more the more there are.
    let layer = Validate::new()
        .limits(Limits::new().body_bytes(1 << 20).json_items(300_000))
        .add_route(Route::new(Method::POST, "/").schema(Schema::new(many.to_string()).unwrap()))
        .build()
        .unwrap();
    let answer = send(&layer, request(format!("[{}0]", "0,".repeat(200_000))));
    assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1);
}

/// Alternatives multiply what it costs to tell breaches: short bodies are told all, long ones that they have some.
#[test]
fn breaches_of_alternatives_are_told_in_short_bodies() {
    let branch = |at: usize| json!({ "type": "array", "items": { "type": "string", "minLength": at } });
    let schema = json!({ "anyOf": (0..10).map(branch).collect::<Vec<_>>() });
    let short = send(&layer(&schema), request("[1]"));
    assert_eq!((short.status, short.error().0.as_str()), (422, "anyOf"));
    let long = send(&layer(&schema), request(format!("[{}0]", "0,".repeat(5000))));
    assert_eq!((long.status, long.error()), (422, ("schema".to_owned(), "#".to_owned())));
}

/// A body that cannot be looked at is not one that is as described.
#[test]
fn an_encoded_body_does_not_pass_for_one_that_was_judged() {
    let route = Route::new(Method::POST, "/").schema(Schema::new("{\"type\":\"string\"}").unwrap());
    let layer = Validate::new().content_encodings(["zstd"]).add_route(route).build().unwrap();
    let mut encoded = request("[1]");
    encoded.headers_mut().insert("content-encoding", "zstd".parse().unwrap());
    assert_eq!(send(&layer, encoded).status, 415);
}

/// Names of members are the sender's: cut, and without control characters.
#[test]
fn pointers_are_clean() {
    let schema = json!({ "additionalProperties": { "type": "string" } });
    let name = format!("a\u{1b}[31m{}", "x".repeat(300));
    let answer = send(&layer(&schema), request(json!({ name: 1 }).to_string()));
    let pointer = answer.json()["errors"][0]["pointer"].as_str().unwrap().to_owned();
    assert!(pointer.len() <= 66 && pointer.starts_with("#/a[31m"), "{pointer}");
}

#[test]
fn the_status_can_be_that_of_what_cannot_be_read_and_breaches_can_be_reported() {
    let of = |validate: Validate| {
        let route = Route::new(Method::POST, "/").schema(Schema::new("{\"type\":\"string\"}").unwrap());
        send(&validate.add_route(route).build().unwrap(), request("1")).status
    };
    assert_eq!(of(Validate::new()), 422);
    assert_eq!(of(Validate::new().schema_errors_are_bad_requests()), 400);
    assert_eq!(of(Validate::new().report(Check::Schema)), 200);
}

/// Nothing is fetched, whatever features of the engine strangers turn on; what cannot be judged is an error now.
#[test]
fn schemas_that_cannot_be_are_errors() {
    for schema in [
        r#"{"$ref":"http://169.254.169.254/latest"}"#,
        r#"{"$ref":"https://example.com/schema.json"}"#,
        r#"{"$ref":"file:///etc/passwd"}"#,
        r##"{"$ref":"#/definitions/missing"}"##,
        r#"{"type":"strin"}"#,
        r#"{"pattern":"("}"#,
        r#"{"pattern":"(?=a)b"}"#,
        r#"{"format":"no-such-format"}"#,
        r#"{"type":"string","type":"number"}"#,
        "{",
        "",
        "[]",
    ] {
        let error = Schema::new(schema).map(|_| ()).expect_err(schema);
        assert_eq!(error.setting(), "schema");
    }
    for schema in [
        "true",
        r#"{"$schema":"http://json-schema.org/draft-04/schema#","minimum":1,"exclusiveMinimum":true}"#,
        r#"{"$schema":"http://json-schema.org/draft-07/schema#","if":{"type":"string"},"then":{"maxLength":3}}"#,
        r##"{"$defs":{"node":{"properties":{"next":{"$ref":"#/$defs/node"}}}},"$ref":"#/$defs/node"}"##,
    ] {
        assert!(Schema::new(schema).is_ok(), "{schema}");
    }
}

/// The engine's fetching of files is on in this build, by a dependency of the tests: by itself it reads what a schema refers
/// to, and ours does not. Nor does ours connect to anything.
#[test]
fn references_open_nothing() {
    let dir = std::env::temp_dir().join(format!("tower-rampart-reference-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("there.json");
    std::fs::write(&file, "{\"type\":\"string\"}").unwrap();
    let to_file = json!({ "$ref": format!("file://{}", file.display()) });
    assert!(jsonschema::validator_for(&to_file).is_ok(), "the engine by itself would read it");
    let error = Schema::new(to_file.to_string()).unwrap_err().to_string();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(error.contains("cannot be used"), "{error}");

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    for schema in [
        json!({ "$ref": format!("http://{address}/") }),
        json!({ "$schema": format!("http://{address}/") }),
        json!({ "$id": format!("http://{address}/a"), "$ref": "b" }),
        json!({ "properties": { "a": { "$dynamicRef": format!("http://{address}/#x") } } }),
    ] {
        assert!(Schema::new(schema.to_string()).is_err(), "{schema}");
    }
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

/// A megabyte against a schema, whatever is wrong with it: one answer, with few breaches.
#[test]
fn hostile_documents_cost_one_look() {
    let schema = json!({
        "type": "array", "uniqueItems": true,
        "items": { "type": "object", "additionalProperties": false, "required": ["a"],
            "properties": { "a": { "type": "string", "pattern": "^(([a-z])+.)+[A-Z]([a-z])+$", "maxLength": 5 } } },
    });
    let limits = Limits::new().body_bytes(2 << 20).json_items(1 << 20).json_string_bytes(2 << 20);
    let route = Route::new(Method::POST, "/").schema(Schema::new(schema.to_string()).unwrap());
    let layer = Validate::new().limits(limits).add_route(route).build().unwrap();
    for body in [
        format!("[{}0]", "0,".repeat(100_000)),
        format!("[{}0]", "{\"x\":1},".repeat(100_000)),
        format!("[{{\"a\":\"{}!\"}}]", "a".repeat(1 << 20)),
    ] {
        let answer = send(&layer, request(body));
        assert_eq!(answer.status, 422);
        assert_eq!(answer.json()["errors"].as_array().unwrap().len(), 1);
        assert!(answer.body.len() < 1000);
    }
}

/// Patterns take linear time, whatever they are.
#[test]
fn patterns_do_not_backtrack() {
    let layer = layer(&json!({ "type": "string", "pattern": "^(a+)+$" }));
    let body = format!("\"{}!\"", "a".repeat(10_000));
    assert_eq!(send(&layer, request(body)).status, 422);
}

fn instance() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..5).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-2.0_f64..3.0).prop_map(|real| json!(real)),
        "[ab]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        prop_oneof!["null", "boolean", "integer", "number", "string", "array", "object"]
            .prop_map(|kind| json!({ "type": kind })),
        (0..3_u64).prop_map(|limit| json!({ "maxLength": limit, "maxItems": limit, "maxProperties": limit })),
        (-2_i64..4).prop_map(|limit| json!({ "minimum": limit })),
        instance().prop_map(|value| json!({ "const": value })),
        Just(json!({ "pattern": "^a*$", "uniqueItems": true, "required": ["a"] })),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| json!({ "anyOf": [one, other] })),
            inner.clone().prop_map(|one| json!({ "not": one })),
            inner.clone().prop_map(|one| json!({ "items": one, "properties": { "a": one } })),
            (inner.clone(), inner).prop_map(|(one, other)| json!({ "allOf": [one], "additionalProperties": other })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Our verdict is the engine's own, which reads the document by itself.
    #[test]
    fn verdicts_are_the_engines(schema in schema(), instance in instance()) {
        let expected = jsonschema::validator_for(&schema).unwrap().is_valid(&instance);
        let answer = send(&layer(&schema), request(instance.to_string()));
        prop_assert_eq!(answer.status, if expected { 200 } else { 422 }, "{} {}", schema, instance);
    }
}
