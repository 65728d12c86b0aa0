//! Response caches.

use std::convert::Infallible;
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum_response_cache::CacheLayer as AxumCache;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use http_cache::MokaManager;
use http_cache_tower_server::{QueryKeyer, ServerCacheLayer};
use tower::limit::ConcurrencyLimitLayer;
use tower::{Layer, Service, ServiceBuilder, ServiceExt as _};
use tower_http_cache::prelude::{CacheLayer as TowerCache, InMemoryBackend};
use tower_rampart::cache::Cache;

const LONG: Duration = Duration::from_secs(600);
/// Nobody needs as long.
const PATIENCE: Duration = Duration::from_secs(2);

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Counts calls, and tells who asked where, in a response that says what it may be used for.
#[derive(Debug, Clone)]
struct Origin {
    calls: Arc<AtomicUsize>,
    cache_control: &'static str,
    takes: Duration,
}

impl Origin {
    fn new(cache_control: &'static str) -> Self {
        Self { calls: Arc::default(), cache_control, takes: Duration::ZERO }
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    async fn answer<R, B: From<Bytes>>(self, request: Request<R>) -> Result<Response<B>, Infallible> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if !self.takes.is_zero() {
            tokio::time::sleep(self.takes).await;
        }
        let field = |name: &str| {
            let field = request.headers().get(name).and_then(|field| field.to_str().ok());
            field.unwrap_or_default().to_owned()
        };
        let told = format!("{} {}", field("host"), field("authorization"));
        // A HEAD is answered by its head.
        let body = if request.method() == Method::HEAD { Bytes::new() } else { Bytes::from(told) };
        Ok(Response::builder().header("cache-control", self.cache_control).body(B::from(body)).unwrap())
    }
}

/// The origin as a service with bodies of this kind.
macro_rules! origin {
    ($origin:expr, $body:ty) => {{
        let origin: Origin = $origin.clone();
        tower::service_fn(move |request: Request<_>| origin.clone().answer::<_, $body>(request))
    }};
}

fn get(host: &str) -> http::request::Builder {
    Request::get("/v1/polls").header("host", host)
}

async fn ask<S, R, B>(service: &S, request: Request<R>) -> String
where
    S: Service<Request<R>, Response = Response<B>> + Clone,
    S::Error: Debug,
    B: http_body::Body,
    B::Error: Debug,
{
    let response = service.clone().oneshot(request).await.unwrap();
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

fn tower_http_cache() -> TowerCache<InMemoryBackend> {
    TowerCache::builder(InMemoryBackend::new(1000)).ttl(LONG).build()
}

fn rampart() -> tower_rampart::cache::CacheLayer {
    Cache::builder().build().unwrap().layer()
}

#[test]
fn hosts_and_callers_share_a_response_in_tower_http_cache() {
    block_on(async {
        let origin = Origin::new("max-age=600");
        let theirs = tower_http_cache().layer(origin!(origin, Full<Bytes>));
        let alice = || get("a.example").header("authorization", "alice").body(()).unwrap();
        let bob = || get("b.example").header("authorization", "bob").body(()).unwrap();
        assert_eq!(ask(&theirs, alice()).await, "a.example alice");
        assert_eq!(ask(&theirs, bob()).await, "a.example alice");
        let ours = rampart().layer(origin!(origin, Full<Bytes>));
        assert_eq!(ask(&ours, alice()).await, "a.example alice");
        assert_eq!(ask(&ours, bob()).await, "b.example bob");
    });
}

#[test]
fn a_head_empties_the_get_in_tower_http_cache() {
    block_on(async {
        let origin = Origin::new("max-age=600");
        let head = || Request::head("/v1/polls").header("host", "a.example").body(()).unwrap();
        let theirs = tower_http_cache().layer(origin!(origin, Full<Bytes>));
        ask(&theirs, head()).await;
        assert_eq!(ask(&theirs, get("a.example").body(()).unwrap()).await, "");
        let ours = rampart().layer(origin!(origin, Full<Bytes>));
        ask(&ours, head()).await;
        assert_eq!(ask(&ours, get("a.example").body(()).unwrap()).await, "a.example ");
    });
}

#[test]
fn what_is_private_is_everybodys_in_axum_response_cache() {
    block_on(async {
        let origin = Origin::new("private, max-age=600");
        let asked = |caller: &str| get("a.example").header("authorization", caller).body(Body::empty()).unwrap();
        let theirs = AxumCache::with_lifespan(LONG).layer(origin!(origin, Body));
        assert_eq!(ask(&theirs, asked("alice")).await, "a.example alice");
        assert_eq!(ask(&theirs, asked("bob")).await, "a.example alice");
        let ours = rampart().layer(origin!(origin, Body));
        assert_eq!(ask(&ours, asked("alice")).await, "a.example alice");
        assert_eq!(ask(&ours, asked("bob")).await, "a.example bob");
    });
}

#[test]
fn a_post_is_answered_from_the_store_of_http_cache_tower_server_and_axum_response_cache() {
    block_on(async {
        let post = || Request::post("/v1/polls").header("host", "a.example");
        let origin = Origin::new("public");
        let theirs =
            ServerCacheLayer::with_keyer(MokaManager::default(), QueryKeyer).layer(origin!(origin, Full<Bytes>));
        for _ in 0..2 {
            ask(&theirs, post().body(()).unwrap()).await;
            // It writes in a task of its own.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(origin.calls(), 1);

        let origin = Origin::new("public");
        let theirs = AxumCache::with_lifespan(LONG).layer(origin!(origin, Body));
        for _ in 0..2 {
            ask(&theirs, post().body(Body::empty()).unwrap()).await;
        }
        // It asks for a future on each hit too, and drops that unpolled.
        assert_eq!(origin.calls(), 1);

        for cache_control in ["public", "max-age=600"] {
            let origin = Origin::new(cache_control);
            let ours = rampart().layer(origin!(origin, Full<Bytes>));
            for _ in 0..2 {
                ask(&ours, post().body(()).unwrap()).await;
            }
            assert_eq!(origin.calls(), 2);
        }
    });
}

#[test]
fn a_herd_is_many_calls_through_http_cache_tower_server_and_axum_response_cache() {
    block_on(async {
        let slow = || Origin { takes: Duration::from_millis(20), ..Origin::new("max-age=600") };
        let request = || get("a.example").body(()).unwrap();
        let origin = slow();
        let theirs =
            ServerCacheLayer::with_keyer(MokaManager::default(), QueryKeyer).layer(origin!(origin, Full<Bytes>));
        futures_util::future::join_all((0..50).map(|_| ask(&theirs, request()))).await;
        assert_eq!(origin.calls(), 50);
        let origin = slow();
        let theirs = AxumCache::with_lifespan(LONG).layer(origin!(origin, Body));
        let request_of_axum = || get("a.example").body(Body::empty()).unwrap();
        futures_util::future::join_all((0..50).map(|_| ask(&theirs, request_of_axum()))).await;
        assert_eq!(origin.calls(), 50);
        let origin = slow();
        let theirs = tower_http_cache().layer(origin!(origin, Full<Bytes>));
        futures_util::future::join_all((0..50).map(|_| ask(&theirs, request()))).await;
        assert_eq!(origin.calls(), 1);
        let origin = slow();
        let ours = rampart().layer(origin!(origin, Full<Bytes>));
        futures_util::future::join_all((0..50).map(|_| ask(&ours, request()))).await;
        assert_eq!(origin.calls(), 1);
    });
}

/// tower's contract: the service that was polled ready is the one that is called.
#[test]
fn a_limit_behind_it_stops_every_other_cache() {
    block_on(async {
        let origin = Origin::new("max-age=600");
        let limited = ServiceBuilder::new().layer(ConcurrencyLimitLayer::new(1));
        let ours = rampart().layer(limited.clone().service(origin!(origin, Full<Bytes>)));
        assert_eq!(ask(&ours, get("a.example").body(()).unwrap()).await, "a.example ");

        // A service that outlives its call, as those of clients and buffers do.
        let mut theirs = tower_http_cache().layer(limited.clone().service(origin!(origin, Full<Bytes>)));
        let called = theirs.ready().await.unwrap().call(get("a.example").body(()).unwrap());
        assert!(tokio::time::timeout(PATIENCE, called).await.is_err(), "it waits for a place that it holds itself");
        let mut ours = rampart().layer(limited.clone().service(origin!(origin, Full<Bytes>)));
        let called = ours.ready().await.unwrap().call(get("a.example").body(()).unwrap());
        assert!(tokio::time::timeout(PATIENCE, called).await.is_ok());

        let theirs = ServerCacheLayer::with_keyer(MokaManager::default(), QueryKeyer);
        let theirs = theirs.layer(limited.clone().service(origin!(origin, Full<Bytes>)));
        let answer = tokio::spawn(async move { ask(&theirs, get("a.example").body(()).unwrap()).await });
        assert!(answer.await.is_err_and(|error| error.is_panic()), "it calls a clone that was never ready");

        let theirs = AxumCache::with_lifespan(LONG).layer(limited.service(origin!(origin, Body)));
        let answer = tokio::spawn(async move { ask(&theirs, get("a.example").body(Body::empty()).unwrap()).await });
        assert!(answer.await.is_err_and(|error| error.is_panic()), "so does this one");
    });
}
