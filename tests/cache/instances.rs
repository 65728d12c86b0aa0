//! Several instances that are one by a store that they share.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tower_rampart::cache::testing::check_store;
use tower_rampart::cache::{
    Cache, CacheBuilder, Listener, Look, Looked, MemoryStore, Moment, News, Purge, Put, Store, StoreError, StoreFuture,
    StorePurge,
};
use tower_rampart::{Clock, ClockHand};

use crate::support::*;

#[tokio::test]
async fn the_store_in_memory_is_one() {
    let (clock, hand) = Clock::manual();
    let store = MemoryStore::new(1 << 20).with_clock(clock);
    check_store(&store, "memory", async |time| hand.advance(time)).await.unwrap();
}

/// A store that can be told to fail, and what it was given.
struct Shared {
    store: MemoryStore,
    is_down: AtomicBool,
    is_deaf: AtomicBool,
    puts: Mutex<Vec<(Vec<u8>, Put)>>,
}

impl Shared {
    fn answer<'a, T: Send + 'a>(&self, answer: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        if self.is_down.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::new("down")) });
        }
        answer
    }
}

impl Store for Shared {
    fn get<'a>(&'a self, look: Look<'a>) -> StoreFuture<'a, Looked> {
        self.answer(self.store.get(look))
    }

    fn put<'a>(&'a self, key: &'a [u8], put: Put) -> StoreFuture<'a, bool> {
        self.puts.lock().unwrap().push((key.to_vec(), put.clone()));
        self.answer(self.store.put(key, put))
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()> {
        self.answer(self.store.remove(key))
    }

    fn purge<'a>(&'a self, purges: &'a [StorePurge], from: u64) -> StoreFuture<'a, Moment> {
        if self.is_down.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreError::new("down")) });
        }
        self.store.purge(purges, from)
    }

    fn release<'a>(&'a self, key: &'a [u8], token: u64, is_declined: bool) -> StoreFuture<'a, ()> {
        self.answer(self.store.release(key, token, is_declined))
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        let listener = self.store.listen()?;
        Some(if self.is_deaf.load(Ordering::SeqCst) { Box::new(Deaf(listener)) } else { listener })
    }
}

/// Hears the first, and nothing more.
struct Deaf(Box<dyn Listener>);

impl Listener for Deaf {
    fn next(&mut self) -> StoreFuture<'_, News> {
        let first = self.0.next();
        Box::pin(async move {
            match first.await {
                Ok(News::Back(moment)) => Ok(News::Back(moment)),
                _ => pending().await,
            }
        })
    }
}

/// Instances with one clock.
struct House {
    origin: Origin,
    shared: Arc<Shared>,
    clock: Clock,
    hand: ClockHand,
}

impl House {
    fn new(origin: Origin) -> Self {
        let (clock, hand) = Clock::manual();
        let store = MemoryStore::new(1 << 20).with_clock(clock.clone());
        let shared = Shared { store, is_down: false.into(), is_deaf: false.into(), puts: Mutex::default() };
        Self { origin, shared: Arc::new(shared), clock, hand }
    }

    fn instance(&self) -> Setup {
        self.instance_with(|cache| cache)
    }

    fn instance_with(&self, settle: impl FnOnce(CacheBuilder) -> CacheBuilder) -> Setup {
        let builder = Cache::builder().with_clock(self.clock.clone()).with_store(self.shared.clone());
        let cache = settle(builder).build().unwrap();
        let service = tower::Layer::layer(&cache.layer(), self.origin.clone());
        Setup { service, origin: self.origin.clone(), cache, hand: self.hand.clone() }
    }
}

fn origin() -> Origin {
    Origin::new(|request| {
        if request.method() != "GET" {
            return status(204, &[("cache-group-invalidation", "\"g\"")], "").response();
        }
        let vary = if request.uri().path() == "/vary" { "x-a" } else { "" };
        ok(&[("cache-control", "max-age=60"), ("vary", vary), ("surrogate-key", "t"), ("etag", "\"1\"")], "body")
            .response()
    })
}

/// What is stale in the store too is no answer to whoever was to refresh it.
#[tokio::test]
async fn what_is_stale_everywhere_is_refreshed() {
    let house = House::new(Origin::new(|_| {
        ok(&[("cache-control", "max-age=10, stale-while-revalidate=60"), ("surrogate-key", "t")], "body").response()
    }));
    let (one, other) = (house.instance(), house.instance());
    one.get("http://a/x").await;
    settled().await;
    house.hand.advance(Duration::from_secs(11));
    assert!(one.get("http://a/x").await.is_hit(), "stale, and refreshed behind its back");
    settled().await;
    assert_eq!(house.origin.calls(), 2);
    assert!(other.get("http://a/x").await.is_hit(), "what was fetched is everybody's");
    assert_eq!(house.origin.calls(), 2);
    one.cache.purge_tag_as("t", Purge::Soft);
    assert!(one.cache.purges_told().await);
    settled().await;
    one.get("http://a/x").await;
    settled().await;
    assert_eq!(house.origin.calls(), 3, "a soft purge makes it stale, and whoever comes next has it fetched");
}

/// Whatever purges on one is a purge on the other, in its memory too, and in the store.
#[tokio::test]
async fn a_purge_is_everybodys() {
    type Undo = fn(&Setup);
    let hard: [Undo; 5] = [
        |setup| setup.cache.purge_tag("t"),
        |setup| setup.cache.purge_path("/x"),
        |setup| setup.cache.purge_prefix("/"),
        |setup| setup.cache.purge_uri(&"http://a/x".parse().unwrap()),
        |setup| setup.cache.purge_all(),
    ];
    for undo in hard {
        let house = House::new(origin());
        let (one, other) = (house.instance(), house.instance());
        for setup in [&one, &other] {
            setup.get("http://a/x").await;
            settled().await;
        }
        assert_eq!(house.origin.calls(), 1);
        undo(&one);
        assert!(one.cache.purges_told().await);
        settled().await;
        assert!(!other.get("http://a/x").await.is_hit(), "neither in its memory nor in the store");
        settled().await;
        assert!(one.get("http://a/x").await.is_hit(), "what was fetched since is there for both");
        assert!(house.instance().get("http://a/x").await.is_hit());
        assert_eq!(house.origin.calls(), 2);
    }
}

#[tokio::test]
async fn a_soft_purge_makes_stale_everywhere() {
    for tag in [Some("t"), None] {
        let house = House::new(origin());
        let (one, other) = (house.instance(), house.instance());
        for setup in [&one, &other] {
            setup.get("http://a/x").await;
            settled().await;
        }
        match tag {
            Some(tag) => one.cache.purge_tag_as(tag, Purge::Soft),
            None => one.cache.purge_all_as(Purge::Soft),
        }
        assert!(one.cache.purges_told().await);
        settled().await;
        for setup in [&other, &house.instance()] {
            let got = setup.get("http://a/x").await;
            assert!(got.cache_status().contains("fwd=stale"), "{}", got.cache_status());
            house.hand.advance(Duration::from_millis(1));
            setup.cache.purge_tag_as("t", Purge::Soft);
            assert!(setup.cache.purges_told().await);
        }
    }
}

/// RFC 9111 section 4.4, and RFC 9875 section 3, whichever instance the unsafe request came to.
#[tokio::test]
async fn an_unsafe_request_ends_what_all_have() {
    let house = House::new(origin());
    let (one, other) = (house.instance(), house.instance());
    for uri in ["http://a/x", "http://a/vary"] {
        for setup in [&one, &other] {
            setup.get(uri).await;
            settled().await;
        }
        let calls = house.origin.calls();
        one.send(request("POST", uri, &[])).await;
        assert!(one.cache.purges_told().await);
        settled().await;
        assert!(!other.get(uri).await.is_hit());
        settled().await;
        assert!(one.get(uri).await.is_hit());
        assert_eq!(house.origin.calls(), calls + 2);
    }
}

/// A process that begins anew finds what is there, and nothing that was purged while it was away.
#[tokio::test]
async fn a_restart_brings_nothing_back() {
    let house = House::new(origin());
    let one = house.instance();
    for uri in ["http://a/x", "http://a/vary"] {
        one.get(uri).await;
        settled().await;
    }
    one.cache.purge_path("/x");
    assert!(one.cache.purges_told().await);
    drop(one);
    let again = house.instance();
    assert!(!again.get("http://a/x").await.is_hit());
    assert!(again.get("http://a/vary").await.is_hit());
}

/// A fill that began before a purge, on another instance, ends after it.
#[tokio::test]
async fn a_fill_under_way_is_purged() {
    for is_deaf in [false, true] {
        let (origin, gate) = origin().gated();
        let house = House::new(origin);
        house.shared.is_deaf.store(is_deaf, Ordering::SeqCst);
        let (one, other) = (house.instance(), Arc::new(house.instance()));
        let filler = Arc::clone(&other);
        let filling = tokio::spawn(async move { filler.get("http://a/x").await });
        settled().await;
        assert_eq!(house.origin.calls(), 1);
        one.cache.purge_tag("t");
        assert!(one.cache.purges_told().await);
        settled().await;
        gate.add_permits(10);
        assert_eq!(filling.await.unwrap().body, "body");
        settled().await;
        assert!(house.shared.store.is_empty(), "it is not put where others would find it");
        assert_eq!(other.cache.stats().entries, u64::from(is_deaf), "who does not hear keeps its own");
        assert!(!one.get("http://a/x").await.is_hit());
    }
}

/// What the store has not heard of yet is purged all the same where it was purged, and is told when it is back.
#[tokio::test]
async fn a_purge_that_is_not_told_yet() {
    let house = House::new(origin());
    let (one, other) = (house.instance(), house.instance());
    for setup in [&one, &other] {
        setup.get("http://a/x").await;
        settled().await;
    }
    house.shared.is_down.store(true, Ordering::SeqCst);
    one.cache.purge_tag("t");
    settled().await;
    house.shared.is_down.store(false, Ordering::SeqCst);
    assert!(other.get("http://a/x").await.is_hit(), "the other has not heard");
    assert!(!one.get("http://a/x").await.is_hit(), "what the store still has is not taken from there");
    house.hand.advance(Duration::from_secs(1));
    settled().await;
    assert!(one.cache.purges_told().await);
    settled().await;
    assert!(!other.get("http://a/x").await.is_hit());
}

/// Who may have missed a purge has nothing left; who has missed none keeps what it has.
#[tokio::test]
async fn who_was_deaf_drops_what_it_has() {
    let house = House::new(origin());
    let other = house.instance();
    let listener: Arc<Scripted> = Arc::default();
    let deaf = house.instance_with(|cache| cache.with_store(Arc::new(Hearing(house.shared.clone(), listener.clone()))));
    deaf.get("http://a/x").await;
    settled().await;
    let now = house.shared.get(look(b"nothing")).await.unwrap().moment;
    listener.say(News::Back(now));
    settled().await;
    assert!(deaf.get("http://a/x").await.is_hit(), "nothing was missed");
    other.cache.purge_tag("something else");
    assert!(other.cache.purges_told().await);
    listener.say(News::Back(Moment { number: now.number + 1, ..now }));
    settled().await;
    assert_eq!(deaf.cache.stats().entries, 0, "it may have been anything");
    assert!(deaf.get("http://a/x").await.is_hit(), "the store knows what it was not");
    assert_eq!(house.origin.calls(), 1);
}

/// News as a test says them.
#[derive(Default)]
struct Scripted {
    news: Mutex<Vec<News>>,
    told: tokio::sync::Notify,
}

impl Scripted {
    fn say(&self, news: News) {
        self.news.lock().unwrap().push(news);
        self.told.notify_one();
    }
}

struct Hearing(Arc<Shared>, Arc<Scripted>);

struct Ear(Arc<Scripted>);

impl Listener for Ear {
    fn next(&mut self) -> StoreFuture<'_, News> {
        Box::pin(async {
            loop {
                let news = self.0.news.lock().unwrap().pop();
                if let Some(news) = news {
                    return Ok(news);
                }
                self.0.told.notified().await;
            }
        })
    }
}

impl Store for Hearing {
    fn get<'a>(&'a self, look: Look<'a>) -> StoreFuture<'a, Looked> {
        self.0.get(look)
    }

    fn put<'a>(&'a self, key: &'a [u8], put: Put) -> StoreFuture<'a, bool> {
        self.0.put(key, put)
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()> {
        self.0.remove(key)
    }

    fn purge<'a>(&'a self, purges: &'a [StorePurge], from: u64) -> StoreFuture<'a, Moment> {
        self.0.purge(purges, from)
    }

    fn release<'a>(&'a self, key: &'a [u8], token: u64, is_declined: bool) -> StoreFuture<'a, ()> {
        self.0.release(key, token, is_declined)
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        Some(Box::new(Ear(Arc::clone(&self.1))))
    }
}

/// A store that lost everything, its purges too, gives nothing back, and takes nothing that was begun before.
#[tokio::test]
async fn a_store_that_lost_everything() {
    let (origin, gate) = origin().gated();
    gate.add_permits(1);
    let house = House::new(origin);
    let (one, other) = (house.instance(), Arc::new(house.instance()));
    one.get("http://a/x").await;
    settled().await;
    let filler = Arc::clone(&other);
    let filling = tokio::spawn(async move { filler.get("http://a/y").await });
    settled().await;
    house.shared.store.lose_everything();
    gate.add_permits(10);
    filling.await.unwrap();
    settled().await;
    assert!(house.shared.store.is_empty());
    assert!(one.get("http://a/x").await.is_hit(), "memory is enough");
    one.cache.purge_tag("unrelated");
    assert!(one.cache.purges_told().await);
    settled().await;
    assert_eq!(other.cache.stats().entries, 0, "what was purged before is known to nobody");
}

/// One instance fetches for all, and what it fetched is everybody's.
#[tokio::test]
async fn one_instance_fetches() {
    for uri in ["http://a/x", "http://a/vary"] {
        let (origin, gate) = origin().gated();
        let house = House::new(origin);
        let setups: Vec<_> = (0..5).map(|_| Arc::new(house.instance())).collect();
        let asked: Vec<_> = setups
            .iter()
            .flat_map(|setup| [Arc::clone(setup), Arc::clone(setup)])
            .map(|setup| tokio::spawn(async move { setup.get(uri).await.body }))
            .collect();
        settled().await;
        assert_eq!(house.origin.calls(), 1);
        gate.add_permits(10);
        settled().await;
        house.hand.advance(Duration::from_millis(100));
        for got in asked {
            assert_eq!(got.await.unwrap(), "body");
        }
        assert_eq!(house.origin.calls(), 1);
    }
}

/// When it expires, too: one asks the origin, and the others take what came of it.
#[tokio::test]
async fn one_instance_validates() {
    let house = House::new(origin());
    let (one, other) = (house.instance(), house.instance());
    for setup in [&one, &other] {
        setup.get("http://a/x").await;
        settled().await;
    }
    house.hand.advance(Duration::from_secs(61));
    one.get("http://a/x").await;
    settled().await;
    assert_eq!(house.origin.calls(), 2);
    assert!(other.get("http://a/x").await.is_hit());
    assert_eq!(house.origin.calls(), 2);
}

/// Whoever fetches and goes away leaves it to one of the others; whoever is never done is waited for so long and no longer.
#[tokio::test]
async fn a_fetch_that_comes_to_nothing() {
    let (origin, gate) = origin().gated();
    let house = House::new(origin);
    let setups: Vec<_> = (0..3).map(|_| Arc::new(house.instance())).collect();
    let ask = |at: usize| {
        let setup = Arc::clone(&setups[at]);
        tokio::spawn(async move { setup.get("http://a/x").await.body })
    };
    let (leader, others) = (ask(0), [ask(1), ask(2)]);
    settled().await;
    assert_eq!(house.origin.calls(), 1);
    leader.abort();
    settled().await;
    house.hand.advance(Duration::from_millis(100));
    settled().await;
    assert_eq!(house.origin.calls(), 2, "one of them, not all");
    for _ in 0..25 {
        house.hand.advance(Duration::from_millis(100));
        settled().await;
    }
    assert_eq!(house.origin.calls(), 3, "it takes too long: each for itself");
    gate.add_permits(10);
    for got in others {
        assert_eq!(got.await.unwrap(), "body");
    }
}

/// What is for nobody else is fetched by everybody at once.
#[tokio::test]
async fn what_cannot_be_shared_is_not_waited_for() {
    let origin = Origin::new(|_| ok(&[("cache-control", "private")], "own").response());
    let (origin, gate) = origin.gated();
    let house = House::new(origin);
    let setups: Vec<_> = (0..4).map(|_| Arc::new(house.instance())).collect();
    let asked: Vec<_> = setups
        .iter()
        .map(|setup| {
            let setup = Arc::clone(setup);
            tokio::spawn(async move { setup.get("http://a/x").await.body })
        })
        .collect();
    settled().await;
    assert_eq!(house.origin.calls(), 1);
    gate.add_permits(1);
    settled().await;
    house.hand.advance(Duration::from_millis(5));
    settled().await;
    assert_eq!(house.origin.calls(), 4, "all of them, side by side");
    gate.add_permits(10);
    for got in asked {
        assert_eq!(got.await.unwrap(), "own");
    }
}

/// No URI, no tag and no query goes to the store as it is, and nothing that was bent there is an answer.
#[tokio::test]
async fn what_is_in_the_store() {
    let house = House::new(origin());
    house.instance().get("http://host.example/secret-path?secret-query").await;
    house.instance().get("http://a/y").await;
    settled().await;
    let puts = std::mem::take(&mut *house.shared.puts.lock().unwrap());
    assert_eq!(puts.len(), 2);
    for (key, put) in &puts {
        assert_eq!(key.len(), 32);
        let whole = [&put.record[..], key].concat();
        for name in [&b"host.example"[..], b"secret-path", b"secret-query", b"surrogate"] {
            assert!(!whole.windows(name.len()).any(|window| window == name));
        }
    }
    let [(x, put_x), (y, put_y)] = &puts[..] else { panic!() };
    let mut others: Vec<Bytes> = (0..put_x.record.len())
        .step_by(7)
        .map(|at| {
            let mut bent = put_x.record.to_vec();
            bent[at] ^= 1;
            bent.into()
        })
        .collect();
    // Another's record, which is a good one elsewhere.
    others.extend([put_y.record.clone(), Bytes::new(), Bytes::from_static(b"junk"), put_x.record.slice(1..)]);
    for record in others {
        let put = with_record(put_x, record);
        assert!(house.shared.store.put(x, put).await.unwrap());
        let calls = house.origin.calls();
        let got = house.instance().get("http://host.example/secret-path?secret-query").await;
        assert_eq!((got.is_hit(), got.body, house.origin.calls()), (false, "body".into(), calls + 1));
        settled().await;
    }
    assert!(house.shared.store.put(y, put_y.clone()).await.unwrap());
    assert!(house.instance().get("http://a/y").await.is_hit(), "it was not the test's own doing");
}

fn with_record(put: &Put, record: Bytes) -> Put {
    let mut put = put.clone();
    put.record = record;
    put
}

#[tokio::test]
async fn long_responses_are_an_instances_own() {
    let house = House::new(origin());
    let one = house.instance_with(|cache| cache.store_entry_bytes(16));
    one.get("http://a/x").await;
    settled().await;
    assert!(one.get("http://a/x").await.is_hit());
    assert!(house.shared.store.is_empty());
}

/// A tag made of the content is the same for all.
#[tokio::test]
async fn tags_of_our_own_are_alike() {
    let house = House::new(Origin::new(|_| ok(&[("cache-control", "max-age=60")], "body").response()));
    let mut tags = Vec::new();
    for _ in 0..2 {
        let setup = house.instance_with(|cache| cache.generate_etags(true));
        house.shared.store.lose_everything();
        setup.get("http://a/x").await;
        settled().await;
        tags.push(setup.get("http://a/x").await.field("etag").unwrap().to_owned());
    }
    assert_eq!((tags[0] == tags[1], house.origin.calls()), (true, 2));
}
