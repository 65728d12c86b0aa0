//! What do security headers cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;
use std::hint::black_box;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::security_headers::{ContentSecurityPolicy, CspNonce, SecurityHeadersLayer};

fn response() -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(b"{}")));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// How much does a response cost with each preset, beside none?
fn presets(c: &mut Criterion) {
    let mut group = c.benchmark_group("security_headers/preset");
    group.throughput(Throughput::Elements(1));
    let layers = [
        ("none", SecurityHeadersLayer::empty()),
        ("api", SecurityHeadersLayer::api()),
        ("web, nonce not drawn", SecurityHeadersLayer::web()),
        ("owasp", SecurityHeadersLayer::owasp()),
        ("grpc", SecurityHeadersLayer::grpc()),
    ];
    for (name, layer) in layers {
        let mut service = layer.layer(service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(response()))));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || Request::get("https://localhost/").body(()).unwrap(),
                |request| service.call(request).now_or_never(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// What does the nonce of a page cost, the system call for its randomness amortised?
fn nonce(c: &mut Criterion) {
    let mut group = c.benchmark_group("security_headers/nonce");
    group.bench_function("draw", |bencher| {
        bencher.iter_batched(CspNonce::new, |nonce| black_box(nonce.as_str().len()), BatchSize::SmallInput);
    });
    let mut service = SecurityHeadersLayer::web().layer(service_fn(|request: Request<()>| {
        black_box(request.extensions().get::<CspNonce>().map(|nonce| nonce.as_str().len()));
        ready(Ok::<_, Infallible>(response()))
    }));
    group.bench_function("page", |bencher| {
        bencher.iter_batched(
            || Request::get("https://localhost/").body(()).unwrap(),
            |request| service.call(request).now_or_never(),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// What does reading a policy from a file cost? It happens once for each start or reload.
fn parse(c: &mut Criterion) {
    let text =
        "default-src 'none'; script-src 'self' https://cdn.example; img-src 'self' data:; frame-ancestors 'none'";
    c.bench_function("security_headers/parse policy", |bencher| {
        bencher.iter(|| black_box(text).parse::<ContentSecurityPolicy>());
    });
}

criterion_group!(benches, presets, nonce, parse);
criterion_main!(benches);
