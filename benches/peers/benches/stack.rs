//! Instructions and allocations of one request through an axum router with six layers, under callgrind and DHAT: the same on a
//! busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use std::hint::black_box;

use gungraun::prelude::*;
use gungraun::{Dhat, LibraryBenchmarkConfig};
use peers::stack::{Job, bare, exchanged, job, one_stack, reloadable, service_builder, six_calls};
use tower_rampart::ConfigError;

#[library_benchmark]
#[bench::no_layer(job(bare))]
#[bench::one_stack(job(one_stack))]
#[bench::one_stack_reloadable(job(reloadable))]
#[bench::one_stack_exchanged(job(exchanged))]
#[bench::service_builder(job(service_builder))]
#[bench::six_layer_calls(job(six_calls))]
fn six_layers(mut job: Result<Job, ConfigError>) -> Result<Job, ConfigError> {
    if let Ok(job) = black_box(&mut job) {
        job.run();
    }
    job
}

library_benchmark_group!(name = stack_peers, benchmarks = [six_layers]);

main!(config = LibraryBenchmarkConfig::default().tool(Dhat::default()), library_benchmark_groups = stack_peers);
