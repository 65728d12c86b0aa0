//! The same by the clock. Quote ratios of one run: machines are noisy.

use std::hint::black_box;

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::Request;
#[cfg(feature = "roas")]
use peers::openapi::roas;
use peers::openapi::{Contender, large_poll, list, rampart, read, small_poll, wrong_poll};

type Ask = fn() -> Request<peers::Body>;
type Make = fn() -> Option<Contender>;

fn openapi(c: &mut Criterion) {
    let contenders: &[(&str, Make)] = &[
        ("tower-rampart", rampart),
        #[cfg(feature = "roas")]
        ("roas-http-validator", roas),
    ];
    let requests: [(&str, Ask); 5] = [
        ("POST of 96 bytes", small_poll),
        ("POST of 1.3 KB", large_poll),
        ("GET with a number", list),
        ("GET with a UUID", read),
        ("POST with three errors", wrong_poll),
    ];
    for (request, ask) in requests {
        for (name, make) in contenders {
            let Some(mut contender) = make() else { panic!("a contender cannot be made") };
            c.bench_function(&format!("{request}/{name}"), |bencher| {
                bencher.iter_batched(ask, |request| contender.check(black_box(request)), BatchSize::SmallInput);
            });
        }
    }
}

criterion_group!(benches, openapi);
criterion_main!(benches);
