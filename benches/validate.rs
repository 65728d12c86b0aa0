//! What does validation cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::validate::{CheckedBody, Limits, Route, Schema, Validate, ValidateLayer};

const POLL: &str = r#"{"question":"Tea or coffee this afternoon?","options":["tea","coffee","water"],"public":true}"#;
const SCHEMA: &str = r#"{
    "type": "object",
    "properties": {
        "question": { "type": "string", "minLength": 1, "maxLength": 200 },
        "options": { "type": "array", "minItems": 2, "maxItems": 20, "uniqueItems": true, "items": { "type": "string", "maxLength": 100 } },
        "public": { "type": "boolean" }
    },
    "required": ["question", "options"],
    "additionalProperties": false
}"#;

fn measure(c: &mut Criterion, name: &str, layer: &ValidateLayer, make: impl Fn() -> Request<Full<Bytes>>) {
    let mut service = layer.layer(service_fn(|_: Request<CheckedBody<Full<Bytes>>>| {
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    }));
    c.bench_function(name, |bencher| {
        bencher.iter_batched(&make, |request| service.call(request).now_or_never(), BatchSize::SmallInput);
    });
}

fn post(body: Bytes) -> Request<Full<Bytes>> {
    Request::post("/v1/polls").header("content-type", "application/json").body(Full::new(body)).unwrap_or_default()
}

fn get() -> Request<Full<Bytes>> {
    Request::get("/v1/polls/7?limit=20").body(Full::default()).unwrap_or_default()
}

fn hardening(c: &mut Criterion) {
    let layer = Validate::new().build().unwrap();
    measure(c, "validate/empty layer, GET", &ValidateLayer::empty(), get);
    measure(c, "validate/hardening, GET", &layer, get);
    measure(c, "validate/hardening, POST of 96 bytes", &layer, || post(Bytes::from_static(POLL.as_bytes())));
    let schema = Route::new(Method::POST, "/v1/polls").schema(Schema::new(SCHEMA).unwrap());
    let described = Validate::new().add_route(schema).build().unwrap();
    measure(c, "validate/schema, POST of 96 bytes", &described, || post(Bytes::from_static(POLL.as_bytes())));
}

/// A megabyte of what is not to be had.
fn hostile(c: &mut Criterion) {
    let layer = Validate::new().limits(Limits::new().body_bytes(2 << 20)).build().unwrap();
    let mb = 1 << 20;
    let names: Vec<_> = (0..60_000).map(|at| format!("\"{at}\":0")).collect();
    for (name, body) in [
        ("deep", "[".repeat(mb)),
        ("many items", format!("[{}0]", "0,".repeat(mb / 2))),
        ("many members", format!("{{{}}}", names.join(","))),
        ("a long number", "9".repeat(mb)),
        ("a long string", format!("\"{}\"", "x".repeat(mb))),
    ] {
        let body = Bytes::from(body);
        measure(c, &format!("validate/hostile megabyte, {name}"), &layer, || post(body.clone()));
    }
}

criterion_group!(benches, hardening, hostile);
criterion_main!(benches);
