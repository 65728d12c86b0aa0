//! Instructions and allocations of one request through what bounds requests in flight, under callgrind and DHAT: the same on
//! a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::Job;
use peers::pressure::{bare, full, rampart, tower_limits, tower_resilience, with_room};

// A fixed bound, with room.
#[library_benchmark]
#[bench::no_layer(with_room(bare))]
#[bench::tower_rampart(with_room(rampart::bulkhead))]
#[bench::tower_rampart_by_key(with_room(rampart::bulkhead_by_key))]
#[bench::tower_limit(with_room(tower_limits::limit))]
#[bench::tower_limit_and_shed(with_room(tower_limits::limit_and_shed))]
#[bench::tower_resilience(with_room(tower_resilience::bulkhead))]
fn bulkhead(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// A limit that finds itself, with room.
#[library_benchmark]
#[bench::tower_rampart_gradient2(with_room(rampart::gradient2))]
#[bench::tower_rampart_aimd(with_room(rampart::aimd))]
#[bench::tower_rampart_throttle(with_room(rampart::throttle))]
#[bench::tower_resilience_gradient2(with_room(tower_resilience::gradient2))]
#[bench::tower_resilience_aimd(with_room(tower_resilience::aimd))]
fn adaptive(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

// No room: an answer, or an error.
#[library_benchmark]
#[bench::tower_rampart_answer(full(rampart::bulkhead))]
#[bench::tower_rampart_error(full(rampart::bulkhead_typed))]
#[bench::tower_rampart_shed_answer(full(rampart::gradient2))]
#[bench::tower_rampart_shed_error(full(rampart::gradient2_typed))]
#[bench::tower_limit_and_shed(full(tower_limits::limit_and_shed))]
#[bench::tower_resilience(full(tower_resilience::bulkhead))]
fn refused(mut job: Job) -> Job {
    black_box(&mut job).run();
    job
}

library_benchmark_group!(name = pressure_peers, benchmarks = [bulkhead, adaptive, refused]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = pressure_peers);
