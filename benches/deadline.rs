//! What does a deadline cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{HeaderName, Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::Deadline;
use tower_rampart::deadline::{DeadlineLayer, Deadlines, PropagateDeadlineLayer, TimeoutField, TryTimeoutLayer};

fn measure<L>(c: &mut Criterion, name: &str, layer: L, request: impl Fn() -> Request<()>)
where
    L: Layer<tower::util::ServiceFn<fn(Request<()>) -> Handled>>,
    L::Service: Service<Request<()>>,
{
    let mut service = layer.layer(service_fn(handler as fn(Request<()>) -> Handled));
    c.benchmark_group("deadline").bench_function(name, |bencher| {
        bencher.iter_batched(&request, |request| service.call(request).now_or_never().is_some(), BatchSize::SmallInput);
    });
}

type Handled = std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>;

fn handler(_: Request<()>) -> Handled {
    ready(Ok(Response::new(Full::default())))
}

fn plain() -> Request<()> {
    Request::get("/v1/polls").body(()).unwrap()
}

fn with(name: &'static str, value: &'static str) -> impl Fn() -> Request<()> {
    move || Request::get("/v1/polls").header(name, value).body(()).unwrap()
}

fn deadlines(c: &mut Criterion) {
    let field = TimeoutField::seconds(HeaderName::from_static("x-timeout"));
    measure(c, "empty", DeadlineLayer::empty(), plain);
    measure(c, "unbounded", Deadlines::new().max_time(None).build().unwrap(), plain);
    measure(c, "maximum", Deadlines::new().build().unwrap(), plain);
    measure(c, "grpc-timeout", Deadlines::new().build().unwrap(), with("grpc-timeout", "250m"));
    measure(c, "a field", Deadlines::new().add_field(field).build().unwrap(), with("x-timeout", "0.25"));
    measure(c, "body", Deadlines::new().build_with_body().unwrap(), plain);
    measure(c, "malformed", Deadlines::new().build().unwrap(), with("grpc-timeout", "soon"));
    measure(c, "passed", Deadlines::new().build().unwrap(), with("grpc-timeout", "0n"));
    measure(c, "each try", TryTimeoutLayer::new(Duration::from_secs(1)).unwrap(), plain);
    measure(c, "propagated", PropagateDeadlineLayer::grpc(), || {
        let deadline = Deadline::at(tower_rampart::Clock::system().now() + Duration::from_secs(1));
        let request = Request::post("/polls.Polls/Get").header("content-type", "application/grpc");
        request.extension(deadline).body(()).unwrap()
    });
}

criterion_group!(benches, deadlines);
criterion_main!(benches);
