//! What a stack costs on axum: six layers in one `layer` call, and in six.

use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use http::Request;
use tower::Service as _;
use tower_rampart::auth::{ApiKeys, Auth, AuthLayer};
use tower_rampart::authz::{AuthzLayer, PolicyTable, Rule};
use tower_rampart::deadline::{DeadlineLayer, Deadlines};
use tower_rampart::key::GlobalKey;
use tower_rampart::load_shed::{LoadShed, LoadShedLayer};
use tower_rampart::rate_limit::{HeaderStyle, Policy, Quota, RateLimit, RateLimitLayer};
use tower_rampart::security_headers::SecurityHeadersLayer;
use tower_rampart::stack::Stack;

type Six = (SecurityHeadersLayer, LoadShedLayer, DeadlineLayer, RateLimitLayer, AuthLayer, AuthzLayer);

fn six() -> Six {
    let quota = Quota::new(1_000_000_000).per(Duration::from_secs(3600));
    let limit = RateLimit::new().add_policy(Policy::new("all", quota).key(GlobalKey)).headers(HeaderStyle::None);
    let table = PolicyTable::builder().add_rule(Rule::public("all", "/v1/polls")).build().unwrap();
    (
        SecurityHeadersLayer::api(),
        LoadShed::gradient2().build().unwrap(),
        Deadlines::new().max_time(None).build().unwrap(),
        limit.build().unwrap(),
        Auth::new().api_keys(ApiKeys::default()).optional(true).build().unwrap(),
        AuthzLayer::new(table),
    )
}

fn bare() -> Router {
    Router::new().route("/v1/polls", get(|| async { "hello" }))
}

fn one_stack() -> Router {
    let (headers, shed, deadline, limit, auth, authz) = six();
    let stack = Stack::new().authz(authz).auth(auth).rate_limit_by_address(limit).deadline(deadline);
    bare().layer(stack.load_shed(shed).security_headers(headers).build().unwrap())
}

fn six_calls() -> Router {
    let (headers, shed, deadline, limit, auth, authz) = six();
    bare().layer(authz).layer(auth).layer(limit).layer(deadline).layer(shed).layer(headers)
}

/// By a clone of the router for each request, as a server does it.
fn stack(c: &mut Criterion) {
    let mut group = c.benchmark_group("stack");
    for (name, router) in [("no layer", bare()), ("one stack", one_stack()), ("six layer calls", six_calls())] {
        group.bench_function(name, |bencher| {
            let request = || Request::get("/v1/polls").body(Body::empty()).unwrap();
            let answer = |request: Request<Body>| {
                let answered = pin!(router.clone().call(request)).poll(&mut Context::from_waker(Waker::noop()));
                let Poll::Ready(Ok(response)) = answered else { unreachable!("the handler waits for nothing") };
                response
            };
            assert_eq!(answer(request()).status(), 200);
            bencher.iter_batched(request, answer, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group!(benches, stack);
criterion_main!(benches);
