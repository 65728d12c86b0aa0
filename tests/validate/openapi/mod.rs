//! OpenAPI documents.
#![cfg(feature = "openapi")]

mod bodies;
mod config;
mod documents;
mod large;
mod parameters;
mod responses;
mod routes;
mod schemas;
mod values;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use serde_json::{Value, json};
use tower_rampart::validate::{OpenApi, Validate, ValidateLayer};

use crate::support::{Answer, send};

/// A description with these paths.
pub(crate) fn document(paths: Value) -> Value {
    json!({ "openapi": "3.1.0", "info": { "title": "t", "version": "1" }, "paths": paths })
}

/// The same of version 3.0.
pub(crate) fn document_30(paths: Value) -> Value {
    json!({ "openapi": "3.0.3", "info": { "title": "t", "version": "1" }, "paths": paths })
}

pub(crate) fn read(document: &Value) -> Result<OpenApi, String> {
    OpenApi::from_json(document.to_string()).map_err(|error| error.to_string())
}

pub(crate) fn layer(document: &Value) -> ValidateLayer {
    Validate::new().add_openapi(read(document).unwrap()).build().unwrap()
}

/// One operation, `GET /{...}`, with these parameters.
pub(crate) fn with_parameters(path: &str, parameters: Value) -> ValidateLayer {
    layer(&document(json!({ path: { "get": { "parameters": parameters } } })))
}

/// One operation, `POST /`, with a JSON body of this schema.
pub(crate) fn with_schema(document: fn(Value) -> Value, schema: Value) -> ValidateLayer {
    let content = json!({ "application/json": { "schema": schema } });
    layer(&document(json!({ "/": { "post": { "requestBody": { "required": true, "content": content } } } })))
}

pub(crate) fn request(method: Method, target: &str, fields: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}

pub(crate) fn get(layer: &ValidateLayer, target: &str) -> Answer {
    send(layer, request(Method::GET, target, &[], ""))
}

pub(crate) fn post_json(layer: &ValidateLayer, body: &Value) -> Answer {
    let body = body.to_string();
    send(layer, request(Method::POST, "/", &[("content-type", "application/json")], &body))
}

/// The `in`, `name`, `keyword` and `pointer` of each error.
pub(crate) fn errors(answer: &Answer) -> Vec<[String; 4]> {
    let body = answer.json();
    let text = |error: &Value, name: &str| error[name].as_str().unwrap_or_default().to_owned();
    let errors = body["errors"].as_array().cloned().unwrap_or_default();
    errors.iter().map(|error| ["in", "name", "keyword", "pointer"].map(|name| text(error, name))).collect()
}
