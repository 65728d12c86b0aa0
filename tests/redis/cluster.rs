//! A cluster of three masters with a replica each, whose slots are moved and whose nodes are killed.

use std::io::{BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use tower_rampart::cache::testing::check_store as check_cache;
use tower_rampart::key::{ClientIp, GlobalKey};
use tower_rampart::rate_limit::{OnStoreFailure, Policy, Quota, RateLimit, SharedCounts, testing};
use tower_rampart::redis::Redis;

use crate::cache::{instance as cached, origin};
use crate::revocations::{self, authority, token};
use crate::support::*;

/// Nodes of a cluster, which end with the test.
struct Cluster {
    nodes: Vec<(Child, SocketAddr)>,
    dir: PathBuf,
}

const MASTERS: usize = 3;
/// After which a node that does not answer has failed, in milliseconds.
const NODE_TIMEOUT: &str = "500";

impl Cluster {
    /// `None`, said aloud, where there is no `redis-server` or no `redis-cli`; where they must be there, a failure.
    fn start() -> Option<Self> {
        let name = format!("rampart-cluster-{}-{}", std::process::id(), free().port());
        let dir = std::env::temp_dir().join(name);
        let mut cluster = Self { nodes: Vec::new(), dir };
        for at in 0..2 * MASTERS {
            let address = free();
            let place = cluster.dir.join(at.to_string());
            let _ = std::fs::remove_dir_all(&place);
            std::fs::create_dir_all(&place).unwrap();
            let child = Command::new("redis-server")
                .args([
                    "--port",
                    &address.port().to_string(),
                    "--bind",
                    "127.0.0.1",
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                ])
                .args([
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    NODE_TIMEOUT,
                    "--repl-diskless-sync-delay",
                    "0",
                ])
                .arg("--dir")
                .arg(&place)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .spawn();
            match child {
                Ok(child) => cluster.nodes.push((child, address)),
                Err(error) => return skipped("redis-server", &error),
            }
        }
        for (_, address) in &cluster.nodes {
            until("a node answers", || TcpStream::connect(address).is_ok() && say(*address, "PING")[0] == "+PONG");
        }
        let nodes = cluster.nodes.iter().map(|(_, address)| address.to_string());
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(nodes)
            .args(["--cluster-replicas", "1", "--cluster-yes"])
            .stdin(Stdio::null())
            .output();
        match created {
            Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout)),
            Err(error) => return skipped("redis-cli", &error),
        }
        cluster.serves();
        Some(cluster)
    }

    /// All nodes say that the cluster is well, and each master that lives has a replica that keeps up, if there is one.
    fn serves(&self) {
        for (_, address) in &self.nodes {
            until("the cluster serves", || {
                let said = say(*address, "CLUSTER INFO");
                said.iter().any(|line| line == "cluster_state:ok")
            });
            until("replicas keep up", || {
                let said = say(*address, "INFO replication");
                said.iter().any(|line| line == "role:master" || line == "master_link_status:up")
            });
        }
    }

    fn url(&self) -> String {
        // A few are enough: they know the others.
        format!("redis+cluster://{},{}", self.nodes[0].1, self.nodes[3].1)
    }

    /// Who is the master of a slot, by what some node that lives says.
    fn master(&self, slot: u16) -> SocketAddr {
        let (address, said) = self.map();
        let node =
            said.into_iter().find(|node| node.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot)));
        node.map(|node| node.address).unwrap_or_else(|| panic!("{address} knows nobody who has {slot}"))
    }

    fn map(&self) -> (SocketAddr, Vec<Named>) {
        let address = self.nodes.iter().map(|(_, address)| *address).find(|at| TcpStream::connect(at).is_ok()).unwrap();
        (address, say(address, "CLUSTER NODES").iter().filter_map(|line| Named::read(line)).collect())
    }

    fn id(&self, address: SocketAddr) -> String {
        say(address, "CLUSTER MYID").remove(1)
    }

    fn masters(&self) -> Vec<SocketAddr> {
        let mut masters: Vec<_> = self.map().1.into_iter().filter(|node| !node.slots.is_empty()).collect();
        masters.dedup_by_key(|node| node.address);
        masters.into_iter().map(|node| node.address).collect()
    }

    fn kill(&mut self, address: SocketAddr) {
        let at = self.nodes.iter().position(|(_, other)| *other == address).unwrap();
        let (mut child, _) = self.nodes.remove(at);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Begins to move a slot; both know it.
    fn begin_to_move(&self, slot: u16) -> (SocketAddr, SocketAddr) {
        let from = self.master(slot);
        let to = self.masters().into_iter().find(|other| *other != from).unwrap();
        assert_eq!(say(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {}", self.id(from)))[0], "+OK");
        assert_eq!(say(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {}", self.id(to)))[0], "+OK");
        (from, to)
    }

    /// Moves what is in a slot, key by key, and ends it.
    fn end_moving(&self, slot: u16, (from, to): (SocketAddr, SocketAddr)) {
        loop {
            let keys = say(from, &format!("CLUSTER GETKEYSINSLOT {slot} 1"));
            let Some(key) = keys.get(2) else { break };
            let said = say(from, &format!("MIGRATE 127.0.0.1 {} {key} 0 5000", to.port()));
            assert!(said[0] == "+OK" || said[0] == "+NOKEY", "{said:?}");
        }
        let id = self.id(to);
        for address in [to, from] {
            assert_eq!(say(address, &format!("CLUSTER SETSLOT {slot} NODE {id}"))[0], "+OK");
        }
        // The others hear of it a moment later.
        for (_, address) in &self.nodes {
            until("all know who has the slot", || {
                let said: Vec<_> = say(*address, "CLUSTER NODES").iter().filter_map(|line| Named::read(line)).collect();
                said.iter().any(|node| node.address == to && node.has(slot))
            });
        }
    }

    fn slot(&self, key: &str) -> u16 {
        say(self.nodes[0].1, &format!("CLUSTER KEYSLOT {key}"))[0].trim_start_matches(':').parse().unwrap()
    }

    fn keys(&self, pattern: &str) -> Vec<String> {
        let said = self.masters().into_iter().flat_map(|address| say(address, &format!("KEYS {pattern}")));
        said.filter(|line| !line.starts_with(['*', '$'])).collect()
    }

    /// Errors that a client should never have had.
    fn cross_slots(&self) -> usize {
        let said = self.nodes.iter().flat_map(|(_, address)| say(*address, "INFO errorstats"));
        said.filter(|line| line.starts_with("errorstat_CROSSSLOT")).count()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (child, _) in &mut self.nodes {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A line of `CLUSTER NODES`, of a master that has slots.
struct Named {
    address: SocketAddr,
    slots: Vec<(u16, u16)>,
}

impl Named {
    fn has(&self, slot: u16) -> bool {
        self.slots.iter().any(|(first, last)| (*first..=*last).contains(&slot))
    }

    fn read(line: &str) -> Option<Self> {
        let words: Vec<_> = line.split(' ').collect();
        let (address, flags) = (words.get(1)?.split('@').next()?, words.get(2)?);
        if !flags.contains("master") || flags.contains("fail") {
            return None;
        }
        let slots = words.iter().skip(8).filter(|word| !word.starts_with('[')).filter_map(|word| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            Some((first.parse().ok()?, last.parse().ok()?))
        });
        Some(Self { address: address.parse().ok()?, slots: slots.collect() })
    }
}

fn skipped<T>(what: &str, error: &std::io::Error) -> Option<T> {
    assert!(std::env::var_os("RAMPART_REQUIRE_REDIS").is_none(), "no {what}, and it must be there: {error}");
    std::io::stderr().write_all(format!("SKIPPED: no `{what}` in PATH\n").as_bytes()).unwrap();
    None
}

/// An address whose port leaves room for the cluster's own, ten thousand above: both below those that the system hands out.
fn free() -> SocketAddr {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    loop {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(10_000 + (std::process::id() as usize * 64 + next) % 12_000).unwrap();
        let both = [port, port + 10_000].map(|port| TcpListener::bind(("127.0.0.1", port)));
        if both.iter().all(Result::is_ok) {
            return SocketAddr::from(([127, 0, 0, 1], port));
        }
    }
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..2000 {
        if is_so() {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("it does not come: {what}");
}

/// Sends one command, and returns the lines of its answer.
fn say(address: SocketAddr, command: &str) -> Vec<String> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut all = String::new();
    BufReader::new(stream).read_to_string(&mut all).unwrap_or_default();
    let mut lines: Vec<_> = all.lines().map(|line| line.trim_end().to_owned()).collect();
    // What `QUIT` is answered.
    lines.pop();
    lines
}

/// An instance that refuses rather than count by itself, so that a store that fails is seen.
fn strict(redis: &Redis, policies: impl IntoIterator<Item = Policy>) -> Instance {
    shared(redis, policies, |counts| counts.on_failure(OnStoreFailure::Closed))
}

fn shared(
    redis: &Redis,
    policies: impl IntoIterator<Item = Policy>,
    settings: impl FnOnce(SharedCounts) -> SharedCounts,
) -> Instance {
    let counts = settings(SharedCounts::new(redis.limits()));
    let limit = policies.into_iter().fold(RateLimit::new(), RateLimit::add_policy);
    Instance { layer: limit.shared_counts(counts).build_throttle().unwrap(), redis: redis.clone() }
}

/// A quota of which nothing comes back while a test runs.
fn slow(name: &'static str, quota: u32) -> Policy {
    Policy::new(name, Quota::new(quota).per(quota * HOUR)).key(ClientIp::new())
}

fn for_all(name: &'static str, quota: u32) -> Policy {
    Policy::new(name, Quota::new(quota).per(quota * HOUR)).key(GlobalKey)
}

/// The slot of a client's counts.
async fn slot_of(cluster: &Cluster, client: u8) -> u16 {
    let scout = format!("scout{client}");
    let redis = Redis::builder(cluster.url()).namespace(&scout).timeout(Duration::from_secs(5)).build().unwrap();
    assert_eq!(strict(&redis, [slow("scout", 10)]).status(client).await, 200);
    let keys = cluster.keys(&format!("{scout}:*"));
    assert_eq!(keys.len(), 1, "{keys:?}");
    // The tag is the same in every namespace.
    cluster.slot(&keys[0])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_is_one_store() {
    let Some(cluster) = Cluster::start() else { return };
    let redis = redis(&cluster.url());
    testing::check_store(&redis.limits(), "cluster", async |time| tokio::time::sleep(time).await).await.unwrap();
    let cache = redis.cache();
    check_cache(&cache, "cluster", async |time| tokio::time::sleep(time).await).await.unwrap();
    two_instances(&cluster).await;
    several_slots(&cluster).await;
    a_refusal_gives_back(&cluster).await;
    revoking(&cluster).await;
    moving_under_load(&cluster).await;
    moving_new_keys(&cluster).await;
    moving_the_cache(&cluster).await;
    assert_eq!(cluster.cross_slots(), 0, "no script's keys stand in two slots");
    assert!(say(cluster.nodes[0].1, "MGET foo bar")[0].starts_with("-CROSSSLOT"));
    assert_eq!(cluster.cross_slots(), 1, "and it would be seen");
}

async fn two_instances(cluster: &Cluster) {
    let leased = |_: u8| {
        let policy = Policy::new("leased", Quota::new(1000).per(1000 * HOUR)).key(ClientIp::new());
        shared(&redis(&cluster.url()), [policy], |counts| counts.leased(true))
    };
    let instances =
        [strict(&redis(&cluster.url()), [slow("two", 100)]), strict(&redis(&cluster.url()), [slow("two", 100)])];
    for client in 1..=4 {
        assert_eq!(admitted(&instances, 400, client).await, 100);
    }
    let instances = [leased(1), leased(2)];
    let mut count = 0;
    for turn in 0..1200 {
        count += usize::from(instances[turn % 2].status(1).await == 200);
    }
    assert!((900..=1000).contains(&count), "{count} were admitted");
}

/// Policies that count by different keys, of which the last decides.
async fn several_slots(cluster: &Cluster) {
    let policies = || [slow("narrow", 50), slow("wide", 60), for_all("all", 100)];
    let instances = [strict(&redis(&cluster.url()), policies()), strict(&redis(&cluster.url()), policies())];
    let counts = futures_util::future::join_all((11..=18).map(|client| admitted(&instances, 50, client))).await;
    assert_eq!(counts.iter().sum::<usize>(), 100, "{counts:?}");
    let keys = cluster.keys("rampart:limit:*");
    let slots: std::collections::BTreeSet<_> = keys.iter().map(|key| cluster.slot(key)).collect();
    assert!(slots.len() > 8, "{keys:?}");
}

async fn a_refusal_gives_back(cluster: &Cluster) {
    let redis = redis(&cluster.url());
    let policies = || [slow("own", 5), for_all("together", 7)];
    // One that knows nothing of what was refused before, each time.
    for (client, own, sent) in [(21, 5, 8), (22, 2, 4)] {
        let mut count = 0;
        for _ in 0..sent {
            count += usize::from(strict(&redis, policies()).status(client).await == 200);
        }
        assert_eq!(count, own, "{client}");
    }
    assert_eq!(left(&redis, slow("own", 5), 22).await, 3, "what was refused took nothing");
    // The other way round, what all share comes back.
    let turned = || [for_all("first", 9), slow("second", 1)];
    for _ in 0..5 {
        strict(&redis, turned()).send(23).await;
    }
    assert_eq!(left(&redis, for_all("first", 9), 24).await, 8);
}

/// What a policy has left, by a request that takes one of it.
async fn left(redis: &Redis, policy: Policy, client: u8) -> u32 {
    let answer = strict(redis, [policy]).send(client).await;
    let field = field(&answer, "ratelimit");
    let left = field.split(";r=").nth(1).and_then(|rest| rest.split(';').next()?.parse::<u32>().ok());
    left.unwrap_or_else(|| panic!("{answer:?}")) + 1
}

async fn revoking(cluster: &Cluster) {
    let authority = authority();
    let one = revocations::Instance::at(&cluster.url(), &authority).load().await;
    let other = revocations::Instance::at(&cluster.url(), &authority).load().await;
    let token = token(&authority, "alice", "7");
    assert!(other.accepts(&token));
    one.revoke("7").await.unwrap();
    other.refuses(&token).await;
    assert!(!revocations::Instance::at(&cluster.url(), &authority).load().await.accepts(&token));
}

/// A slot goes to and fro while it is used: nobody is refused for it, and no token is given twice.
async fn moving_under_load(cluster: &Cluster) {
    let slot = slot_of(cluster, 31).await;
    let policies = || [slow("short", 600), slow("long", 700)];
    let instances = [strict(&redis(&cluster.url()), policies()), strict(&redis(&cluster.url()), policies())];
    let ends = AtomicBool::new(false);
    let load = async {
        let (mut counts, mut turn) = ([0; 2], 0);
        while !ends.load(Ordering::Acquire) || turn < 1000 {
            let sent = (0..8).map(|at| instances[at % 2].status(31));
            for status in futures_util::future::join_all(sent).await {
                match status {
                    200 => counts[0] += 1,
                    429 => counts[1] += 1,
                    other => panic!("{other} after {counts:?}"),
                }
            }
            turn += 8;
        }
        counts
    };
    let moving = async {
        for _ in 0..3 {
            tokio::task::block_in_place(|| {
                let way = cluster.begin_to_move(slot);
                thread::park_timeout(Duration::from_millis(20));
                cluster.end_moving(slot, way);
            });
            tokio::task::yield_now().await;
        }
        ends.store(true, Ordering::Release);
    };
    let (counts, ()) = tokio::join!(load, moving);
    assert_eq!(counts[0], 600, "{counts:?}");
}

/// Two keys that are new in a slot that is being moved are in neither place.
async fn moving_new_keys(cluster: &Cluster) {
    let slot = slot_of(cluster, 32).await;
    let way = cluster.begin_to_move(slot);
    let policies = || [slow("new", 20), slow("newer", 30)];
    let instances = [strict(&redis(&cluster.url()), policies()), strict(&redis(&cluster.url()), policies())];
    let before = admitted(&instances, 10, 32).await;
    assert_eq!(before, 10);
    cluster.end_moving(slot, way);
    assert_eq!(admitted(&instances, 40, 32).await, 10);
}

/// What is in both places is a miss; afterwards it is found again, and purges are heard.
async fn moving_the_cache(cluster: &Cluster) {
    let slot = cluster.slot("{rampart:cache}:purges");
    let redis = redis(&cluster.url());
    let origin = origin();
    let (one, other) = (cached(&redis, &origin), cached(&redis, &origin));
    one.get("/before").await;
    other.until("/before", true).await;
    let way = cluster.begin_to_move(slot);
    for path in ["/before", "/during"] {
        one.get(path).await;
        other.get(path).await;
    }
    cluster.end_moving(slot, way);
    one.get("/after").await;
    eventually(async || cached(&redis, &origin).get("/after").await.is_hit).await;
    other.until("/after", true).await;
    let before = other.get("/after").await.body;
    one.cache.purge_tag("t");
    eventually(async || one.cache.purges_told().await).await;
    eventually(async || other.get("/after").await.body != before).await;
}

/// A node that dies is missed by its own keys alone, and only until its replica has taken over.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_dies() {
    let Some(mut cluster) = Cluster::start() else { return };
    let cache_slot = cluster.slot("{rampart:cache}:purges");
    let dying = cluster.master(cache_slot);
    let (mut on_it, mut elsewhere) = (None, None);
    for client in 1..=250 {
        let is_on_it = cluster.master(slot_of(&cluster, client).await) == dying;
        if is_on_it {
            on_it = Some(client)
        } else {
            elsewhere = Some(client)
        }
        if on_it.is_some() && elsewhere.is_some() {
            break;
        }
    }
    let (on_it, elsewhere) = (on_it.unwrap(), elsewhere.unwrap());
    let url = cluster.url();
    let impatient = || Redis::builder(url.as_str()).timeout(Duration::from_millis(250)).build().unwrap();
    let local = |redis: &Redis| shared(redis, [slow("dies", 100)], |counts| counts);
    let redises = [impatient(), impatient()];
    let instances = redises.each_ref().map(local);
    let origin = origin();
    let (one, other) = (cached(&redises[0], &origin), cached(&redises[1], &origin));
    one.get("/x").await;
    other.until("/x", true).await;
    assert_eq!(admitted(&instances, 50, on_it).await, 50);
    until("the replica has it all", || {
        let said = say(dying, "INFO replication");
        let of = |name: &str| said.iter().find_map(|line| Some(line.split(name).nth(1)?.split(',').next()?.to_owned()));
        of("master_repl_offset:").is_some() && of("master_repl_offset:") == of(",offset=")
    });

    cluster.kill(dying);
    // Nobody is refused for it. Each of two counts by its half, of which half is used.
    let mut counts = [0; 2];
    for turn in 0..120 {
        match instances[turn % 2].status(on_it).await {
            200 => counts[0] += 1,
            429 => counts[1] += 1,
            other => panic!("{other}"),
        }
    }
    assert!(counts[0] <= 100, "shares of what was left, and then what the replica had: {counts:?}");
    assert_eq!(admitted(&instances, 20, elsewhere).await, 20);
    assert!(!one.get("/y").await.is_hit);
    assert!(one.get("/y").await.is_hit, "memory is enough");

    for (instance, redis) in instances.iter().zip(&redises) {
        let turn = AtomicUsize::new(0);
        eventually(async || {
            // Who is refused by what is known asks nobody.
            instance.send((turn.fetch_add(1, Ordering::Relaxed) % 250) as u8).await;
            redis.is_healthy()
        })
        .await;
    }
    cluster.serves();
    // Those who are new know what the replica had, and both count as one again.
    let fresh = [impatient(), impatient()].each_ref().map(|redis| strict(redis, [slow("after", 100)]));
    assert_eq!(admitted(&fresh, 400, on_it).await, 100);
    let answer = strict(&impatient(), [slow("dies", 100)]).send(on_it).await;
    assert!(answer.status() == 200 || answer.status() == 429, "{answer:?}");
    let left = field(&answer, "ratelimit");
    assert!(!left.contains("r=99"), "the replica had heard of the counts: {left}");
    other.until("/x", true).await;
    let before = other.get("/x").await.body;
    one.cache.purge_tag("t");
    eventually(async || one.cache.purges_told().await).await;
    eventually(async || other.get("/x").await.body != before).await;
    assert_eq!(cluster.cross_slots(), 0);
}
