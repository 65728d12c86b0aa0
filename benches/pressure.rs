//! What do a bulkhead and load shedding cost by the clock? Quote ratios of one run: machines are noisy.

use std::convert::Infallible;
use std::future::ready;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use futures_util::FutureExt as _;
use http::{Request, Response};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_rampart::bulkhead::Bulkhead;
use tower_rampart::key::AuthorityKey;
use tower_rampart::load_shed::{AdaptiveThrottle, LoadShed};

type Handled = std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>;

fn handler(_: Request<()>) -> Handled {
    ready(Ok(Response::new(Full::from("{}"))))
}

fn measure<L, S>(c: &mut Criterion, group: &str, name: &str, layer: &L)
where
    L: Layer<tower::util::ServiceFn<fn(Request<()>) -> Handled>, Service = S>,
    S: Service<Request<()>>,
{
    let mut service = layer.layer(service_fn(handler as fn(Request<()>) -> Handled));
    c.benchmark_group(group).bench_function(name, |bencher| {
        bencher.iter_batched(
            || Request::get("http://supplier.example/v1/polls").body(()).unwrap(),
            |request| service.call(request).now_or_never(),
            BatchSize::SmallInput,
        );
    });
}

/// A request that has room.
fn with_room(c: &mut Criterion) {
    measure(c, "pressure/bulkhead", "in all", &Bulkhead::new(100).build().unwrap());
    measure(c, "pressure/bulkhead", "by key", &Bulkhead::new(100).per_key(AuthorityKey, 50).build().unwrap());
    measure(c, "pressure/load shed", "gradient2", &LoadShed::gradient2().build().unwrap());
    let spared = LoadShed::gradient2().never_shed(["/healthz"]).build().unwrap();
    measure(c, "pressure/load shed", "gradient2, a path spared", &spared);
    measure(c, "pressure/load shed", "aimd", &LoadShed::aimd(Duration::from_secs(1)).build().unwrap());
    measure(c, "pressure/throttle", "accepted", &AdaptiveThrottle::new().build().unwrap());
}

/// One that has none, by answer and by error. What takes the room is a response that is kept.
fn without_room(c: &mut Criterion) {
    let bulkhead = Bulkhead::new(1).build().unwrap();
    let mut service = bulkhead.layer(service_fn(handler as fn(Request<()>) -> Handled));
    let kept = service.call(Request::new(())).now_or_never();
    measure(c, "pressure/refused", "bulkhead, answer", &bulkhead);
    measure(c, "pressure/refused", "bulkhead, error", &bulkhead.clone().client());
    let shed = LoadShed::gradient2().min_limit(1).initial_limit(1).max_limit(1).build().unwrap();
    let mut service = shed.layer(service_fn(handler as fn(Request<()>) -> Handled));
    let kept_too = service.call(Request::new(())).now_or_never();
    measure(c, "pressure/refused", "load shed, answer", &shed);
    measure(c, "pressure/refused", "load shed, error", &shed.clone().client());
    drop((kept, kept_too));
}

criterion_group!(benches, with_room, without_room);
criterion_main!(benches);
