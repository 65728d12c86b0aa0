//! Instructions and allocations of one limited request, under callgrind and DHAT: the same on a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::Job;
use peers::limits::{Quota, bare, governor, job, rampart, tower_governor};

// A request that is admitted, among 10,000 known clients, without fields.
#[library_benchmark]
#[bench::no_layer(job(bare, Quota::Left))]
#[bench::governor_bare(job(governor::check, Quota::Left))]
#[bench::tower_rampart(job(rampart::silent, Quota::Left))]
#[bench::tower_governor(job(tower_governor::silent, Quota::Left))]
fn admitted(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// The same with fields.
#[library_benchmark]
#[bench::tower_rampart(job(rampart::with_fields, Quota::Left))]
#[bench::tower_governor(job(tower_governor::with_fields, Quota::Left))]
fn admitted_with_fields(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// A request that is refused.
#[library_benchmark]
#[bench::governor_bare(job(governor::check, Quota::UsedUp))]
#[bench::tower_rampart(job(rampart::silent, Quota::UsedUp))]
#[bench::tower_rampart_with_fields(job(rampart::with_fields, Quota::UsedUp))]
#[bench::tower_governor(job(tower_governor::silent, Quota::UsedUp))]
#[bench::tower_governor_with_fields(job(tower_governor::with_fields, Quota::UsedUp))]
fn refused(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

library_benchmark_group!(name = rate_limit_peers, benchmarks = [admitted, admitted_with_fields, refused]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = rate_limit_peers);
