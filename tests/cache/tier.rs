//! The second tier.

use std::error::Error as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use tower_rampart::cache::{
    Listener, Look, Looked, MemoryStore, Moment, Put, Record, Store, StoreError, StoreFuture, StorePurge,
};

use crate::support::*;

/// A store that keeps, fails or has things at hand, as it is told.
struct Elsewhere {
    store: MemoryStore,
    asked: Mutex<usize>,
    fails: bool,
    is_near: bool,
}

impl Default for Elsewhere {
    fn default() -> Self {
        Self { store: MemoryStore::new(1 << 20), asked: Mutex::default(), fails: false, is_near: false }
    }
}

impl Elsewhere {
    fn unless_it_fails<'a, T: Send + 'a>(&self, answer: StoreFuture<'a, T>) -> StoreFuture<'a, T> {
        if self.fails { Box::pin(async { Err(StoreError::new("down")) }) } else { answer }
    }
}

impl Store for Elsewhere {
    fn get_now(&self, key: &[u8]) -> Option<Record> {
        self.store.get(look(key)).now_or_never().filter(|_| self.is_near)?.ok()?.record
    }

    fn get<'a>(&'a self, look: Look<'a>) -> StoreFuture<'a, Looked> {
        *self.asked.lock().unwrap() += 1;
        self.unless_it_fails(self.store.get(look))
    }

    fn put<'a>(&'a self, key: &'a [u8], put: Put) -> StoreFuture<'a, bool> {
        assert!(!put.keep.is_zero());
        self.unless_it_fails(self.store.put(key, put))
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()> {
        self.unless_it_fails(self.store.remove(key))
    }

    fn purge<'a>(&'a self, purges: &'a [StorePurge], from: u64) -> StoreFuture<'a, Moment> {
        self.unless_it_fails(self.store.purge(purges, from))
    }

    fn release<'a>(&'a self, key: &'a [u8], token: u64, is_declined: bool) -> StoreFuture<'a, ()> {
        self.unless_it_fails(self.store.release(key, token, is_declined))
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        (!self.fails).then(|| self.store.listen())?
    }
}

fn origin() -> Origin {
    Origin::new(|request| {
        if request.method() != "GET" {
            return status(204, &[], "").response();
        }
        let said = request.headers().get("x-a").map_or("-", |value| value.to_str().unwrap());
        let vary = if request.uri().path() == "/vary" { "x-a" } else { "" };
        ok(&[("cache-control", "max-age=60"), ("vary", vary), ("surrogate-key", "t"), ("x-said", said)], "body")
            .response()
    })
}

fn instance(origin: &Origin, store: &Arc<Elsewhere>) -> Setup {
    let store: Arc<dyn Store> = Arc::clone(store) as _;
    setup_with(origin, |cache| cache.with_store(store))
}

#[tokio::test]
async fn another_instance_finds_what_one_stored() {
    let (origin, store) = (origin(), Arc::default());
    let (one, other) = (instance(&origin, &store), instance(&origin, &store));
    for path in ["http://a/x", "http://a/vary"] {
        for said in ["1", "2"] {
            one.get_with(path, &[("x-a", said)]).await;
            settled().await;
        }
    }
    assert_eq!(origin.calls(), 3);
    for said in ["2", "1"] {
        let got = other.get_with("http://a/vary", &[("x-a", said)]).await;
        assert_eq!((got.field("x-said"), got.is_hit(), &*got.body), (Some(said), true, &b"body"[..]));
    }
    assert!(other.get("http://a/x").await.is_hit());
    assert_eq!(origin.calls(), 3);
    let asked = *store.asked.lock().unwrap();
    assert!(other.get("http://a/x").await.is_hit());
    assert_eq!(*store.asked.lock().unwrap(), asked, "now it is in memory");
}

#[tokio::test]
async fn what_is_at_hand_is_not_waited_for() {
    let origin = origin();
    let store = Arc::new(Elsewhere { is_near: true, ..Elsewhere::default() });
    for path in ["http://a/x", "http://a/vary"] {
        instance(&origin, &store).get(path).await;
        settled().await;
        let asked = *store.asked.lock().unwrap();
        assert!(instance(&origin, &store).get(path).await.is_hit());
        assert_eq!(*store.asked.lock().unwrap(), asked);
    }
}

/// What was purged or written to does not come back from there.
#[tokio::test]
async fn nothing_purged_comes_back() {
    let undo: [fn(&Setup); 4] = [
        |setup| setup.cache.purge_tag("t"),
        |setup| setup.cache.purge_path("/x"),
        |setup| setup.cache.purge_all(),
        |setup| setup.cache.purge_uri(&"http://a/x".parse().unwrap()),
    ];
    for undo in undo {
        let (origin, store) = (origin(), Arc::default());
        let setup = instance(&origin, &store);
        setup.get("http://a/x").await;
        settled().await;
        undo(&setup);
        setup.cache.sweep();
        assert!(!setup.get("http://a/x").await.is_hit());
        settled().await;
        assert!(setup.get("http://a/x").await.is_hit());
    }
    let (origin, store) = (origin(), Arc::default());
    let setup = instance(&origin, &store);
    for path in ["http://a/x", "http://a/vary"] {
        setup.get(path).await;
        settled().await;
        setup.send(request("POST", path, &[])).await;
        settled().await;
        assert!(!setup.get(path).await.is_hit());
    }
}

#[tokio::test]
async fn a_store_that_fails_is_a_miss() {
    let origin = origin();
    let store = Arc::new(Elsewhere { fails: true, ..Elsewhere::default() });
    let setup = instance(&origin, &store);
    for path in ["http://a/x", "http://a/vary"] {
        assert_eq!(setup.get(path).await.body, "body");
        settled().await;
        assert!(setup.get(path).await.is_hit(), "memory is enough");
        setup.send(request("POST", path, &[])).await;
        settled().await;
        assert!(!setup.get(path).await.is_hit());
    }
}

/// One that never answers: it is waited for so long and no longer, and what waits for it is bounded.
struct Silent;

impl Store for Silent {
    fn get<'a>(&'a self, _: Look<'a>) -> StoreFuture<'a, Looked> {
        Box::pin(std::future::pending())
    }

    fn put<'a>(&'a self, _: &'a [u8], _: Put) -> StoreFuture<'a, bool> {
        Box::pin(std::future::pending())
    }

    fn remove<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(std::future::pending())
    }

    fn purge<'a>(&'a self, _: &'a [StorePurge], _: u64) -> StoreFuture<'a, Moment> {
        Box::pin(std::future::pending())
    }

    fn release<'a>(&'a self, _: &'a [u8], _: u64, _: bool) -> StoreFuture<'a, ()> {
        Box::pin(std::future::pending())
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        None
    }
}

/// One that answers that nothing is there, and is never done writing.
struct Slow {
    puts: Mutex<usize>,
}

impl Store for Slow {
    fn get<'a>(&'a self, _: Look<'a>) -> StoreFuture<'a, Looked> {
        Box::pin(async { Ok(Looked::nothing(Moment { era: 1, number: 0 })) })
    }

    fn put<'a>(&'a self, _: &'a [u8], _: Put) -> StoreFuture<'a, bool> {
        *self.puts.lock().unwrap() += 1;
        Box::pin(std::future::pending())
    }

    fn remove<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(std::future::pending())
    }

    fn purge<'a>(&'a self, _: &'a [StorePurge], _: u64) -> StoreFuture<'a, Moment> {
        Box::pin(std::future::pending())
    }

    fn release<'a>(&'a self, _: &'a [u8], _: u64, _: bool) -> StoreFuture<'a, ()> {
        Box::pin(std::future::pending())
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        None
    }
}

#[tokio::test]
async fn a_store_that_never_answers_is_a_miss() {
    let origin = origin();
    let setup = Arc::new(setup_with(&origin, |cache| cache.with_store(Silent).store_timeout(Duration::from_secs(1))));
    let got = |uri: &'static str| {
        let setup = Arc::clone(&setup);
        tokio::spawn(async move { setup.get(uri).await.body })
    };
    let (leader, follower) = (got("http://a/x"), got("http://a/x"));
    settled().await;
    assert_eq!(origin.calls(), 0, "it is waited for");
    setup.wait(1);
    assert_eq!((leader.await.unwrap(), follower.await.unwrap()), ("body".into(), "body".into()));
    assert_eq!((origin.calls(), setup.cache.stats().in_flight), (1, 0));
    assert!(setup.get("http://a/x").await.is_hit(), "memory is enough");
}

#[tokio::test]
async fn what_waits_to_be_written_is_bounded() {
    let (origin, store) = (origin(), Arc::new(Slow { puts: Mutex::default() }));
    let held = Arc::clone(&store);
    let setup = Arc::new(setup_with(&origin, |cache| cache.with_store(held).store_timeout(Duration::from_secs(1))));
    let fill = |range: std::ops::Range<usize>| {
        let setup = Arc::clone(&setup);
        async move {
            let all: Vec<_> = range
                .map(|n| {
                    let setup = Arc::clone(&setup);
                    tokio::spawn(async move { setup.get(&format!("http://a/{n}")).await })
                })
                .collect();
            for got in all {
                got.await.unwrap();
            }
            settled().await;
        }
    };
    fill(0..400).await;
    assert_eq!(*store.puts.lock().unwrap(), 256, "the others are written when they are fetched again");
    setup.wait(1);
    settled().await;
    fill(400..500).await;
    assert_eq!(*store.puts.lock().unwrap(), 356, "given up, they make room");
}

#[test]
fn what_stores_hold_and_why_they_fail_is_told_apart() {
    let moment = Moment { era: 1, number: 2 };
    let mut looked = Looked::nothing(moment);
    looked.record = Some(Record::new("secret".into()));
    // Without a byte of a record, which is somebody's response.
    assert!(format!("{looked:?}").contains("Record { bytes: 6, is_stale: false }"), "{looked:?}");
    let error = StoreError::new("down");
    assert_eq!((error.to_string(), error.source().unwrap().to_string()), ("the store failed".into(), "down".into()));
}
