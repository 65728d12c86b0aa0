//! What do calls cost that may be made again? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::{Ready, ready};

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer, Service, service_fn};
use tower_rampart::retry::{ReplayBody, Retries, RetryLayer};

type Body = Full<Bytes>;

fn request(method: Method, body: Bytes) -> Request<Body> {
    let request = Request::builder().method(method).uri("http://upstream/v1/polls");
    request.header("accept", "application/json").body(Full::new(body)).unwrap()
}

/// A call that goes well, by what it could need to be made again.
fn calls(c: &mut Criterion) {
    fn answer(_: Request<ReplayBody<Body>>) -> Ready<Result<Response<Body>, Infallible>> {
        ready(Ok(Response::new(Full::default())))
    }
    let (empty, hello) = (Bytes::new(), Bytes::from_static(b"hello"));
    for (name, attempts, method, body) in [
        ("once", 1, Method::GET, empty.clone()),
        ("not to be repeated", 3, Method::POST, hello.clone()),
        ("without a body", 3, Method::GET, empty),
        ("with a body", 3, Method::PUT, hello),
    ] {
        let mut client =
            RetryLayer::new(Retries::new().max_attempts(attempts).build().unwrap()).layer(service_fn(answer));
        c.benchmark_group("retry/call").bench_function(name, |bencher| {
            bencher.iter_batched(
                || request(method.clone(), body.clone()),
                |request| client.call(request).now_or_never(),
                BatchSize::SmallInput,
            );
        });
    }
}

/// A body that is read through the layer, kept and not.
fn bodies(c: &mut Criterion) {
    for (name, method) in [("streams through", Method::POST), ("is kept", Method::PUT)] {
        let mut client = RetryLayer::new(Retries::new().build().unwrap()).layer(service_fn(
            |request: Request<ReplayBody<Body>>| async {
                let read = request.into_body().collect().await.unwrap().to_bytes();
                Ok::<_, Infallible>(Response::new(Full::new(read)))
            },
        ));
        let body = Bytes::from(vec![7; 64 << 10]);
        let mut group = c.benchmark_group("retry/64 KiB");
        group.throughput(Throughput::Bytes(64 << 10));
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || request(method.clone(), body.clone()),
                |request| client.call(request).now_or_never(),
                BatchSize::SmallInput,
            );
        });
    }
}

criterion_group!(benches, calls, bodies);
criterion_main!(benches);
