//! What does guarding cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerLayer, Window};
use tower_rampart::key::AuthorityKey;

fn measure(c: &mut Criterion, group: &str, name: &str, layer: &CircuitBreakerLayer) {
    let mut service =
        layer.layer(service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))));
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            || Request::get("http://a.example/").body(()).unwrap(),
            |request| service.call(request).now_or_never(),
            BatchSize::SmallInput,
        );
    });
}

/// How much do windows, slow calls and keys add?
fn closed(c: &mut Criterion) {
    let breaker = || CircuitBreaker::new("bench").slow_call(None);
    let time = || breaker().window(Window::time(Duration::from_secs(10)));
    for (name, layer) in [
        ("disabled", CircuitBreakerLayer::empty()),
        ("failures in a row", breaker().failure_rate(None).consecutive_failures(5).build().unwrap()),
        ("100 calls", breaker().build().unwrap()),
        ("100,000 calls", breaker().window(Window::calls(100_000)).build().unwrap()),
        ("10 s", time().build().unwrap()),
        ("10 s, slow calls", time().slow_call(Duration::from_secs(2)).build().unwrap()),
        ("by key", breaker().per_key(AuthorityKey, 1000).build().unwrap()),
    ] {
        measure(c, "circuit_breaker/closed", name, &layer);
    }
}

/// What does a refusal cost that is a response?
fn open(c: &mut Criterion) {
    let layer = CircuitBreaker::new("bench").build().unwrap();
    layer.handle().force_open(Duration::MAX);
    measure(c, "circuit_breaker/open", "problem", &layer);
}

criterion_group!(benches, closed, open);
criterion_main!(benches);
