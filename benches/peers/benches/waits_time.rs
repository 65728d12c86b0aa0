//! Timeouts and retries by the clock, interleaved: quote ratios of one run.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::Request;
use peers::Body;
use peers::waits::{Handler, enter, rampart, request, respond, tower_own};
use tower::Service;

fn measure<S>(c: &mut Criterion, group: &str, name: &str, mut service: S)
where
    S: Service<Request<Body>>,
{
    c.benchmark_group(group).bench_function(name, |bencher| {
        bencher.iter_batched(request, |request| respond(&mut service, request), BatchSize::SmallInput);
    });
}

fn timeouts(c: &mut Criterion) {
    let _guard = enter();
    for (group, handler) in [("waits/answered at once", Handler::quick()), ("waits/waited for", Handler::slow())] {
        measure(c, group, "no layer", handler.clone());
        measure(c, group, "tower Timeout", tower_own::timeout(handler.clone()));
        measure(c, group, "tower-rampart, deadline", rampart::deadline(handler.clone()));
        measure(c, group, "tower-rampart, try", rampart::try_timeout(handler.clone()));
    }
}

fn retries(c: &mut Criterion) {
    let _guard = enter();
    for (group, handler) in [("waits/goes well", Handler::quick()), ("waits/made again", Handler::failing())] {
        measure(c, group, "no layer", handler.clone());
        measure(c, group, "tower Retry, TpsBudget", tower_own::retry(handler.clone()));
        measure(c, group, "tower-rampart", rampart::retry(handler.clone()));
    }
}

criterion_group!(waits, timeouts, retries);
criterion_main!(waits);
