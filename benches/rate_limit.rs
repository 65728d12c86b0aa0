//! What does limiting cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::PathPattern;
use tower_rampart::key::{ClientIp, GlobalKey, PeerAddr};
use tower_rampart::rate_limit::{HeaderStyle, Overflow, Policy, Quota, RateLimit, RateLimitLayer};

const HOUR: Duration = Duration::from_secs(3600);

fn request(n: u32) -> Request<()> {
    let client = IpAddr::V4(Ipv4Addr::from_bits(n.wrapping_mul(2_654_435_761)));
    Request::get("/v1/polls").extension(PeerAddr::new((client, 4711).into())).body(()).unwrap()
}

fn ample(name: &'static str) -> Policy {
    Policy::new(name, Quota::new(1_000_000_000).per(HOUR)).key(ClientIp::new())
}

fn measure(c: &mut Criterion, group: &str, name: &str, layer: &RateLimitLayer, clients: u32) {
    let mut service =
        layer.layer(service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(Full::<Bytes>::default())))));
    let mut next = 0_u32;
    let mut group = c.benchmark_group(group);
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        bencher.iter_batched(
            || {
                next = next.wrapping_add(7919) % clients;
                request(next)
            },
            |request| service.call(request).now_or_never(),
            BatchSize::SmallInput,
        );
    });
}

/// How much do fields, conditions and further policies add?
fn settings(c: &mut Criterion) {
    let one = || RateLimit::new().add_policy(ample("a"));
    let none = |limit: RateLimit| limit.headers(HeaderStyle::None).build().unwrap();
    for (name, layer) in [
        ("silent", none(one())),
        ("ietf", one().build().unwrap()),
        ("x-ratelimit", one().headers(HeaderStyle::XRateLimit).build().unwrap()),
        (
            "settled by status",
            none(RateLimit::new().add_policy(ample("a").count_statuses([http::StatusCode::UNAUTHORIZED]))),
        ),
        ("with paths", none(RateLimit::new().add_policy(ample("a").paths(["/v1/**"])))),
        ("three policies", none(one().add_policy(ample("b")).add_policy(ample("c")))),
        ("three policies, ietf", one().add_policy(ample("b")).add_policy(ample("c")).build().unwrap()),
        ("in flight", none(RateLimit::new().add_policy(Policy::concurrent("a", 1000).key(ClientIp::new())))),
    ] {
        measure(c, "rate_limit/settings", name, &layer, 1000);
    }
}

/// What does a refusal cost, and a flood of clients that nobody has seen before?
fn hostile(c: &mut Criterion) {
    let used_up = Policy::new("a", Quota::new(1).per(HOUR)).key(GlobalKey);
    measure(c, "rate_limit/hostile", "refused", &RateLimit::new().add_policy(used_up).build().unwrap(), 1);
    for (name, overflow) in
        [("shared", Overflow::Shared), ("replace", Overflow::ReplaceNearest), ("refuse", Overflow::Refuse)]
    {
        let policy = Policy::new("a", Quota::new(10).per(HOUR)).key(ClientIp::new()).max_keys(1000).overflow(overflow);
        let layer = RateLimit::new().add_policy(policy).headers(HeaderStyle::None).build().unwrap();
        measure(c, "rate_limit/flood of a full table", name, &layer, u32::MAX);
    }
}

/// How much does it cost to match a path?
fn paths(c: &mut Criterion) {
    let pattern: PathPattern = "/v1/**/votes".parse().unwrap();
    let long = "/v1".repeat(1000);
    for (name, path) in [
        ("plain", "/v1/polls/17/votes"),
        ("escaped", "/v1/p%6Flls/17/votes"),
        ("odd", "/v1//polls/17/votes"),
        ("long", &long),
    ] {
        c.benchmark_group("rate_limit/path").bench_function(name, |bencher| bencher.iter(|| pattern.matches(path)));
    }
}

criterion_group!(benches, settings, hostile, paths);
criterion_main!(benches);
