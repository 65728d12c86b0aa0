//! What OpenAPI's schemas mean, by version.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::{document, document_30, errors, layer, post_json, read, with_schema};

/// Each value with the status that it is answered.
fn judge(document: fn(Value) -> Value, schema: Value, cases: &[(Value, u16)]) {
    let layer = with_schema(document, schema.clone());
    for (value, status) in cases {
        let answer = post_json(&layer, value);
        assert_eq!(answer.status, *status, "{schema} {value}: {:?}", errors(&answer));
    }
}

/// With components beside it.
fn judge_with(mut described: Value, components: Value, cases: &[(Value, u16)]) {
    let reference = json!({ "$ref": "#/components/schemas/Root" });
    described["paths"] =
        json!({ "/": { "post": { "requestBody": { "content": { "application/json": { "schema": reference } } } } } });
    described["components"] = json!({ "schemas": components });
    let layer = layer(&described);
    for (value, status) in cases {
        let answer = post_json(&layer, value);
        assert_eq!(answer.status, *status, "{components} {value}: {:?}", errors(&answer));
    }
}

/// OpenAPI 3.0.3, "nullable": it counts beside a type, and an enumeration lists null itself.
#[test]
fn nullable() {
    judge(
        document_30,
        json!({ "type": "string", "nullable": true }),
        &[(json!(null), 200), (json!("a"), 200), (json!(1), 422)],
    );
    judge(document_30, json!({ "type": "string" }), &[(json!(null), 422)]);
    judge(
        document_30,
        json!({ "type": "string", "nullable": true, "enum": ["a"] }),
        &[(json!(null), 422), (json!("a"), 200)],
    );
    judge(document_30, json!({ "type": "string", "nullable": true, "enum": ["a", null] }), &[(json!(null), 200)]);
    judge(document, json!({ "type": ["string", "null"] }), &[(json!(null), 200)]);
    // It is no keyword of 3.1.
    judge(document, json!({ "type": "string", "nullable": true }), &[(json!(null), 422)]);
}

#[test]
fn exclusive_limits() {
    let old = json!({ "minimum": 1, "exclusiveMinimum": true, "maximum": 3, "exclusiveMaximum": false });
    judge(document_30, old, &[(json!(1), 422), (json!(2), 200), (json!(3), 200), (json!(3.1), 422)]);
    judge(document, json!({ "exclusiveMinimum": 1 }), &[(json!(1), 422), (json!(1.1), 200)]);
    for (document, schema) in [
        (document as fn(Value) -> Value, json!({ "exclusiveMinimum": true })),
        (document_30, json!({ "exclusiveMinimum": 1 })),
    ] {
        let content = json!({ "application/json": { "schema": schema } });
        let error = read(&document(json!({ "/": { "post": { "requestBody": { "content": content } } } }))).unwrap_err();
        assert!(error.contains("/schema/exclusiveMinimum: "), "{error}");
    }
}

/// In 3.0 nothing beside a reference counts; in 3.1 all does.
#[test]
fn siblings_of_references() {
    let components =
        json!({ "Root": { "$ref": "#/components/schemas/Text", "maxLength": 1 }, "Text": { "type": "string" } });
    judge_with(document_30(json!({})), components.clone(), &[(json!("abc"), 200), (json!(1), 422)]);
    judge_with(document(json!({})), components, &[(json!("abc"), 422), (json!("a"), 200)]);
}

#[test]
fn formats() {
    for (format, good, bad) in [
        ("byte", "YWJj", "YW=Jj"),
        ("byte", "YQ==", "YQ="),
        ("date", "2026-11-25", "2026-13-01"),
        ("date-time", "2026-11-25T12:00:00Z", "2026-11-25"),
        ("uuid", "0198c7f0-0000-7000-8000-000000000000", "0198c7f0"),
        ("email", "a@b.example", "a"),
        ("ipv4", "127.0.0.1", "127.0.0.256"),
        ("uri", "https://a.example/", "a"),
    ] {
        for document in [document, document_30] {
            judge(document, json!({ "type": "string", "format": format }), &[(json!(good), 200), (json!(bad), 422)]);
        }
    }
    // They say how something is shown, or nobody knows them: the type alone is judged.
    for format in ["password", "binary", "no-such-format"] {
        judge(document, json!({ "type": "string", "format": format }), &[(json!("a"), 200), (json!(1), 422)]);
    }
    judge(
        document,
        json!({ "type": "integer", "format": "int32" }),
        &[(json!(2_147_483_647), 200), (json!(2_147_483_648_i64), 422), (json!(1.5), 422)],
    );
    judge(document, json!({ "type": "integer", "format": "int64" }), &[(json!(i64::MAX), 200), (json!(u64::MAX), 422)]);
}

/// A `readOnly` member is not sent by clients, and then not required of them; wherever it is said.
#[test]
fn read_only_members() {
    let plain = json!({ "type": "object", "required": ["id", "name"], "properties": { "id": { "readOnly": true, "type": "integer" }, "name": {} } });
    let cases = [
        (json!({ "name": 1 }), 200),
        (json!({ "id": 1, "name": 1 }), 422),
        (json!({ "id": 1 }), 422),
        (json!({}), 422),
    ];
    judge(document_30, plain.clone(), &cases);
    judge(document, plain, &cases);
    let referred = json!({ "Id": { "type": "integer", "readOnly": true }, "Root": { "required": ["id", "name"], "properties": { "id": { "$ref": "#/components/schemas/Id" }, "name": {} } } });
    judge_with(document_30(json!({})), referred.clone(), &cases);
    judge_with(document(json!({})), referred, &cases);
    let composed = json!({
        "Base": { "properties": { "id": { "allOf": [{ "type": "integer" }, { "readOnly": true }] } } },
        "Root": { "allOf": [{ "$ref": "#/components/schemas/Base" }, { "required": ["id", "name"] }], "properties": { "name": {} } },
    });
    judge_with(document_30(json!({})), composed, &cases);
    let inherited = json!({
        "Base": { "required": ["id"], "properties": { "name": {} } },
        "Root": { "allOf": [{ "$ref": "#/components/schemas/Base" }], "required": ["name"], "properties": { "id": { "readOnly": true } } },
    });
    judge_with(document_30(json!({})), inherited, &cases);
    // What only servers may not send, clients may.
    judge(
        document,
        json!({ "required": ["p"], "properties": { "p": { "writeOnly": true } } }),
        &[(json!({ "p": 1 }), 200), (json!({}), 422)],
    );
}

fn pets(extra: Value) -> Value {
    let mut components = json!({
        "Cat": { "type": "object", "required": ["kind", "lives"], "properties": { "kind": { "type": "string" }, "lives": { "type": "integer" } } },
        "Dog": { "type": "object", "required": ["kind", "bark"], "properties": { "kind": { "type": "string" }, "bark": { "type": "string" } } },
    });
    components["Root"] = extra;
    components
}

#[test]
fn a_discriminator_chooses() {
    let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let root = |mapping: Value| json!({ "oneOf": [of("Cat"), of("Dog")], "discriminator": { "propertyName": "kind", "mapping": mapping } });
    let cat = |kind: &str| json!({ "kind": kind, "lives": 9 });
    for document in [document_30(json!({})), document(json!({}))] {
        judge_with(
            document.clone(),
            pets(root(json!({}))),
            &[
                (cat("Cat"), 200),
                (json!({ "kind": "Dog", "bark": "wow" }), 200),
                (cat("Dog"), 422),
                (cat("Bird"), 422),
                (json!({ "lives": 9 }), 422),
                (json!(1), 422),
                (json!(null), 422),
            ],
        );
        let mapping = json!({ "cat": "#/components/schemas/Cat", "kitten": "Cat" });
        judge_with(
            document,
            pets(root(mapping)),
            &[(cat("cat"), 200), (cat("kitten"), 200), (cat("Cat"), 200), (cat("dog"), 422)],
        );
    }
    // What is wrong is told in the words of the one that was chosen.
    let mut described = document(
        json!({ "/": { "post": { "requestBody": { "content": { "application/json": { "schema": of("Root") } } } } } }),
    );
    described["components"] = json!({ "schemas": pets(root(json!({}))) });
    let answer = post_json(&layer(&described), &json!({ "kind": "Cat", "lives": "nine" }));
    assert_eq!(errors(&answer), [["body", "", "type", "#/lives"].map(str::to_owned)]);
}

/// OpenAPI 3.0, "Models with Polymorphism Support": the heirs of a schema are its alternatives.
#[test]
fn a_discriminator_without_alternatives_chooses_among_heirs() {
    let heir = |member: &str, parent: &str| {
        let own = json!({ "type": "object", "required": [member], "properties": { member: { "type": "integer" } } });
        json!({ "allOf": [{ "$ref": format!("#/components/schemas/{parent}") }, own] })
    };
    let components = json!({
        "Root": { "type": "object", "required": ["kind"], "properties": { "kind": { "type": "string" } }, "discriminator": { "propertyName": "kind", "mapping": { "dog": "Dog" } } },
        "Cat": heir("lives", "Root"),
        "Dog": heir("bark", "Root"),
        "Puppy": heir("age", "Dog"),
    });
    judge_with(
        document_30(json!({})),
        components,
        &[
            (json!({ "kind": "Cat", "lives": 9 }), 200),
            (json!({ "kind": "Cat" }), 422),
            (json!({ "kind": "dog", "bark": 1 }), 200),
            (json!({ "kind": "Puppy", "bark": 1, "age": 1 }), 200),
            (json!({ "kind": "Puppy", "bark": 1 }), 422),
            (json!({ "kind": "Root" }), 200),
            (json!({ "kind": "Bird" }), 422),
        ],
    );
}

#[test]
fn schemas_may_contain_themselves() {
    let components = json!({ "Root": { "type": "object", "properties": { "next": { "$ref": "#/components/schemas/Root" }, "n": { "type": "integer" } }, "additionalProperties": false } });
    for document in [document_30(json!({})), document(json!({}))] {
        judge_with(
            document,
            components.clone(),
            &[
                (json!({ "next": { "next": { "n": 1 } } }), 200),
                (json!({ "next": { "next": { "n": "x" } } }), 422),
                (json!({ "next": { "x": 1 } }), 422),
            ],
        );
    }
}

#[test]
fn newer_keywords() {
    judge(
        document,
        json!({ "prefixItems": [{ "type": "integer" }], "items": { "type": "string" } }),
        &[(json!([1, "a"]), 200), (json!(["a"]), 422)],
    );
    judge(
        document,
        json!({ "if": { "type": "integer" }, "then": { "minimum": 3 }, "else": { "type": "string" } }),
        &[(json!(3), 200), (json!(2), 422), (json!(null), 422)],
    );
    judge(
        document,
        json!({ "patternProperties": { "^x-": { "type": "integer" } }, "unevaluatedProperties": false }),
        &[(json!({ "x-a": 1 }), 200), (json!({ "a": 1 }), 422)],
    );
    judge(
        document,
        json!({ "allOf": [{ "properties": { "a": true } }], "unevaluatedProperties": false }),
        &[(json!({ "a": 1 }), 200), (json!({ "b": 1 }), 422)],
    );
    judge(
        document,
        json!({ "dependentRequired": { "a": ["b"] } }),
        &[(json!({ "a": 1 }), 422), (json!({ "a": 1, "b": 1 }), 200)],
    );
    judge(document, json!({ "const": { "a": [1] } }), &[(json!({ "a": [1] }), 200), (json!({ "a": [2] }), 422)]);
    judge(document, json!(false), &[(json!(1), 422)]);
    judge(
        document,
        json!({ "$defs": { "n": { "type": "integer" } }, "$ref": "#/paths/~1/post/requestBody/content/application~1json/schema/$defs/n" }),
        &[(json!(1), 200), (json!("a"), 422)],
    );
}

fn instance() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..5).prop_map(Value::from),
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

/// Schemas that mean the same in JSON Schema and in 3.1; references lead into `$defs`, which both have.
fn schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(true)),
        prop_oneof!["null", "boolean", "integer", "number", "string", "array", "object"]
            .prop_map(|kind| json!({ "type": kind })),
        (0..3_u64).prop_map(|limit| json!({ "maxLength": limit, "maxItems": limit, "minProperties": limit })),
        (-2_i64..4).prop_map(|limit| json!({ "exclusiveMinimum": limit, "multipleOf": 0.5 })),
        instance().prop_map(|value| json!({ "const": value })),
        instance().prop_map(|value| json!({ "enum": [value, null] })),
        Just(json!({ "pattern": "^a*$", "uniqueItems": true, "required": ["a"] })),
        Just(json!({ "$ref": "#/components/schemas/Defined" })),
    ];
    leaf.prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(one, other)| json!({ "anyOf": [one, other] })),
            (inner.clone(), inner.clone()).prop_map(|(one, other)| json!({ "oneOf": [one, other] })),
            inner.clone().prop_map(|one| json!({ "not": one })),
            (inner.clone(), inner.clone())
                .prop_map(|(one, other)| json!({ "prefixItems": [one], "items": other, "contains": one })),
            (inner.clone(), inner.clone()).prop_map(
                |(one, other)| json!({ "allOf": [one], "properties": { "a": other }, "unevaluatedProperties": false })
            ),
            (inner.clone(), inner)
                .prop_map(|(one, other)| json!({ "if": one, "then": other, "propertyNames": { "maxLength": 1 } })),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    /// For what means the same in both, our verdict is that of JSON Schema on the document as it is.
    #[test]
    fn verdicts_of_3_1_are_those_of_json_schema(schema in schema(), defined in schema(), instance in instance()) {
        // A reference that only leads to itself means nothing.
        prop_assume!(!defined.to_string().contains("$ref"));
        let mut described = document(json!({ "/": { "post": { "requestBody": { "content": { "application/json": { "schema": schema } } } } } }));
        described["components"] = json!({ "schemas": { "Defined": defined } });
        let reference = json!({ "$ref": "#/paths/~1/post/requestBody/content/application~1json/schema" });
        let mut whole = described.clone();
        whole["$ref"] = reference["$ref"].clone();
        let expected = jsonschema::options().offline().build(&whole).unwrap().is_valid(&instance);
        let answer = post_json(&layer(&described), &instance);
        prop_assert_eq!(answer.status, if expected { 200 } else { 422 }, "{} {} {}", schema, defined, instance);
    }
}
