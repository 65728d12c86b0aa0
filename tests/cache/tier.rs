//! The second tier.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tower_rampart::cache::{Store, StoreError, StoreFuture};

use crate::support::*;

/// A store that keeps, fails or has things at hand, as it is told.
#[derive(Default)]
struct Elsewhere {
    records: Mutex<HashMap<Vec<u8>, Bytes>>,
    asked: Mutex<usize>,
    fails: bool,
    is_near: bool,
}

impl Elsewhere {
    fn result<T>(&self, value: T) -> Result<T, StoreError> {
        if self.fails { Err(StoreError::new("down")) } else { Ok(value) }
    }
}

impl Store for Elsewhere {
    fn get_now(&self, key: &[u8]) -> Option<Bytes> {
        self.records.lock().unwrap().get(key).filter(|_| self.is_near).cloned()
    }

    fn get<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, Option<Bytes>> {
        *self.asked.lock().unwrap() += 1;
        Box::pin(async { self.result(self.records.lock().unwrap().get(key).cloned()) })
    }

    fn put<'a>(&'a self, key: &'a [u8], record: Bytes, keep: Duration) -> StoreFuture<'a, ()> {
        assert!(!keep.is_zero());
        Box::pin(async move {
            self.records.lock().unwrap().insert(key.to_vec(), record);
            self.result(())
        })
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(async {
            self.records.lock().unwrap().remove(key);
            self.result(())
        })
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

#[tokio::test]
async fn junk_is_a_miss() {
    let (origin, store): (_, Arc<Elsewhere>) = (origin(), Arc::default());
    instance(&origin, &store).get("http://a/x").await;
    settled().await;
    for record in store.records.lock().unwrap().values_mut() {
        *record = Bytes::from_static(b"junk");
    }
    let other = instance(&origin, &store);
    assert!(!other.get("http://a/x").await.is_hit());
    assert_eq!(origin.calls(), 2);
}

/// One that never answers: it is waited for so long and no longer, and what waits for it is bounded.
#[derive(Default)]
struct Silent {
    puts: Mutex<usize>,
}

impl Store for Silent {
    fn get<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(std::future::pending())
    }

    fn put<'a>(&'a self, _: &'a [u8], _: Bytes, _: Duration) -> StoreFuture<'a, ()> {
        *self.puts.lock().unwrap() += 1;
        Box::pin(std::future::pending())
    }

    fn remove<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_store_that_never_answers_is_a_miss() {
    let (origin, store) = (origin(), Arc::<Silent>::default());
    let held = Arc::clone(&store);
    let setup = Arc::new(setup_with(&origin, |cache| cache.with_store(held).store_timeout(Duration::from_secs(1))));
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
    let (origin, store) = (origin(), Arc::<Silent>::default());
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
            settled().await;
            setup.wait(1);
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
