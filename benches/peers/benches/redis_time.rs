//! Limiters that count in Redis, by the clock: quote ratios of one run. Needs `redis-server` in PATH, which it starts.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt as _, service_fn};
use tower_rampart::key::GlobalKey;
use tower_rampart::rate_limit::{Policy, Quota, RateLimit, SharedCounts, ThrottleLayer};
use tower_rampart::redis::Redis;
use tower_rate_limit_redis::{KeyResolver, RateLimitLayer};

/// Requests at a time where they are many.
const MANY: u64 = 64;
const HOUR: Duration = Duration::from_secs(3600);

struct Server(Child, SocketAddr);

impl Server {
    fn start() -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).ok()?;
        let child = Command::new("redis-server")
            .args(["--port", &address.port().to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"])
            .args(["--dir", &std::env::temp_dir().to_string_lossy()])
            .stdout(Stdio::null())
            .spawn()
            .ok()?;
        let server = Self(child, address);
        while !server.answers() {
            std::thread::park_timeout(Duration::from_millis(10));
        }
        Some(server)
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(self.1) else { return false };
        let mut answer = [0; 5];
        stream.write_all(b"PING\r\n").is_ok() && stream.read_exact(&mut answer).is_ok() && &answer == b"+PONG"
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

type Answer = Response<Full<Bytes>>;

async fn handle(_: Request<()>) -> Result<Answer, Infallible> {
    Ok(Answer::default())
}

fn rampart(name: &'static str, quota: u32, counts: Option<SharedCounts>) -> ThrottleLayer {
    let limit = RateLimit::new().add_policy(Policy::new(name, Quota::new(quota).per(HOUR)).key(GlobalKey));
    match counts {
        Some(counts) => limit.shared_counts(counts).build_throttle(),
        None => limit.build_throttle(),
    }
    .unwrap()
}

/// A key that is another before its bucket, which holds no more than 65,535, is used up.
#[derive(Clone)]
struct Turns(Arc<AtomicU32>, u32);

impl KeyResolver for Turns {
    type Key = String;
    type ErrorBody = Full<Bytes>;

    fn key<T>(&self, _: &Request<T>) -> Result<String, Answer> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed) / self.1;
        Ok(format!("peer:{turn}"))
    }
}

fn rival(runtime: &Runtime, server: &Server, capacity: u16, each: u32) -> RateLimitLayer<Turns> {
    let client = redis::Client::open(format!("redis://{}", server.1)).unwrap();
    let conn = runtime.block_on(client.get_multiplexed_async_connection()).unwrap();
    let key = Turns(Arc::new(AtomicU32::new(u32::from(capacity) << 16)), each);
    let layer = RateLimitLayer::builder().conn(conn).key_resolver(key).capacity(capacity);
    layer.emission_interval(Duration::from_secs(3600)).timeout(Duration::from_secs(1)).build()
}

fn measure<S, B>(c: &mut Criterion, runtime: &Runtime, name: &str, status: u16, service: S)
where
    S: Service<Request<()>, Response = Response<B>, Error = Infallible> + Clone,
{
    let send = async || match service.clone().oneshot(Request::new(())).await {
        Ok(answer) => answer.status().as_u16(),
        Err(never) => match never {},
    };
    // The server learns the script, and whoever remembers a refusal has one.
    runtime.block_on(async { (send().await, send().await) });
    for many in [1, MANY] {
        let mut group = c.benchmark_group(format!("redis/{many}_at_a_time"));
        group.throughput(Throughput::Elements(many));
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let said = runtime.block_on(futures_util::future::join_all((0..many).map(|_| send())));
                assert!(said.iter().all(|said| *said == status), "{name}: {said:?}");
            });
        });
    }
}

fn shared(c: &mut Criterion) {
    let Some(server) = Server::start() else {
        eprintln!("SKIPPED: no `redis-server` in PATH");
        return;
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let redis = Redis::builder(format!("redis://{}", server.1)).timeout(Duration::from_secs(1)).build().unwrap();
    let counts = || Some(SharedCounts::new(redis.limits()));
    let leased = counts().map(|counts| counts.leased(true));
    const PLENTY: u32 = 100_000_000;
    let handler = service_fn(handle);
    measure(c, &runtime, "no layer", 200, handler);
    measure(c, &runtime, "tower-rampart, local", 200, rampart("local", PLENTY, None).layer(handler));
    measure(c, &runtime, "tower-rampart, refused", 429, rampart("refused", 1, counts()).layer(handler));
    measure(c, &runtime, "tower-rampart, leased", 200, rampart("leased", PLENTY, leased).layer(handler));
    measure(c, &runtime, "tower-rampart, strict", 200, rampart("strict", PLENTY, counts()).layer(handler));
    let admits = rival(&runtime, &server, u16::MAX, 60_000);
    measure(c, &runtime, "tower-rate-limit-redis, admitted", 200, admits.layer(handler));
    let refuses = rival(&runtime, &server, 1, u32::MAX);
    measure(c, &runtime, "tower-rate-limit-redis, refused", 429, refuses.layer(handler));
}

criterion_group!(benches, shared);
criterion_main!(benches);
