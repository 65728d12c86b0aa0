//! Limiters by the clock, interleaved: quote ratios of one run.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use http::Response;
use peers::limits::{CLIENTS, bare, client, governor, rampart, request, respond, tower_governor};
use tower::Service;

/// Requests of clients that the limiter knows, one after the other.
fn known_clients(c: &mut Criterion) {
    fn known<S, B>(c: &mut Criterion, group: &str, name: &str, mut service: S, clients: u32)
    where
        S: Service<http::Request<()>, Response = Response<B>>,
    {
        for n in 0..clients {
            let _ = respond(&mut service, request(client(n)));
        }
        let mut group = c.benchmark_group(group);
        group.throughput(Throughput::Elements(1));
        let next = AtomicU32::new(0);
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || request(client(next.fetch_add(7919, Ordering::Relaxed) % clients)),
                |request| respond(&mut service, request),
                BatchSize::SmallInput,
            );
        });
    }
    for clients in [CLIENTS, 1_000_000] {
        let group = format!("rate_limit/{clients}_clients");
        known(c, &group, "no layer", bare(), clients);
        known(c, &group, "governor, bare", governor::check(), clients);
        known(c, &group, "tower-rampart", rampart::silent(), clients);
        known(c, &group, "tower_governor", tower_governor::silent(), clients);
        known(c, &group, "tower-rampart, fields", rampart::with_fields(), clients);
        known(c, &group, "tower_governor, fields", tower_governor::with_fields(), clients);
    }
}

/// A client that is over its limit.
fn refused(c: &mut Criterion) {
    fn used_up<S, B>(c: &mut Criterion, name: &str, mut service: S)
    where
        S: Service<http::Request<()>, Response = Response<B>>,
    {
        let measured: IpAddr = client(1);
        for _ in 0..2000 {
            let _ = respond(&mut service, request(measured));
        }
        c.benchmark_group("rate_limit/refused").bench_function(name, |bencher| {
            bencher.iter_batched(|| request(measured), |request| respond(&mut service, request), BatchSize::SmallInput);
        });
    }
    used_up(c, "governor, bare", governor::check());
    used_up(c, "tower-rampart", rampart::with_fields());
    used_up(c, "tower_governor", tower_governor::with_fields());
}

/// Two threads at once, on clients of their own: the time of one request, which should not grow.
fn threads(c: &mut Criterion) {
    fn on<S, B>(c: &mut Criterion, name: &str, service: S, threads: u32)
    where
        S: Service<http::Request<()>, Response = Response<B>> + Clone + Send,
    {
        let mut group = c.benchmark_group("rate_limit/threads");
        group.bench_function(format!("{name}, {threads}"), |bencher| {
            bencher.iter_custom(|requests| {
                let started = Instant::now();
                std::thread::scope(|scope| {
                    for thread in 0..threads {
                        let mut service = service.clone();
                        scope.spawn(move || {
                            for n in 0..requests {
                                let known = (n as u32).wrapping_mul(7919) % CLIENTS + thread * CLIENTS;
                                black_box(respond(&mut service, request(client(known))));
                            }
                        });
                    }
                });
                started.elapsed()
            });
        });
    }
    for count in [1, 2] {
        on(c, "no layer", bare(), count);
        on(c, "governor, bare", governor::check(), count);
        on(c, "tower-rampart", rampart::silent(), count);
        on(c, "tower_governor", tower_governor::silent(), count);
    }
}

criterion_group!(benches, known_clients, refused, threads);
criterion_main!(benches);
