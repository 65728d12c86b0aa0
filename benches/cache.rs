//! What does caching cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;
use std::time::Instant;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, service_fn};
use tower_rampart::cache::{Cache, CacheService};

type Handled = std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>;
type App = CacheService<tower::util::ServiceFn<fn(Request<()>) -> Handled>>;

const FIELDS: [(&str, &str); 6] = [
    ("content-type", "application/json"),
    ("cache-control", "max-age=600"),
    ("etag", "\"5f3c\""),
    ("vary", "accept-encoding"),
    ("content-language", "en"),
    ("surrogate-key", "all"),
];

fn handle(request: Request<()>) -> Handled {
    let length = request.headers().get("x-length").and_then(|length| length.to_str().ok()?.parse().ok());
    let mut response = Response::builder();
    for (name, value) in FIELDS {
        response = response.header(name, value);
    }
    ready(Ok(response.body(Full::from(vec![b'x'; length.unwrap_or(1024)])).unwrap()))
}

fn request(n: u64, length: &str) -> Request<()> {
    Request::get(format!("/v1/polls/{n}"))
        .header("host", "example.org")
        .header("accept-encoding", "gzip, br")
        .header("x-length", length)
        .body(())
        .unwrap()
}

fn fill(cache: &Cache, entries: u64, length: &str) -> App {
    let mut app = cache.layer().layer(service_fn(handle as fn(Request<()>) -> Handled));
    for n in 0..entries {
        if let Some(Ok(response)) = app.call(request(n, length)).now_or_never() {
            drop(response.into_body().collect().now_or_never());
        }
    }
    app
}

fn roomy() -> Cache {
    Cache::builder().bytes(8 << 30).build().unwrap()
}

/// Does a hit cost more when there are more of them, or when they are longer?
fn hits(c: &mut Criterion) {
    let mut group = c.benchmark_group("cache/hit");
    group.throughput(Throughput::Elements(1));
    for (entries, length) in [(1_u64, "1024"), (1000, "1024"), (1_000_000, "128"), (1, "1000000")] {
        let mut app = fill(&roomy(), entries, length);
        let mut next = 0_u64;
        group.bench_function(format!("{entries} entries of {length} bytes"), |bencher| {
            bencher.iter_batched(
                || {
                    next = next.wrapping_add(7919) % entries;
                    request(next, length)
                },
                |request| app.call(request).now_or_never(),
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

/// What is not stored, beside the service alone.
fn misses(c: &mut Criterion) {
    let mut group = c.benchmark_group("cache/miss");
    group.throughput(Throughput::Elements(1));
    group.bench_function("no layer", |bencher| {
        bencher.iter_batched(|| request(0, "1024"), |request| handle(request).now_or_never(), BatchSize::SmallInput);
    });
    let mut app = fill(&roomy(), 0, "1024");
    let mut next = 0_u64;
    group.bench_function("stored", |bencher| {
        bencher.iter_batched(
            || {
                next += 1;
                request(next, "1024")
            },
            |request| {
                let response = app.call(request).now_or_never().unwrap().unwrap();
                response.into_body().collect().now_or_never()
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// A tag that all have; the responses are looked at when they are next asked for.
fn purges(c: &mut Criterion) {
    let cache = roomy();
    let app = fill(&cache, 100_000, "16");
    c.bench_function("cache/purge a tag of 100000", |bencher| bencher.iter(|| cache.purge_tag("all")));
    drop(app);
}

/// Two threads at once: the time of one request, which should not grow.
fn threads(c: &mut Criterion) {
    let mut group = c.benchmark_group("cache/threads");
    let app = fill(&roomy(), 1000, "1024");
    for threads in [1, 2] {
        group.bench_function(threads.to_string(), |bencher| {
            bencher.iter_custom(|requests| {
                let started = Instant::now();
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let mut app = app.clone();
                        scope.spawn(move || {
                            for n in 0..requests {
                                let known = (n * 7919 + thread * 500) % 1000;
                                std::hint::black_box(app.call(request(known, "1024")).now_or_never());
                            }
                        });
                    }
                });
                started.elapsed()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, hits, misses, purges, threads);
criterion_main!(benches);
