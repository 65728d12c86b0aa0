//! The same by the clock. The machine's noise is in it: quote ratios of one run.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
#[cfg(feature = "roas")]
use peers::openapi;
#[cfg(not(feature = "roas"))]
use peers::{bodies, breakers, caches, headers, limits, pressure, rules, stack, tokens, waits, whole};

macro_rules! groups {
    ($($area:ident { $($work:ident { $($who:ident: $jobs:expr,)* })* })*) => {
        fn works(c: &mut Criterion) {
            $($(
                let mut group = c.benchmark_group(concat!(stringify!($area), "/", stringify!($work)));
                $(
                    // Made for those alone that are asked for.
                    let mut jobs = None;
                    group.bench_function(stringify!($who), |bencher| {
                        let jobs = jobs.get_or_insert_with(|| $jobs);
                        bencher.iter_batched_ref(jobs, |job| job.run(), BatchSize::SmallInput);
                    });
                )*
                group.finish();
            )*)*
        }
    };
}

#[cfg(not(feature = "roas"))]
peers::works!(groups);
#[cfg(feature = "roas")]
peers::works_with_roas!(groups);

criterion_group!(benches, works);
criterion_main!(benches);
