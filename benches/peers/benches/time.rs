//! The same work by the clock. The machine's noise is in it: quote ratios of one run.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use peers::{Job, axum_helmet, job, rampart, security_headers, tower_helmet};

/// What does one request through the layer cost, beside the same fields sent by others?
fn security_headers_peers(c: &mut Criterion) {
    type Contender = (&'static str, fn() -> Job);
    let mut compare = |group: &str, contenders: &[Contender]| {
        let mut group = c.benchmark_group(group);
        for (name, make) in contenders {
            group.bench_function(*name, |bencher| {
                bencher.iter_batched_ref(make, |job| job.run(), BatchSize::SmallInput);
            });
        }
        group.finish();
    };
    compare(
        "security_headers/twelve_fields",
        &[
            ("tower-rampart", || job(rampart::twelve)),
            ("tower-helmet", || job(tower_helmet::twelve)),
            ("axum-helmet", || job(axum_helmet::twelve)),
        ],
    );
    compare(
        "security_headers/nine_fields",
        &[
            ("tower-rampart", || job(rampart::nine)),
            ("http-security-headers", || job(security_headers::nine)),
            ("tower-helmet", || job(tower_helmet::nine)),
            ("axum-helmet", || job(axum_helmet::nine)),
        ],
    );
    compare(
        "security_headers/nonce",
        &[("tower-rampart", || job(rampart::nonce)), ("http-security-headers", || job(security_headers::nonce))],
    );
}

criterion_group!(benches, security_headers_peers);
criterion_main!(benches);
