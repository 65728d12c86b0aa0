//! What does a count cost that instances share? Needs `redis-server` in PATH. Quote ratios of one run: machines are noisy.
//!
//! After the benches, a table of what requests wait for while the server is stopped.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use http::{Request, Response};
use http_body_util::Full;
use tokio::runtime::Runtime;
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::key::GlobalKey;
use tower_rampart::rate_limit::{Policy, Quota, RateLimit, SharedCounts, ThrottleLayer};
use tower_rampart::redis::Redis;

const HOUR: Duration = Duration::from_secs(3600);

struct Server(Child, SocketAddr);

impl Server {
    fn start() -> Option<Self> {
        let address = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).unwrap();
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

    fn signal(&self, name: &str) {
        assert!(Command::new("kill").args([name, &self.0.id().to_string()]).status().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn policy(name: &'static str, quota: u32) -> Policy {
    Policy::new(name, Quota::new(quota).per(HOUR)).key(GlobalKey)
}

async fn send(layer: &ThrottleLayer) -> u16 {
    let service =
        layer.layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::<Full<Bytes>>::default())));
    let Ok(answer) = service.oneshot(Request::new(())).await;
    answer.status().as_u16()
}

fn shared(c: &mut Criterion) {
    let Some(server) = Server::start() else {
        eprintln!("SKIPPED: no `redis-server` in PATH");
        return;
    };
    let runtime = Runtime::new().unwrap();
    let redis = Redis::builder(format!("redis://{}", server.1)).build().unwrap();
    let counts = || SharedCounts::new(redis.limits());
    let layer = |policy, counts| RateLimit::new().add_policy(policy).shared_counts(counts).build_throttle().unwrap();
    let rows = [
        ("local", RateLimit::new().add_policy(policy("local", 100_000_000)).build_throttle().unwrap()),
        ("refused", layer(policy("refused", 1), counts())),
        ("leased", layer(policy("leased", 100_000_000), counts().leased(true))),
        ("strict", layer(policy("strict", 100_000_000), counts())),
    ];
    let mut group = c.benchmark_group("redis");
    for (name, layer) in &rows {
        runtime.block_on(async { (send(layer).await, send(layer).await) });
        group.bench_function(*name, |bencher| bencher.iter(|| runtime.block_on(send(layer))));
    }
    group.finish();
    outage(&server, &runtime);
}

/// What requests wait while the server is stopped, 20 at a time.
fn outage(server: &Server, runtime: &Runtime) {
    let redis = Redis::builder(format!("redis://{}", server.1)).build().unwrap();
    let counts = SharedCounts::new(redis.limits());
    let layer =
        RateLimit::new().add_policy(policy("outage", 10_000_000)).shared_counts(counts).build_throttle().unwrap();
    runtime.block_on(async {
        assert_eq!(send(&layer).await, 200);
        server.signal("-STOP");
        println!("| while the server is stopped | requests | p50 | p99 | longest |\n|---|---|---|---|---|");
        for (phase, rounds) in [("the first", 1), ("after that, for a second", 2000)] {
            let begun = Instant::now();
            let mut waits = Vec::new();
            for _ in 0..rounds {
                let calls = (0..20).map(|_| async {
                    let asked = Instant::now();
                    assert_eq!(send(&layer).await, 200);
                    asked.elapsed()
                });
                waits.extend(futures_util::future::join_all(calls).await);
                if rounds > 1 && begun.elapsed() > Duration::from_secs(1) {
                    break;
                }
            }
            waits.sort();
            let at = |share: usize| waits[(waits.len() * share / 100).min(waits.len() - 1)];
            println!("| {phase} | {} | {:?} | {:?} | {:?} |", waits.len(), at(50), at(99), at(100));
        }
        server.signal("-CONT");
        let begun = Instant::now();
        while !redis.is_healthy() {
            send(&layer).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        println!("found again after {:?}", begun.elapsed());
    });
}

criterion_group!(benches, shared);
criterion_main!(benches);
