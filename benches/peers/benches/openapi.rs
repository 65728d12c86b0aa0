//! Instructions and allocations of one judged request, under callgrind and DHAT: the same on a busy machine. With feature
//! `roas` theirs beside ours.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
#[cfg(feature = "roas")]
use peers::openapi::roas;
use peers::openapi::{Job, large_poll, list, passing, rampart, read, refused, small_poll, wrong_poll};

#[library_benchmark]
#[bench::small_poll(passing(rampart, small_poll))]
#[bench::large_poll(passing(rampart, large_poll))]
#[bench::list(passing(rampart, list))]
#[bench::read(passing(rampart, read))]
#[bench::wrong_poll(refused(rampart, wrong_poll))]
fn tower_rampart(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

#[cfg(feature = "roas")]
#[library_benchmark]
#[bench::small_poll(passing(roas, small_poll))]
#[bench::large_poll(passing(roas, large_poll))]
#[bench::list(passing(roas, list))]
#[bench::read(passing(roas, read))]
#[bench::wrong_poll(refused(roas, wrong_poll))]
fn roas_http_validator(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

#[cfg(not(feature = "roas"))]
library_benchmark_group!(name = openapi_peers, benchmarks = [tower_rampart]);
#[cfg(feature = "roas")]
library_benchmark_group!(name = openapi_peers, benchmarks = [tower_rampart, roas_http_validator]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = openapi_peers);
