//! Instructions and allocations of one call through a circuit breaker, under callgrind and DHAT: the same on a busy
//! machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::Job;
use peers::breakers::{bare, job, rampart, resilience};

// A call that is let through, and succeeds.
#[library_benchmark]
#[bench::no_layer(job(bare))]
#[bench::tower_rampart_consecutive(job(rampart::consecutive))]
#[bench::tower_resilience_consecutive(job(resilience::consecutive))]
#[bench::tower_rampart_calls(job(rampart::calls))]
#[bench::tower_resilience_calls(job(resilience::calls))]
#[bench::tower_rampart_time_and_slow(job(rampart::time_and_slow))]
#[bench::tower_resilience_time_and_slow(job(resilience::time_and_slow))]
fn closed(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// A call that is refused, with a typed error.
#[library_benchmark]
#[bench::tower_rampart(job(rampart::refusing))]
#[bench::tower_rampart_for_an_hour(job(rampart::refusing_for_an_hour))]
#[bench::tower_resilience(job(resilience::refusing))]
fn refused(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

library_benchmark_group!(name = circuit_breaker_peers, benchmarks = [closed, refused]);

main!(
    config = LibraryBenchmarkConfig::default().tool(Dhat::default()),
    library_benchmark_groups = circuit_breaker_peers
);
