//! What does validation cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
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
    // What each kind costs where no limit ends it, and against a schema.
    let lavish = Limits::new().body_bytes(2 << 20).buffer_bytes(64 << 20).json_items(mb).json_string_bytes(2 << 20);
    let lavish = lavish.json_number_bytes(2 << 20).json_name_bytes(mb).json_depth(256);
    let list = r#"{ "type": "array", "items": { "type": "string", "maxLength": 5, "pattern": "^(a+)+$" } }"#;
    let walked = Validate::new().limits(lavish).build().unwrap();
    let schema = Route::new(Method::POST, "/v1/polls").schema(Schema::new(list).unwrap());
    let judged = Validate::new().limits(lavish).add_route(schema).build().unwrap();
    let nested = format!("{}{},", "[".repeat(200), "]".repeat(200));
    // No two in order.
    let members: Vec<_> = (0..80_000_u64).map(|at| format!("\"{:08}\":0", at * 7_919_993 % 100_000_000)).collect();
    let twice = format!("{{{},{}}}", members.join(","), members[0]);
    for (name, layer, body) in [
        ("nested lists", &walked, format!("[{}0]", nested.repeat(2600))),
        ("many items", &walked, format!("[{}0]", "0,".repeat(mb / 2))),
        ("a member twice", &walked, twice),
        ("a long number", &walked, "9".repeat(mb)),
        ("escapes", &walked, format!("\"{}\"", "\\u0041".repeat(mb / 6))),
        ("bad items", &judged, format!("[{}0]", "0,".repeat(100_000))),
        ("a long text and a pattern", &judged, format!("[\"{}!\"]", "a".repeat(mb))),
    ] {
        let body = Bytes::from(body);
        measure(c, &format!("validate/hostile megabyte without limits, {name}"), layer, || post(body.clone()));
    }
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

/// What streams through and is followed, and what comes compressed.
fn followed(c: &mut Criterion) {
    let limits = Limits::new().body_bytes(2 << 20);
    let layer = Validate::new().limits(limits).content_encodings(["gzip"]).build().unwrap();
    let mut form = b"--b\r\ncontent-disposition: form-data; name=\"a\"; filename=\"f\"\r\n\r\n".to_vec();
    form.resize(form.len() + (1 << 20), b'x');
    form.extend_from_slice(b"\r\n--b--\r\n");
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &vec![b' '; 4 << 20]).unwrap();
    let bomb = Bytes::from(encoder.finish().unwrap());
    let lines = Bytes::from(form.iter().map(|byte| if *byte == b'x' { b'\n' } else { *byte }).collect::<Vec<_>>());
    let form = Bytes::from(form);
    for (name, content_type, encoding, body) in [
        ("a file of a megabyte", "multipart/form-data; boundary=b", "identity", form),
        ("a file of line ends", "multipart/form-data; boundary=b", "identity", lines),
        ("a gzip bomb", "application/json", "gzip", bomb),
    ] {
        measure_reading(c, &format!("validate/{name}"), &layer, || {
            let request = Request::post("/v1/polls").header("content-type", content_type);
            request.header("content-encoding", encoding).body(Full::new(body.clone())).unwrap_or_default()
        });
    }
}

/// The same with a handler that takes the body.
fn measure_reading(c: &mut Criterion, name: &str, layer: &ValidateLayer, make: impl Fn() -> Request<Full<Bytes>>) {
    let mut service = layer.layer(service_fn(|request: Request<CheckedBody<Full<Bytes>>>| {
        drop(request.into_body().collect().now_or_never());
        ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))
    }));
    c.bench_function(name, |bencher| {
        bencher.iter_batched(&make, |request| service.call(request).now_or_never(), BatchSize::SmallInput);
    });
}

criterion_group!(benches, hardening, followed, hostile);
criterion_main!(benches);
