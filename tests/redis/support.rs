//! A server of one's own, and limiters that share it.

use std::convert::Infallible;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tower::{Layer, ServiceExt as _, service_fn};
use tower_rampart::ResponseBody;
use tower_rampart::key::PeerAddr;
use tower_rampart::rate_limit::{Policy, Quota, RateLimit, SharedCounts, ThrottleLayer};
use tower_rampart::redis::Redis;

/// Where nothing else listens, and whence nothing calls: nobody takes a port before the server has it, or while it is down.
const HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// A server on a port of its own, which ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// `None`, said aloud, where there is no `redis-server`; where it must be there, a failure.
    pub(crate) fn start() -> Option<Self> {
        let address = TcpListener::bind((HOST, 0)).unwrap().local_addr().unwrap();
        match spawn(address) {
            Ok(child) => Some(Self { child, address }.ready()),
            Err(error) if std::env::var_os("RAMPART_REQUIRE_REDIS").is_some() => {
                panic!("no redis-server, and it must be there: {error}")
            }
            Err(_) => {
                // Not by a macro, whose output a passing test keeps to itself.
                std::io::stderr().write_all(b"SKIPPED: no `redis-server` in PATH\n").unwrap();
                None
            }
        }
    }

    fn ready(self) -> Self {
        for _ in 0..500 {
            if TcpStream::connect(self.address).is_ok() && self.say("PING") == "+PONG" {
                return self;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        panic!("redis-server does not answer");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Sends one command, and returns the first line of its answer.
    pub(crate) fn say(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(format!("{command}\r\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap_or_default();
        line.trim_end().to_owned()
    }

    /// The only key there is.
    pub(crate) fn key(&self) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(b"KEYS *\r\n").unwrap();
        let mut lines = BufReader::new(stream).lines();
        assert_eq!(lines.next().unwrap().unwrap(), "*1", "there is one key");
        lines.nth(1).unwrap().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = spawn(self.address).unwrap();
        for _ in 0..500 {
            if TcpStream::connect(self.address).is_ok() && self.say("PING") == "+PONG" {
                return;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        panic!("redis-server does not come back");
    }

    /// Listens to all commands, until it is asked what it heard.
    pub(crate) fn monitor(&self) -> Monitor {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        stream.write_all(b"MONITOR\r\n").unwrap();
        let mut lines = BufReader::new(stream);
        let mut first = String::new();
        lines.read_line(&mut first).unwrap();
        assert_eq!(first.trim_end(), "+OK");
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let heard = thread::spawn(move || {
            let (mut heard, mut line) = (Vec::new(), String::new());
            loop {
                match lines.read_line(&mut line) {
                    Ok(0) => return heard,
                    Ok(_) => heard.push(std::mem::take(&mut line)),
                    Err(_) if end.load(Ordering::Acquire) => return heard,
                    Err(_) => {}
                }
            }
        });
        Monitor { ended, heard }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Monitor {
    ended: Arc<AtomicBool>,
    heard: thread::JoinHandle<Vec<String>>,
}

impl Monitor {
    /// Commands of clients that ran a script; what a script does itself is marked otherwise.
    pub(crate) fn scripts(self) -> usize {
        self.scripts_on("")
    }

    /// Those with such a key.
    pub(crate) fn scripts_on(self, key: &str) -> usize {
        self.ended.store(true, Ordering::Release);
        let heard = self.heard.join().unwrap();
        let is_script = |line: &&String| !line.contains(" lua]") && line.contains("\"EVAL");
        heard.iter().filter(is_script).filter(|line| line.contains(key)).count()
    }
}

fn spawn(address: SocketAddr) -> std::io::Result<Child> {
    Command::new("redis-server")
        .args(["--port", &address.port().to_string(), "--bind", &HOST.to_string(), "--save", "", "--appendonly", "no"])
        .args(["--dir", &std::env::temp_dir().to_string_lossy()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Passes bytes on, but those of the connections before the one of this number, which it takes and keeps.
pub(crate) async fn holed(to: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, from) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let good = Arc::clone(&from);
    tokio::spawn(async move {
        for number in 0.. {
            let (near, _) = listener.accept().await.unwrap();
            let Ok(far) = tokio::net::TcpStream::connect(to).await else { continue };
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            for (read, write) in [(near_read, far_write), (far_read, near_write)] {
                let good = Arc::clone(&good);
                tokio::spawn(pass(read, write, Duration::ZERO, move || number >= good.load(Ordering::Acquire)));
            }
        }
    });
    (address, from)
}

/// Passes bytes on, each piece after a delay.
pub(crate) async fn slow(to: SocketAddr, delay: Duration) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let Ok(far) = tokio::net::TcpStream::connect(to).await else { continue };
            let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
            tokio::spawn(pass(near_read, far_write, delay, || true));
            tokio::spawn(pass(far_read, near_write, Duration::ZERO, || true));
        }
    });
    address
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    delay: Duration,
    is_good: impl Fn() -> bool,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        tokio::time::sleep(delay).await;
        if !is_good() {
            continue;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

/// One of several instances.
pub(crate) struct Instance {
    pub(crate) layer: ThrottleLayer,
    pub(crate) redis: Redis,
}

pub(crate) type Answer = Response<ResponseBody<Full<Bytes>>>;

impl Instance {
    pub(crate) fn of(redis: Redis, policy: Policy, settings: impl FnOnce(SharedCounts) -> SharedCounts) -> Self {
        let counts = settings(SharedCounts::new(redis.limits()));
        let layer = RateLimit::new().add_policy(policy).shared_counts(counts).build_throttle().unwrap();
        Self { layer, redis }
    }

    /// So many an hour for each client.
    pub(crate) fn hourly(url: &str, quota: u32) -> Self {
        Self::of(redis(url), hourly(quota), |counts| counts)
    }

    pub(crate) async fn send(&self, client: u8) -> Answer {
        self.send_for(client, StatusCode::OK).await
    }

    pub(crate) async fn send_for(&self, client: u8, status: StatusCode) -> Answer {
        let request = Request::get("/").extension(PeerAddr::new(([192, 0, 2, client], 4711).into())).body(()).unwrap();
        let service = self.layer.layer(service_fn(move |_: Request<()>| async move {
            let mut response = Response::<Full<Bytes>>::default();
            *response.status_mut() = status;
            Ok::<_, Infallible>(response)
        }));
        service.oneshot(request).await.unwrap()
    }

    pub(crate) async fn status(&self, client: u8) -> u16 {
        self.send(client).await.status().as_u16()
    }

    /// Sends until the server answers again, as far as it may take.
    pub(crate) async fn recover(&self) {
        for _ in 0..400 {
            self.send(255).await;
            if self.redis.is_healthy() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the instance does not find its server again");
    }
}

pub(crate) fn redis(url: &str) -> Redis {
    // A machine that runs other tests is slow at times, and none of them is about that.
    Redis::builder(url).timeout(Duration::from_secs(5)).build().unwrap()
}

/// With as much patience as a test has where a server does not answer.
pub(crate) fn impatient(url: &str) -> Redis {
    Redis::builder(url).timeout(Duration::from_millis(250)).build().unwrap()
}

pub(crate) fn hourly(quota: u32) -> Policy {
    Policy::new("default", Quota::new(quota).per(HOUR)).key(tower_rampart::key::ClientIp::new())
}

/// How many of so many requests side by side are admitted, sent to the instances in turn.
pub(crate) async fn admitted(instances: &[Instance], requests: usize, client: u8) -> usize {
    let sent = (0..requests).map(|turn| instances[turn % instances.len()].status(client));
    futures_util::future::join_all(sent).await.into_iter().filter(|status| *status == 200).count()
}

pub(crate) fn field(answer: &Answer, name: &str) -> String {
    answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// What comes of itself comes within a while.
pub(crate) async fn eventually(is_so: impl AsyncFn() -> bool) {
    for _ in 0..1000 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come");
}
