//! Instructions and allocations of one request, under callgrind and DHAT: the same on a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::{Job, axum_helmet, bare, job, rampart, security_headers, tower_helmet};

// Twelve fields, for a handler that sends a content-type.
#[library_benchmark]
#[bench::no_layer(job(bare))]
#[bench::tower_rampart(job(rampart::twelve))]
#[bench::tower_helmet(job(tower_helmet::twelve))]
#[bench::axum_helmet(job(axum_helmet::twelve))]
fn twelve_fields(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// The same beside three of the handler's own.
#[library_benchmark]
#[bench::tower_rampart(job(rampart::twelve_beside_three))]
#[bench::tower_helmet(job(tower_helmet::twelve_beside_three))]
#[bench::axum_helmet(job(axum_helmet::twelve_beside_three))]
fn twelve_fields_beside_three(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// Nine, which is all that http-security-headers can send.
#[library_benchmark]
#[bench::tower_rampart(job(rampart::nine))]
#[bench::http_security_headers(job(security_headers::nine))]
#[bench::tower_helmet(job(tower_helmet::nine))]
#[bench::axum_helmet(job(axum_helmet::nine))]
fn nine_fields(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// A page whose handler asks for the nonce.
#[library_benchmark]
#[bench::tower_rampart(job(rampart::nonce))]
#[bench::http_security_headers(job(security_headers::nonce))]
fn nonce(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// The `api` preset, which looks at the request and removes fingerprints as well.
#[library_benchmark]
#[bench::tower_rampart(job(rampart::api))]
fn api_preset(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

library_benchmark_group!(
    name = security_headers_peers,
    benchmarks = [twelve_fields, twelve_fields_beside_three, nine_fields, nonce, api_preset]
);

main!(
    config = LibraryBenchmarkConfig::default().tool(Dhat::default()),
    library_benchmark_groups = security_headers_peers
);
