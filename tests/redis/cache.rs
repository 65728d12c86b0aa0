//! The second tier of caches, against a server that is broken in every way.

use std::convert::Infallible;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::sync::Semaphore;
use tower::{Layer as _, ServiceExt as _, service_fn};
use tower_rampart::cache::testing::check_store;
use tower_rampart::cache::{Cache, Purge, Store};
use tower_rampart::redis::Redis;

use crate::support::*;

/// An origin that counts, and that can be held up.
#[derive(Clone)]
pub(crate) struct Origin {
    calls: Arc<AtomicUsize>,
    gate: Arc<Semaphore>,
}

/// One of several instances.
pub(crate) struct Instance {
    pub(crate) cache: Cache,
    origin: Origin,
}

pub(crate) fn origin() -> Origin {
    Origin { calls: Arc::default(), gate: Arc::new(Semaphore::new(1 << 20)) }
}

pub(crate) fn instance(redis: &Redis, origin: &Origin) -> Instance {
    let cache = Cache::builder().with_store(redis.cache()).store_timeout(Duration::from_secs(5));
    Instance { cache: cache.build().unwrap(), origin: origin.clone() }
}

pub(crate) struct Got {
    pub(crate) is_hit: bool,
    pub(crate) body: Bytes,
}

impl Origin {
    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Instance {
    async fn send(&self, method: &str, path: &str) -> Got {
        let origin = self.origin.clone();
        let service = self.cache.layer().layer(service_fn(move |request: Request<()>| {
            let origin = origin.clone();
            async move {
                if request.method() != "GET" {
                    return Ok(Response::builder().status(204).body(Full::default()).unwrap());
                }
                let call = origin.calls.fetch_add(1, Ordering::SeqCst) + 1;
                origin.gate.acquire().await.unwrap().forget();
                let response = Response::builder()
                    .header("cache-control", "max-age=600")
                    .header("surrogate-key", "t")
                    .body(Full::new(Bytes::from(call.to_string())));
                Ok::<_, Infallible>(response.unwrap())
            }
        }));
        let request = Request::builder().method(method).uri(path).header("host", "a").body(()).unwrap();
        let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
        let status = parts.headers["cache-status"].to_str().unwrap();
        Got { is_hit: status.starts_with("rampart; hit"), body: body.collect().await.unwrap().to_bytes() }
    }

    pub(crate) async fn get(&self, path: &str) -> Got {
        self.send("GET", path).await
    }

    /// Asks until it is so.
    pub(crate) async fn until(&self, path: &str, is_hit: bool) {
        eventually(async || self.get(path).await.is_hit == is_hit).await;
    }
}

/// Records that the server has.
fn records(server: &Server) -> Vec<String> {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"KEYS *record*\r\nQUIT\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all.lines().filter(|line| line.contains("record:")).map(|line| line.trim_end().to_owned()).collect()
}

async fn stored(server: &Server, count: usize) {
    eventually(async || records(server).len() == count).await;
}

/// The suite that every store passes.
#[tokio::test]
async fn it_is_a_store() {
    let Some(server) = Server::start() else { return };
    let store = redis(&server.url()).cache();
    check_store(&store, "redis", async |time| tokio::time::sleep(time).await).await.unwrap();
    // Nothing is there for ever but what was purged.
    for key in records(&server) {
        assert!(server.say(&format!("PTTL {key}")).trim_start_matches(':').parse::<i64>().unwrap() > 0);
    }
    server.say("SCRIPT FLUSH");
    check_store(&store, "redis, without scripts", async |time| tokio::time::sleep(time).await).await.unwrap();
}

#[tokio::test]
async fn what_one_purges_is_purged_for_all() {
    type Undo = fn(&Cache);
    let hard: [Undo; 5] = [
        |cache| cache.purge_tag("t"),
        |cache| cache.purge_path("/x"),
        |cache| cache.purge_prefix("/"),
        |cache| cache.purge_uri(&"http://a/x".parse().unwrap()),
        |cache| cache.purge_all(),
    ];
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    for undo in hard {
        server.say("FLUSHALL");
        let origin = origin();
        let (one, other) = (instance(&redis, &origin), instance(&redis, &origin));
        one.get("/x").await;
        stored(&server, 1).await;
        assert!(other.get("/x").await.is_hit, "what one stores the other finds");
        undo(&one.cache);
        assert!(one.cache.purges_told().await);
        assert_eq!(instance(&redis, &origin).get("/x").await.body, "2", "it is not in the store");
        eventually(async || other.get("/x").await.body != "1").await;
        assert_eq!(one.get("/x").await.body, "2", "what was fetched since is everybody's");
    }
}

/// The other's memory, without its asking the store.
#[tokio::test]
async fn the_others_hear_of_it() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let origin = origin();
    let (one, other) = (instance(&redis, &origin), instance(&redis, &origin));
    for how in [Purge::Hard, Purge::Soft] {
        one.get("/x").await;
        stored(&server, 1).await;
        other.until("/x", true).await;
        subscribed(&server).await;
        let before = other.get("/x").await.body;
        one.cache.purge_tag_as("t", how);
        assert!(one.cache.purges_told().await);
        eventually(async || other.get("/x").await.body != before).await;
        one.send("POST", "/x").await;
        assert!(one.cache.purges_told().await);
    }
}

async fn subscribed(server: &Server) {
    eventually(async || {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.write_all(b"PUBSUB NUMSUB {rampart:cache}:told\r\nQUIT\r\n").unwrap();
        let mut all = String::new();
        stream.read_to_string(&mut all).unwrap();
        all.lines().any(|line| line == ":2")
    })
    .await;
}

/// An unsafe request on one ends what all have, in memory and in the store.
#[tokio::test]
async fn an_unsafe_request_ends_it() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let origin = origin();
    let (one, other) = (instance(&redis, &origin), instance(&redis, &origin));
    one.get("/x").await;
    stored(&server, 1).await;
    assert_eq!(other.get("/x").await.body, "1");
    other.until("/x", true).await;
    subscribed(&server).await;
    one.send("POST", "/x").await;
    assert!(one.cache.purges_told().await);
    eventually(async || other.get("/x").await.body == "2").await;
}

/// A purge while another instance fetches: what it fetched does not come to stand there.
#[tokio::test]
async fn a_fill_under_way() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let origin = Origin { gate: Arc::new(Semaphore::new(0)), ..origin() };
    let (one, other) = (instance(&redis, &origin), Arc::new(instance(&redis, &origin)));
    let filler = Arc::clone(&other);
    let filling = tokio::spawn(async move { filler.get("/x").await.body });
    eventually(async || origin.calls() == 1).await;
    one.cache.purge_tag("t");
    assert!(one.cache.purges_told().await);
    origin.gate.add_permits(100);
    assert_eq!(filling.await.unwrap(), "1");
    let got = one.get("/x").await;
    assert_eq!((got.is_hit, &*got.body), (false, &b"2"[..]));
    stored(&server, 1).await;
    assert_eq!(instance(&redis, &origin).get("/x").await.body, "2");
    eventually(async || other.get("/x").await.body == "2").await;
}

/// One fetch for all instances.
#[tokio::test]
async fn one_fetches() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let origin = Origin { gate: Arc::new(Semaphore::new(0)), ..origin() };
    let asked: Vec<_> = (0..8)
        .map(|_| {
            let instance = instance(&redis, &origin);
            tokio::spawn(async move { instance.get("/x").await.body })
        })
        .collect();
    eventually(async || origin.calls() == 1).await;
    origin.gate.add_permits(100);
    for got in asked {
        assert_eq!(got.await.unwrap(), "1");
    }
    assert_eq!(origin.calls(), 1);
}

/// While the server is gone or stopped, memory is enough, and nobody fails or waits for long; purges are told when it is back.
#[tokio::test]
async fn outages() {
    for stops in [true, false] {
        let Some(mut server) = Server::start() else { return };
        let patience = Duration::from_secs(1);
        let redis = Redis::builder(server.url()).timeout(patience).build().unwrap();
        let origin = origin();
        let instance = || {
            let cache = Cache::builder().with_store(redis.cache()).store_timeout(patience);
            Instance { cache: cache.build().unwrap(), origin: origin.clone() }
        };
        let (one, other) = (instance(), instance());
        one.until("/x", true).await;
        stored(&server, 1).await;
        other.until("/x", true).await;
        subscribed(&server).await;
        if stops {
            server.signal("STOP");
        } else {
            server.kill();
        }
        assert!(one.get("/x").await.is_hit);
        for path in ["/y", "/z"] {
            one.get(path).await;
            assert!(one.get(path).await.is_hit, "memory is enough");
        }
        let before = other.get("/x").await.body;
        one.cache.purge_tag("t");
        assert!(!one.cache.purges_told().await);
        assert!(!one.get("/x").await.is_hit, "it is purged here all the same");
        if stops {
            server.signal("CONT");
        } else {
            server.restart();
        }
        eventually(async || one.cache.purges_told().await).await;
        eventually(async || other.get("/x").await.body != before).await;
    }
}

/// A server that lost everything, and one whose scripts and connections were taken away.
#[tokio::test]
async fn losses() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let origin = origin();
    let (one, other) = (instance(&redis, &origin), instance(&redis, &origin));
    for command in ["FLUSHALL", "SCRIPT FLUSH", "CLIENT KILL TYPE normal", "CLIENT KILL TYPE pubsub"] {
        one.get("/x").await;
        stored(&server, 1).await;
        other.until("/x", true).await;
        subscribed(&server).await;
        let before = other.get("/x").await.body;
        server.say(command);
        one.cache.purge_tag("t");
        eventually(async || one.cache.purges_told().await).await;
        eventually(async || other.get("/x").await.body != before).await;
    }
}

/// Whatever somebody else wrote there is no answer and no end.
#[tokio::test]
async fn foreign_values() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    for foreign in ["SET", "HSET", "LPUSH", "bend"] {
        server.say("FLUSHALL");
        let origin = origin();
        instance(&redis, &origin).get("/x").await;
        stored(&server, 1).await;
        let key = records(&server).remove(0);
        let claim = key.replace("record:", "claim:");
        for name in [&*key, "{rampart:cache}:purges", &*claim] {
            let answer = match foreign {
                "bend" => server.say(&format!("HSET {key} record junk places junk")),
                command => {
                    // Else there would be an answer, and no claim.
                    server.say(&format!("DEL {key} {name}"));
                    server.say(&format!("{command} {name} era {}", if command == "SET" { "" } else { "x" }))
                }
            };
            assert!(!answer.starts_with('-') || foreign == "SET", "{answer}");
            if foreign == "SET" {
                server.say(&format!("SET {name} junk"));
            }
            let fresh = instance(&redis, &origin);
            let calls = origin.calls();
            assert_eq!(fresh.get("/x").await.body, (calls + 1).to_string(), "{foreign} {name}");
            fresh.cache.purge_all();
            assert!(fresh.cache.purges_told().await, "{foreign} {name}");
            fresh.get("/x").await;
            stored(&server, 1).await;
        }
    }
}

/// What is text becomes less of it on its way, and is what it was when it comes back.
#[tokio::test]
async fn text_is_packed() {
    const TEXT: &str = "the same again and again, ";
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let get = async |path: &str| {
        let cache = Cache::builder().with_store(Arc::new(redis.cache())).store_timeout(Duration::from_secs(5));
        let service = cache.build().unwrap().layer().layer(service_fn(|request: Request<()>| async move {
            let (media, coding, times) = match request.uri().path() {
                "/text" => ("text/plain", "identity", 20_000),
                "/short" => ("text/plain", "identity", 10),
                "/image" => ("image/png", "identity", 1000),
                _ => ("text/plain", "gzip", 1000),
            };
            let response = Response::builder().header("cache-control", "max-age=600").header("content-type", media);
            let body = Full::new(Bytes::from(TEXT.repeat(times)));
            Ok::<_, Infallible>(response.header("content-encoding", coding).body(body).unwrap())
        }));
        let request = Request::builder().uri(path).header("host", "a").body(()).unwrap();
        let (parts, body) = service.oneshot(request).await.unwrap().into_parts();
        let is_hit = parts.headers["cache-status"].to_str().unwrap().starts_with("rampart; hit");
        (is_hit, body.collect().await.unwrap().to_bytes())
    };
    for (path, times, is_packed) in
        [("/text", 20_000, true), ("/short", 10, false), ("/image", 1000, false), ("/gzip", 1000, false)]
    {
        server.say("FLUSHALL");
        assert!(!get(path).await.0, "{path}");
        stored(&server, 1).await;
        let key = records(&server).remove(0);
        let length: usize = server.say(&format!("HSTRLEN {key} record")).trim_start_matches(':').parse().unwrap();
        assert_eq!(length < TEXT.len() * times / 4, is_packed, "{path}: {length}");
        let (is_hit, body) = get(path).await;
        assert!(is_hit && body == TEXT.repeat(times), "{path}");
        // What says that it is longer than anything, or was another's, is none.
        for lie in ["99999999999", "-1", "junk", "1000000", "7"] {
            server.say(&format!("HSET {key} whole {lie}"));
            assert!(!get(path).await.0, "{path}: {lie}");
            stored(&server, 1).await;
        }
    }
}

/// What listeners are told by a stranger.
#[tokio::test]
async fn foreign_messages() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let origin = origin();
    let (one, other) = (instance(&redis, &origin), instance(&redis, &origin));
    one.get("/x").await;
    stored(&server, 1).await;
    other.until("/x", true).await;
    subscribed(&server).await;
    for message in ["junk", "0000000000000000", "\"\\xff\"", "\"a b c d\""] {
        server.say(&format!("PUBLISH {{rampart:cache}}:told {message}"));
    }
    assert!(other.get("/x").await.is_hit);
    let before = other.get("/x").await.body;
    one.cache.purge_tag("t");
    assert!(one.cache.purges_told().await);
    eventually(async || other.get("/x").await.body != before).await;
}

/// Outside of a runtime with timers there is no second tier, and no panic.
#[test]
fn without_timers() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let redis = redis("redis://127.0.0.1:1");
        let one = instance(&redis, &origin());
        assert_eq!(one.get("/x").await.body, "1");
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        one.cache.purge_tag("t");
        assert!(!one.cache.purges_told().await);
        assert_eq!(one.get("/x").await.body, "2");
    });
}

/// With a secret, records that somebody else made are none; the suite holds with it too.
#[tokio::test]
async fn secrets() {
    let Some(server) = Server::start() else { return };
    let with =
        |secret: &str| Redis::builder(server.url()).secret(secret).timeout(Duration::from_secs(5)).build().unwrap();
    let origin = origin();
    instance(&with("one"), &origin).get("/x").await;
    stored(&server, 1).await;
    assert!(instance(&with("one"), &origin).get("/x").await.is_hit);
    assert!(!instance(&with("other"), &origin).get("/x").await.is_hit);
    assert_ne!(with("one").cache().secret(), with("other").cache().secret());
}

/// One command for what is there, and for what is not; none for what is in memory.
#[tokio::test]
async fn round_trips() {
    let Some(server) = Server::start() else { return };
    let redis = redis(&server.url());
    let origin = origin();
    let (one, other) = (instance(&redis, &origin), instance(&redis, &origin));
    one.get("/x").await;
    stored(&server, 1).await;
    other.get("/warm").await;
    subscribed(&server).await;
    stored(&server, 2).await;
    let monitor = server.monitor();
    assert!(other.get("/x").await.is_hit);
    for _ in 0..10 {
        assert!(other.get("/x").await.is_hit);
    }
    // Claims are given back behind everybody's back, and by no record's name.
    assert_eq!(monitor.scripts_on("record:"), 1);
}

/// Claims that the server has.
fn claims(server: &Server) -> usize {
    let mut stream = TcpStream::connect(server.address).unwrap();
    stream.write_all(b"KEYS *claim:*\r\nQUIT\r\n").unwrap();
    let mut all = String::new();
    stream.read_to_string(&mut all).unwrap();
    all.lines().filter(|line| line.contains("claim:")).count()
}

/// An answer that comes too late may have been a claim, for which others would wait.
#[tokio::test]
async fn what_was_claimed_too_late_is_given_back() {
    let Some(server) = Server::start() else { return };
    let far = slow(server.address, Duration::from_millis(150)).await;
    let origin = origin();
    let cache = Cache::builder().with_store(Arc::new(redis(&format!("redis://{far}")).cache()));
    let cache = cache.store_timeout(Duration::from_millis(20)).fill_lease(Duration::from_secs(60)).build().unwrap();
    let one = Instance { cache, origin: origin.clone() };
    let mut was_claimed = false;
    for turn in 0..1000 {
        // The first ones find no connection yet.
        one.get(&format!("/{turn}")).await;
        was_claimed |= claims(&server) > 0;
        if was_claimed {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(was_claimed, "the server hears of it late");
    eventually(async || claims(&server) == 0).await;
}
