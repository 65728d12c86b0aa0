//! Instructions and allocations of one call that is bounded in time or may be made again, under callgrind and DHAT: the same
//! on a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::Job;
use peers::waits::{Handler, job, rampart, tower_own};

// A call that is answered at once.
#[library_benchmark]
#[bench::no_layer(job(Handler::quick()))]
#[bench::tower_timeout(job(tower_own::timeout(Handler::quick())))]
#[bench::rampart_deadline(job(rampart::deadline(Handler::quick())))]
#[bench::rampart_try_timeout(job(rampart::try_timeout(Handler::quick())))]
fn answered_at_once(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// One that has to be waited for.
#[library_benchmark]
#[bench::no_layer(job(Handler::slow()))]
#[bench::tower_timeout(job(tower_own::timeout(Handler::slow())))]
#[bench::rampart_deadline(job(rampart::deadline(Handler::slow())))]
#[bench::rampart_try_timeout(job(rampart::try_timeout(Handler::slow())))]
fn waited_for(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// A call that goes well, and could be made again.
#[library_benchmark]
#[bench::no_layer(job(Handler::quick()))]
#[bench::tower_tps_budget(job(tower_own::retry(Handler::quick())))]
#[bench::rampart(job(rampart::retry(Handler::quick())))]
fn goes_well(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// One that fails twice.
#[library_benchmark]
#[bench::no_layer(job(Handler::failing()))]
#[bench::tower_tps_budget(job(tower_own::retry(Handler::failing())))]
#[bench::rampart(job(rampart::retry(Handler::failing())))]
fn made_again(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

library_benchmark_group!(name = waits_peers, benchmarks = [answered_at_once, waited_for, goes_well, made_again]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = waits_peers);
