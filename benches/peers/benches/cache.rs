//! Instructions and allocations of one cached response, under callgrind and DHAT: the same on a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::caches::{Job, axum_response_cache, bare, http_cache_tower_server, rampart, tower_http_cache};

// A response of a kibibyte and eight fields, out of the store.
#[library_benchmark]
#[bench::no_cache(bare())]
#[bench::tower_rampart(rampart::hit())]
#[bench::tower_rampart_not_modified(rampart::not_modified())]
#[bench::axum_response_cache(axum_response_cache::hit())]
#[bench::tower_http_cache(tower_http_cache::hit())]
#[bench::http_cache_tower_server(http_cache_tower_server::hit())]
fn hit(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

library_benchmark_group!(name = cache_peers, benchmarks = [hit]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = cache_peers);
