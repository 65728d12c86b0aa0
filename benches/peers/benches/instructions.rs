//! Instructions and allocations of one request, under callgrind and DHAT: the same on a busy machine.
//!
//! Needs valgrind, and `gungraun-runner` of the version in `Cargo.lock`.

use gungraun::{Dhat, LibraryBenchmarkConfig, main};

/// A group for each area, with a benchmark for each of its works.
macro_rules! groups {
    ($($area:ident { $($work:ident { $($who:ident: $jobs:expr,)* })* })*) => {
        $(mod $area {
            use std::hint::black_box;

            use gungraun::prelude::*;
            use peers::*;

            $(#[library_benchmark]
            $(#[bench::$who(first($jobs))])*
            fn $work(mut job: Job) -> Job {
                black_box(&mut job).run();
                job
            })*

            library_benchmark_group!(name = group, benchmarks = [$($work),*]);
            pub use group::*;
        })*

        main!(
            // An allocation counts when the benchmark is among its callers, of which valgrind looks at twelve unless told.
            config = LibraryBenchmarkConfig::default().tool(Dhat::with_args(["--num-callers=200"])),
            library_benchmark_groups = [$($area),*]
        );
    };
}

#[cfg(not(feature = "roas"))]
peers::works!(groups);
#[cfg(feature = "roas")]
peers::works_with_roas!(groups);
