//! Documents that are wrong: all of it is told, each with its place, and nothing is fetched.

use serde_json::{Value, json};
use tower_rampart::validate::OpenApi;

use super::{document, document_30, read};

fn lines(error: &str) -> Vec<String> {
    error.lines().filter_map(|line| line.strip_prefix("  ")).map(str::to_owned).collect()
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let described = document(json!({
        "no-slash": {},
        "/a//b": {},
        "/a/{x}": { "get": {} },
        "/b": {
            "get": {
                "parameters": [
                    { "name": "x", "in": "path", "required": true, "schema": {} },
                    { "name": "q", "in": "somewhere" },
                    { "in": "query" },
                    { "name": "r", "in": "query" },
                    { "name": "s", "in": "query", "style": "matrix", "schema": {} },
                    { "name": "t", "in": "query", "style": "deepObject", "schema": { "type": "string" } },
                    { "name": "u", "in": "query", "required": "yes", "schema": { "type": "strin", "minLength": -1 } },
                    { "name": "u", "in": "query", "schema": {} },
                    { "$ref": "#/components/parameters/Nowhere" },
                    { "name": "a b", "in": "header", "schema": {} },
                ],
                "requestBody": { "content": { "json": {}, "application/json": { "schema": {
                    "properties": { "a/b": { "pattern": "(" }, "c": { "$ref": "https://example.com/" }, "d": 1 },
                    "required": "a", "enum": [], "allOf": [], "multipleOf": 0, "$id": "https://example.com/",
                } } } },
            },
        },
    }));
    let error = read(&described).unwrap_err();
    let body = "#/paths/~1b/get/requestBody/content";
    let schema = format!("{body}/application~1json/schema");
    let at = |index: usize| format!("#/paths/~1b/get/parameters/{index}");
    for place in [
        "#/paths/no-slash",
        "#/paths/~1a~1~1b",
        "#/paths/~1a~1{x}/get",
        &at(0),
        &format!("{}/in", at(1)),
        &at(2),
        &at(3),
        &format!("{}/style", at(4)),
        &format!("{}/style", at(5)),
        &format!("{}/required", at(6)),
        &format!("{}/schema/type", at(6)),
        &format!("{}/schema/minLength", at(6)),
        &at(7),
        &format!("{}/$ref", at(8)),
        "#/paths/~1b/get",
        &format!("{body}/json"),
        &format!("{schema}/properties/a~1b/pattern"),
        &format!("{schema}/properties/c/$ref"),
        &format!("{schema}/properties/d"),
        &format!("{schema}/required"),
        &format!("{schema}/enum"),
        &format!("{schema}/allOf"),
        &format!("{schema}/multipleOf"),
        &format!("{schema}/$id"),
    ] {
        assert!(lines(&error).iter().any(|line| line.starts_with(&format!("{place}: "))), "{place} is not in\n{error}");
    }
    assert!(error.contains(&format!("has {} problems:", lines(&error).len())), "{error}");
}

#[test]
fn a_document_is_one_of_openapi_3() {
    for (text, message) in [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("{\"openapi\":\"3.1.0\",\"openapi\":\"3.1.0\"}", "an object has a member twice"),
        ("{}", "#/openapi: the version is none of"),
        ("[]", "#/openapi: the version is none of"),
        ("{\"openapi\":\"3.9.0\",\"paths\":{}}", "#/openapi: the version is none of"),
        ("{\"openapi\":\"2.0\",\"paths\":{}}", "#/openapi: the version is none of"),
        ("{\"swagger\":\"2.0\",\"paths\":{}}", "#/openapi: the document is of Swagger 2.0"),
        ("{\"openapi\":\"3.0.3\"}", "#: has no `paths`"),
        ("{\"openapi\":\"3.1.0\",\"paths\":[]}", "#/paths: is no object"),
        ("{\"openapi\":\"3.1.0\",\"paths\":{\"/a\":[]}}", "#/paths/~1a: is no object"),
        ("{\"openapi\":\"3.1.0\",\"paths\":{\"/a\":{\"get\":1}}}", "#/paths/~1a/get: is no object"),
        ("{\"openapi\":\"3.1.0\",\"paths\":{\"/a\":{\"get\":{\"parameters\":{}}}}}", "parameters: is no list"),
    ] {
        let error = OpenApi::from_json(text).map(|_| ()).expect_err(text);
        assert_eq!(error.setting(), "openapi");
        assert!(error.to_string().contains(message), "{text}: {error}");
    }
    for version in ["3.0.0", "3.0.4", "3.1.0", "3.1.2", "3.2.0"] {
        assert!(read(&json!({ "openapi": version, "paths": {} })).is_ok(), "{version}");
    }
}

/// Nothing is fetched, opened, or followed out of the document, whatever features of the engine strangers turn on.
#[test]
fn references_stay_inside() {
    let file = std::env::temp_dir().join(format!("tower-rampart-openapi-{}.json", std::process::id()));
    std::fs::write(&file, "{}").unwrap();
    let own_file = format!("file://{}", file.display());
    for reference in [
        "http://169.254.169.254/latest",
        "https://example.com/a.json#/b",
        "file:///etc/passwd",
        &own_file,
        "other.json",
        "#/components/schemas/Nowhere",
        "#anchor",
        "#/paths/%ff",
        "",
        "#/components/schemas/Loop",
    ] {
        let schema = json!({ "$ref": reference });
        let loops = json!({ "Loop": { "$ref": "#/components/schemas/Loop" } });
        let mut in_schema = document(
            json!({ "/": { "post": { "requestBody": { "content": { "application/json": { "schema": schema } } } } } }),
        );
        in_schema["components"] = json!({ "schemas": loops });
        let mut in_parameter = document(json!({ "/": { "get": { "parameters": [schema] } } }));
        in_parameter["components"] = json!({ "schemas": loops });
        let in_path = document(json!({ "/": schema }));
        for described in [in_parameter, in_path] {
            assert!(read(&described).is_err(), "{described}");
        }
        let error = read(&in_schema).unwrap_err();
        assert!(error.contains("/schema") && error.contains(": the reference"), "{error}");
    }
    std::fs::remove_file(&file).unwrap();
}

/// Where nothing is judged by it, a reference that leads out is wrong as well. What only looks like one is data.
#[test]
fn all_references_are_looked_at() {
    let bad = json!({ "$ref": "http://169.254.169.254/" });
    let response = json!({ "default": { "content": { "application/json": { "schema": { "items": bad } } } } });
    let error = read(&document(json!({ "/": { "get": { "responses": response } } }))).unwrap_err();
    assert!(
        error.contains("#/paths/~1/get/responses/default/content/application~1json/schema/items/$ref: "),
        "{error}"
    );
    let mut described = document(json!({}));
    described["components"] = json!({ "schemas": { "A": { "properties": { "default": bad } } } });
    let error = read(&described).unwrap_err();
    assert!(error.contains("#/components/schemas/A/properties/default/$ref: "), "{error}");
    described["components"] = json!({ "schemas": { "A": {
        "default": bad, "example": { "a": bad }, "examples": [bad], "enum": [bad], "const": bad, "x-own": bad,
        "properties": { "$ref": { "type": "string" } },
    } } });
    assert!(read(&described).is_ok());
}

/// A schema that is nothing but a way back to itself would let everything through. One that contains itself is another thing.
#[test]
fn schemas_that_lead_round_in_a_circle_are_faults() {
    let of = |version: fn(Value) -> Value, schemas: Value| {
        let schema = json!({ "properties": { "a": { "$ref": "#/components/schemas/A" } } });
        let mut error = None;
        for schema in [json!({ "$ref": "#/components/schemas/A" }), schema] {
            let content = json!({ "application/json": { "schema": schema } });
            let mut described = version(json!({ "/": { "post": { "requestBody": { "content": content } } } }));
            described["components"] = json!({ "schemas": schemas });
            error = read(&described).map(|_| ()).err();
            assert_eq!(error.is_some(), schemas["C"].is_null(), "{described}");
        }
        error
    };
    let to = |name: &str| format!("#/components/schemas/{name}");
    for (version, schemas) in [
        (document as fn(Value) -> Value, json!({ "A": { "$ref": to("A") } })),
        (document, json!({ "A": { "$ref": to("B") }, "B": { "$ref": to("A"), "description": "d" } })),
        (document_30, json!({ "A": { "$ref": to("B"), "type": "object" }, "B": { "$ref": to("A") } })),
    ] {
        assert!(of(version, schemas).unwrap().contains("the reference leads round in a circle"));
    }
    let sound = json!({ "A": { "$ref": to("B") }, "B": { "$ref": to("C") }, "C": { "properties": { "a": { "$ref": to("A") } } } });
    assert_eq!(of(document, sound), None);
}

/// What judges in JSON Schema and is none of 3.0 would be passed over, and let everything through.
#[test]
fn newer_keywords_are_faults_in_3_0() {
    for schema in [
        json!({ "const": 1 }),
        json!({ "if": {} }),
        json!({ "patternProperties": {} }),
        json!({ "type": ["string"] }),
        json!({ "type": "null" }),
        json!(true),
    ] {
        let content = json!({ "application/json": { "schema": schema } });
        let described = document_30(json!({ "/": { "post": { "requestBody": { "content": content } } } }));
        assert!(read(&described).is_err(), "{schema}");
    }
}

/// What 3.2 adds and means something else here is not passed over.
#[test]
fn what_3_2_adds_is_told() {
    let of = |media: Value| {
        let mut described =
            document(json!({ "/": { "post": { "requestBody": { "content": { "application/json": media } } } } }));
        described["openapi"] = json!("3.2.0");
        read(&described)
    };
    let chosen = json!({ "oneOf": [], "discriminator": { "propertyName": "kind", "defaultMapping": "Cat" } });
    let error = of(json!({ "schema": chosen })).unwrap_err();
    assert!(error.contains("/schema/discriminator/defaultMapping: is not followed here"), "{error}");
    let api = of(json!({ "itemSchema": { "type": "string" } })).unwrap();
    assert!(
        api.warnings().all(|warning| warning.contains("/itemSchema: items of a sequence"))
            && api.warnings().count() == 1
    );
}

#[test]
fn what_is_not_judged_is_told() {
    let described = document(json!({ "/": { "post": { "requestBody": { "content": {
        "application/json": { "schema": { "format": "no-such-format", "no-such-keyword": 1, "nullable": true } },
        "multipart/form-data": { "schema": {} },
        "application/xml": { "schema": {} },
    } } } } }));
    let api = read(&described).unwrap();
    let warnings: Vec<_> = api.warnings().collect();
    assert_eq!(warnings.len(), 5, "{warnings:?}");
    assert!(warnings.iter().all(|warning| warning.starts_with("#/paths/~1/post/requestBody/content/")), "{warnings:?}");
}

/// Patterns take linear time, so that look-around is none.
#[test]
fn patterns_are_linear() {
    let of = |pattern: &str| {
        read(&document(
            json!({ "/": { "get": { "parameters": [{ "name": "q", "in": "query", "schema": { "type": "string", "pattern": pattern } }] } } }),
        ))
    };
    assert!(of("(?=a)b").unwrap_err().contains("schema/pattern: the pattern"));
    let api = of("^(a+)+$").unwrap();
    let layer = tower_rampart::validate::Validate::new().add_openapi(api).build().unwrap();
    assert_eq!(super::get(&layer, &format!("/?q={}!", "a".repeat(3000))).status, 400);
}

#[test]
fn depth_and_size_are_bounded() {
    let mut deep = json!({});
    for _ in 0..200 {
        deep = json!({ "items": deep });
    }
    let described = document(
        json!({ "/": { "post": { "requestBody": { "content": { "application/json": { "schema": deep } } } } } }),
    );
    assert!(read(&described).unwrap_err().contains("it is nested too deeply"));
    // References that multiply are written once each.
    let level = |at: usize| {
        let below = format!("#/components/schemas/L{}", at + 1);
        (format!("L{at}"), json!({ "properties": { "a": { "$ref": below }, "b": { "$ref": below } } }))
    };
    let mut schemas: serde_json::Map<String, Value> = (0..60).map(level).collect();
    schemas.insert("L60".to_owned(), json!({ "type": "integer" }));
    let root = json!({ "$ref": "#/components/schemas/L0" });
    let mut described = document(
        json!({ "/": { "post": { "requestBody": { "content": { "application/json": { "schema": root } } } } } }),
    );
    described["components"] = json!({ "schemas": schemas });
    assert!(read(&described).is_ok());
}

#[cfg(feature = "openapi-yaml")]
#[test]
fn yaml_is_the_same() {
    let text = "openapi: 3.0.3\ninfo: &i {title: t, version: '1'}\npaths:\n  /a:\n    get:\n      parameters:\n        - name: q\n          in: query\n          schema: {type: integer, maximum: 9}\n      responses:\n        200: {description: *i}\n";
    let api = OpenApi::from_yaml(text).unwrap();
    let layer = tower_rampart::validate::Validate::new().add_openapi(api).build().unwrap();
    assert_eq!((super::get(&layer, "/a?q=9").status, super::get(&layer, "/a?q=10").status), (200, 400));
    for (text, message) in [
        ("openapi: 3.1.0\nopenapi: 3.1.0\n", "twice"),
        ("openapi: [", "cannot be read"),
        ("openapi: .nan", "cannot be read"),
        ("a: &a {required: [b]}\nb: {<<: *a}\n", "`<<` merges nothing"),
        ("? [a]\n: 1", "cannot be read"),
        ("openapi: 3.1.0\npaths: {a: {}}", "#/paths/a: the path does not begin"),
    ] {
        let error = OpenApi::from_yaml(text).map(|_| ()).expect_err(text).to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    // An alias may stand for much, and for more the more there are.
    let mut bomb = String::from("a0: &a0 [1,1,1,1,1,1,1,1,1,1]\n");
    for at in 1..12 {
        let before = vec![format!("*a{}", at - 1); 10].join(",");
        bomb.push_str(&format!("a{at}: &a{at} [{before}]\n"));
    }
    assert!(OpenApi::from_yaml(bomb).is_err());
    assert!(OpenApi::from_yaml(format!("a: {}{}", "[".repeat(500), "]".repeat(500))).is_err());
}
