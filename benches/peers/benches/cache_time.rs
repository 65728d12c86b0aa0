//! Caches by the clock, interleaved: quote ratios of one run.

use criterion::{Criterion, criterion_group, criterion_main};
use peers::caches::{Job, axum_response_cache, bare, http_cache_tower_server, rampart, request, tower_http_cache};

/// With the request that each makes, which is measured alone too.
fn hits(c: &mut Criterion) {
    let mut group = c.benchmark_group("cache/hit");
    group.bench_function("request", |bencher| bencher.iter(request::<()>));
    type Make = fn() -> Job;
    let contenders: [(&str, Make); 6] = [
        ("no cache", bare),
        ("tower-rampart", rampart::hit),
        ("tower-rampart, 304", rampart::not_modified),
        ("axum-response-cache", axum_response_cache::hit),
        ("tower-http-cache", tower_http_cache::hit),
        ("http-cache-tower-server", http_cache_tower_server::hit),
    ];
    for (name, make) in contenders {
        let mut job = make();
        group.bench_function(name, |bencher| {
            bencher.iter(|| job.again());
        });
    }
    group.finish();
}

criterion_group!(benches, hits);
criterion_main!(benches);
