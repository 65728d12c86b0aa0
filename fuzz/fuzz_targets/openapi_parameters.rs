//! Whatever stands in a target, cookies, fields and forms, it is decoded and judged without a panic, and twice alike.
#![no_main]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, Uri};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_rampart::validate::{CheckedBody, OpenApi, Validate, ValidateLayer};
use tower_service::Service;

#[derive(Clone)]
struct Handler;

impl Service<Request<CheckedBody<Full<Bytes>>>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<CheckedBody<Full<Bytes>>>) -> Self::Future {
        ready(Ok(Response::new(Full::default())))
    }
}

/// An operation for each style and kind, with and without `explode`.
static LAYER: LazyLock<ValidateLayer> = LazyLock::new(|| {
    let schemas = [
        serde_json::json!({ "type": ["integer", "boolean", "string"] }),
        serde_json::json!({ "type": "array", "items": { "type": "number" } }),
        serde_json::json!({ "type": "object", "properties": { "a": { "type": "integer" }, "b": { "type": "array", "items": {} } } }),
    ];
    let styles = [
        ("path", "simple"), ("path", "label"), ("path", "matrix"), ("header", "simple"), ("cookie", "form"),
        ("query", "form"), ("query", "spaceDelimited"), ("query", "pipeDelimited"), ("query", "deepObject"),
    ];
    let mut paths = serde_json::Map::new();
    for (at, (place, style)) in styles.into_iter().enumerate() {
        for (kind, schema) in schemas.iter().enumerate().filter(|(kind, _)| style != "deepObject" || *kind == 2) {
            for explode in [false, true] {
                let name = format!("/{at}{kind}{explode}");
                let path = if place == "path" { format!("{name}/{{q}}") } else { name };
                let parameter = serde_json::json!({ "name": "q", "in": place, "required": true, "style": style, "explode": explode, "schema": schema });
                let body = serde_json::json!({ "content": { "application/x-www-form-urlencoded": { "schema": schemas[2] } } });
                paths.insert(path, serde_json::json!({ "post": { "parameters": [parameter], "requestBody": body } }));
            }
        }
    }
    let document = serde_json::json!({ "openapi": "3.1.0", "paths": paths });
    let api = OpenApi::from_json(document.to_string()).expect("sound");
    Validate::new().add_openapi(api).report_all().build().expect("sound")
});

fn judge(target: &Uri, field: &HeaderValue, body: &Bytes) -> u16 {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = target.clone();
    let headers = request.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/x-www-form-urlencoded"));
    headers.insert("q", field.clone());
    headers.insert("cookie", field.clone());
    let mut service = LAYER.layer(Handler);
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(service.call(request)).poll(&mut cx) {
        Poll::Ready(Ok(answer)) => answer.status().as_u16(),
        _ => panic!("nothing is waited for"),
    }
}

fuzz_target!(|input: (u8, u8, bool, &str, &[u8], &[u8])| {
    let (style, kind, explode, text, field, body) = input;
    let separator = if style % 9 < 3 { '/' } else { '?' };
    let target = format!("/{}{}{explode}{separator}{text}", style % 9, kind % 3);
    let (Ok(target), Ok(field)) = (target.parse::<Uri>(), HeaderValue::from_bytes(field)) else { return };
    let body = Bytes::copy_from_slice(body);
    assert_eq!(judge(&target, &field, &body), judge(&target, &field, &body));
});
