//! A large description compiles, and serves.

use http::Method;
use serde_json::{Map, Value, json};
use tower_rampart::validate::{UnknownPaths, Validate, ValidateResponses};

use super::{document_30, read, request};
use crate::support::send;

const RESOURCES: usize = 120;

fn schema_of(at: usize) -> Value {
    let text = json!({ "type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[^\\u0000-\\u001f]+$" });
    let mut properties = Map::new();
    for member in 0..20 {
        let schema = match member % 5 {
            0 => text.clone(),
            1 => json!({ "type": "integer", "format": "int32", "nullable": true }),
            2 => json!({ "$ref": format!("#/components/schemas/Resource{}", (at * 7 + member) % RESOURCES) }),
            3 => {
                json!({ "type": "array", "items": { "$ref": format!("#/components/schemas/Resource{}", (at + member) % RESOURCES) }, "maxItems": 10 })
            }
            _ => json!({ "type": "string", "format": "date-time" }),
        };
        properties.insert(format!("member{member}"), schema);
    }
    properties.insert("id".to_owned(), json!({ "type": "string", "format": "uuid", "readOnly": true }));
    json!({ "type": "object", "required": ["id", "member0"], "properties": properties, "additionalProperties": false })
}

/// Hundreds of operations, each of whose schemas reaches most others: larger than what is usual.
fn large() -> Value {
    let mut paths = Map::new();
    for at in 0..RESOURCES {
        let body = json!({ "required": true, "content": { "application/json": { "schema": { "$ref": format!("#/components/schemas/Resource{at}") } } } });
        let responses = json!({ "200": { "description": "d", "content": { "application/json": { "schema": { "type": "object", "required": ["ok"] } } } } });
        let id =
            json!({ "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" } });
        let list = json!([
            { "$ref": "#/components/parameters/Page" },
            { "name": "filter", "in": "query", "style": "deepObject", "explode": true, "schema": { "type": "object", "additionalProperties": { "type": "string" } } },
        ]);
        let path = format!("/v1/resources{at}");
        paths.insert(path.clone(), json!({ "get": { "parameters": list, "responses": responses }, "post": { "requestBody": body, "responses": responses } }));
        paths.insert(format!("{path}/{{id}}"), json!({ "parameters": [id], "get": { "responses": responses }, "put": { "requestBody": body, "responses": responses }, "delete": { "responses": responses } }));
    }
    let schemas: Map<String, Value> = (0..RESOURCES).map(|at| (format!("Resource{at}"), schema_of(at))).collect();
    let mut document = document_30(Value::Object(paths));
    document["components"] = json!({
        "schemas": schemas,
        "parameters": { "Page": { "name": "page", "in": "query", "schema": { "type": "integer", "minimum": 1 } } },
    });
    document
}

#[test]
fn a_large_description_compiles_and_serves() {
    let api = read(&large()).unwrap();
    let layer = Validate::new().add_openapi(api.clone()).unknown_paths(UnknownPaths::Refuse).build().unwrap();
    let ask = |method: Method, target: &str, body: &str| {
        send(&layer, request(method, target, &[("content-type", "application/json")], body)).status
    };
    let last = format!("/v1/resources{}", RESOURCES - 1);
    let sound = r#"{"member0":"a","member1":null,"member2":{"member0":"b","member3":[{"member0":"c"}]}}"#;
    assert_eq!(ask(Method::POST, &last, sound), 200);
    assert_eq!(ask(Method::POST, &last, &sound.replace("\"c\"", "\"\"")), 422);
    assert_eq!(ask(Method::POST, &last, r#"{"member0":"a","id":"0198c7f0-0000-7000-8000-000000000000"}"#), 422);
    assert_eq!(ask(Method::GET, &format!("{last}?page=2&filter[a]=b"), ""), 200);
    assert_eq!(ask(Method::GET, &format!("{last}?page=0"), ""), 400);
    assert_eq!(ask(Method::DELETE, &format!("{last}/x"), ""), 400);
    assert_eq!(ask(Method::DELETE, &format!("{last}/0198c7f0-0000-7000-8000-000000000000"), ""), 200);
    assert_eq!(ask(Method::GET, "/v1/resources", ""), 404);
    assert!(ValidateResponses::new(api).build().is_ok());
}
