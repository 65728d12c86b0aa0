//! Text into values, against a naive writer: what it writes is read as what it was.

use http::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::parameters::schema_of;
use super::{errors, request, with_parameters};
use crate::support::send;

fn escaped(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => escaped(text),
        other => escaped(&other.to_string()),
    }
}

/// RFC 6570 and OpenAPI's own styles, written as their tables say it and in no other way.
fn written(style: &str, explode: bool, name: &str, value: &Value) -> String {
    let separator = match (style, explode) {
        ("label", true) => ".",
        ("matrix", true) => ";",
        ("form", true) => "&",
        ("spaceDelimited", _) => "%20",
        ("pipeDelimited", _) => "|",
        _ => ",",
    };
    let first = match style {
        "label" => ".",
        "matrix" => ";",
        _ => "",
    };
    let own = matches!(style, "form" | "matrix" | "spaceDelimited" | "pipeDelimited");
    let named = |text: String| if own { format!("{name}={text}") } else { text };
    let body = match value {
        Value::Array(items) if explode && own => {
            items.iter().map(|item| named(text_of(item))).collect::<Vec<_>>().join(separator)
        }
        Value::Array(items) => named(items.iter().map(text_of).collect::<Vec<_>>().join(separator)),
        Value::Object(members) if style == "deepObject" => {
            let each = members.iter().map(|(key, value)| format!("{name}[{}]={}", escaped(key), text_of(value)));
            each.collect::<Vec<_>>().join("&")
        }
        Value::Object(members) if explode => {
            let each = members.iter().map(|(key, value)| format!("{}={}", escaped(key), text_of(value)));
            each.collect::<Vec<_>>().join(separator)
        }
        Value::Object(members) => {
            let each = members.iter().flat_map(|(key, value)| [escaped(key), text_of(value)]);
            named(each.collect::<Vec<_>>().join(separator))
        }
        value => named(text_of(value)),
    };
    format!("{first}{body}")
}

fn scalar() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<i64>().prop_map(Value::from),
        // Texts that no list of numbers and texts takes for a number.
        "[a-z ,.;&=|+%/\\[\\]é][a-z0-9 ,.;&=|+%/é-]{0,6}".prop_map(Value::from),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        scalar(),
        any::<bool>().prop_map(Value::from),
        proptest::collection::vec(scalar(), 1..4).prop_map(Value::from),
        proptest::collection::btree_map("[a-z][a-z ,.é]{0,4}", scalar(), 1..4)
            .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
    ]
}

/// Where each style stands, and whether it can write a value of this kind.
fn fits(place: &str, style: &str, explode: bool, value: &Value) -> bool {
    let (is_list, is_object) = (value.is_array(), value.is_object());
    // In a path, what is `/` or a dot segment when it is decoded is refused before anybody reads it.
    let is_odd = place == "path" && text_has_slash(value);
    match style {
        "deepObject" => is_object && explode,
        "spaceDelimited" | "pipeDelimited" => (is_list || is_object) && !explode && !has_space(value),
        // Dots are not escaped by anybody, and separate here.
        "label" if explode => !is_odd && !value.to_string().contains('.'),
        _ => !is_odd,
    }
}

fn text_has_slash(value: &Value) -> bool {
    let has = |text: &str| text.contains(['/', '\\', '%']);
    let is_dots = |value: &Value| matches!(value.as_str(), Some("." | ".."));
    has(&value.to_string())
        || is_dots(value)
        || value.as_array().is_some_and(|items| items.len() == 1 && is_dots(&items[0]))
}

/// A space is the separator itself, in the only spelling that it has.
fn has_space(value: &Value) -> bool {
    value.to_string().contains([' ', '|'])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, max_global_rejects: 100_000, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read(
        value in value(),
        other in value(),
        (place, style) in prop_oneof![
            Just(("path", "simple")), Just(("path", "label")), Just(("path", "matrix")),
            Just(("query", "form")), Just(("query", "spaceDelimited")), Just(("query", "pipeDelimited")), Just(("query", "deepObject")),
            Just(("cookie", "form")),
        ],
        explode in any::<bool>(),
    ) {
        prop_assume!(fits(place, style, explode, &value));
        // A segment that begins so may be a dot segment to somebody, and is refused before anybody reads it.
        let begin = |value: &Value| written(style, explode, "q", value).chars().take(3).collect::<String>();
        prop_assume!(place != "path" || !(begin(&value).starts_with(".%") || begin(&value) == "%2E"));
        let path = if place == "path" { "/a/{q}" } else { "/a" };
        let of = |value: &Value| {
            let schema = schema_of(value);
            with_parameters(path, json!([{ "name": "q", "in": place, "required": true, "style": style, "explode": explode, "schema": schema }]))
        };
        let mut text = written(style, explode, "q", &value);
        let ask = |layer: &_, text: &str| match place {
            "path" => send(layer, request(Method::GET, &format!("/a/{text}"), &[], "")),
            "cookie" => send(layer, request(Method::GET, "/a", &[("cookie", &text.replace('&', "; "))], "")),
            _ => send(layer, request(Method::GET, &format!("/a?{text}"), &[], "")),
        };
        let answer = ask(&of(&value), &text);
        prop_assert_eq!(answer.status, 200, "{} {} {} {}: {:?}", style, explode, text, value, errors(&answer));
        if other != value {
            // Written alike, but of another value, it is not that value.
            if fits(place, style, explode, &other) && written(style, explode, "q", &other) != text {
                prop_assert_ne!(ask(&of(&other), &text).status, 200, "{} {} {} {}", style, explode, text, other);
            }
        }
            text.push_str("&q=x");
        if place == "query" && !value.is_array() && style != "deepObject" && !value.is_object() {
            prop_assert_eq!(ask(&of(&value), &text).status, 400, "{}", text);
        }
    }

    /// Whatever stands there, it is judged, and nothing of it is told.
    #[test]
    fn nothing_is_echoed(text in "(s3cret|[%&=;,.|\\[\\]+0-9a-f]){0,8}", cookie in "(s3cret|q|[%&=;,. ]){0,8}") {
        let schema = json!({ "type": "object", "properties": { "a": { "type": "integer" } }, "additionalProperties": false });
        let layer = with_parameters("/{p}", json!([
            { "name": "p", "in": "path", "required": true, "style": "matrix", "schema": { "type": "array", "items": { "type": "integer" } } },
            { "name": "q", "in": "query", "style": "deepObject", "explode": true, "schema": schema },
            { "name": "r", "in": "query", "style": "pipeDelimited", "explode": false, "schema": schema },
            { "name": "q", "in": "cookie", "explode": false, "schema": schema },
            { "name": "q", "in": "header", "schema": schema },
        ]));
        for target in [format!("/{text}"), format!("/;p=1?{text}"), format!("/;p=1?q={text}"), format!("/;p=1?q[{text}]={text}&r={text}")] {
            let Ok(target) = target.parse::<http::Uri>() else { continue };
            let fields = [("cookie", &*cookie), ("q", &*text)];
            let answer = send(&layer, request(Method::GET, &target.to_string(), &fields, ""));
            prop_assert!(!String::from_utf8_lossy(&answer.body).contains("s3cret"), "{}", target);
        }
    }
}
