//! Caches that have the same response: a kibibyte behind eight fields, which each hands out from its store.

use std::convert::Infallible;
use std::fmt;
use std::future::{Ready, ready};
use std::pin::pin;
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::runtime::Runtime;
use tower::{Layer, Service};

/// Some contenders want a runtime to be there, though a hit waits for nothing.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// One request through one cache.
pub type Job = Box<dyn Run>;

/// What a measurement calls.
pub trait Run {
    /// Makes the next request.
    fn prepare(&mut self);

    /// Passes it through, and keeps the response.
    fn run(&mut self);

    /// What the response is.
    fn status(&self) -> u16;

    fn again(&mut self) {
        self.prepare();
        self.run();
    }
}

impl fmt::Debug for dyn Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Run")
    }
}

struct Prepared<S, R, B> {
    service: S,
    make: fn() -> Request<R>,
    request: Option<Request<R>>,
    response: Option<Response<B>>,
}

impl<S, R, B> Run for Prepared<S, R, B>
where
    S: Service<Request<R>, Response = Response<B>>,
{
    fn prepare(&mut self) {
        // The last response is dropped here, and not where the next one is measured.
        self.response = None;
        self.request = Some((self.make)());
    }

    fn run(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.service.poll_ready(&mut cx);
        let Some(request) = self.request.take() else { return };
        if let Poll::Ready(Ok(response)) = pin!(self.service.call(request)).poll(&mut cx) {
            self.response = Some(response);
        }
    }

    fn status(&self) -> u16 {
        self.response.as_ref().map_or(0, |response| response.status().as_u16())
    }
}

/// A job whose cache has the response already.
fn job<S, R, B>(mut service: S, make: fn() -> Request<R>) -> Job
where
    S: Service<Request<R>, Response = Response<B>> + 'static,
    S::Error: fmt::Debug,
    R: 'static,
    B: http_body::Body + 'static,
{
    // The thread stays in the runtime, so that what is measured need not enter it.
    std::mem::forget(RUNTIME.enter());
    RUNTIME.block_on(async {
        for _ in 0..2 {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
            let response = service.call(make()).await.expect("an answer");
            drop(response.into_body().collect().await);
        }
    });
    let mut job = Prepared { service, make, request: None, response: None };
    job.prepare();
    Box::new(job)
}

/// What a JSON API that can be cached answers.
pub fn answer<B>(body: B) -> Response<B> {
    let mut response = Response::builder();
    for (name, value) in [
        ("content-type", "application/json"),
        ("cache-control", "max-age=600"),
        ("etag", "\"5f3c\""),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("vary", "accept-encoding"),
        ("content-language", "en"),
        ("server", "x"),
        ("x-request-cost", "1"),
    ] {
        response = response.header(name, value);
    }
    response.body(body).expect("the fields are valid")
}

fn kibibyte() -> Bytes {
    Bytes::from(vec![b'x'; 1024])
}

/// A request as a server hands it on.
pub fn request<R: Default>() -> Request<R> {
    Request::get("/v1/polls?limit=10")
        .header("host", "example.org")
        .header("accept-encoding", "gzip, br")
        .body(R::default())
        .expect("the fields are valid")
}

/// A handler that makes its response each time.
#[derive(Debug)]
pub struct Handler<B>(fn(Bytes) -> B);

impl<B> Clone for Handler<B> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<R, B> Service<Request<R>> for Handler<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Ready<Result<Response<B>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<R>) -> Self::Future {
        ready(Ok(answer((self.0)(kibibyte()))))
    }
}

/// The handler alone.
pub fn bare() -> Job {
    job(Handler(Full::new), request::<()>)
}

pub mod rampart {
    use super::*;
    use tower_rampart::cache::Cache;

    pub fn hit() -> Job {
        let cache = Cache::builder().build().expect("a cache");
        job(cache.layer().layer(Handler(Full::new)), request::<()>)
    }

    pub fn not_modified() -> Job {
        let cache = Cache::builder().build().expect("a cache");
        let mut job = job(cache.layer().layer(Handler(Full::new)), conditional);
        // The first two went to the handler as they were, since nothing was stored.
        job.again();
        job.prepare();
        job
    }

    fn conditional() -> Request<()> {
        let mut request = request();
        request.headers_mut().insert("if-none-match", http::HeaderValue::from_static("\"5f3c\""));
        request
    }
}

pub mod axum_response_cache {
    use super::*;
    use ::axum_response_cache::CacheLayer;
    use axum::body::Body;

    pub fn hit() -> Job {
        job(CacheLayer::with_lifespan(std::time::Duration::from_secs(600)).layer(Handler(Body::from)), request::<Body>)
    }
}

pub mod tower_http_cache {
    use super::*;
    use ::tower_http_cache::prelude::*;

    pub fn hit() -> Job {
        let layer = CacheLayer::builder(InMemoryBackend::new(1000)).ttl(std::time::Duration::from_secs(600)).build();
        job(layer.layer(Handler(Full::new)), request::<()>)
    }
}

pub mod http_cache_tower_server {
    use super::*;
    use ::http_cache::MokaManager;
    use ::http_cache_tower_server::{QueryKeyer, ServerCacheLayer};

    pub fn hit() -> Job {
        let layer = ServerCacheLayer::with_keyer(MokaManager::default(), QueryKeyer);
        job(layer.layer(Handler(Full::new)), request::<()>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A comparison counts only when everybody has an answer, and at once.
    #[test]
    fn everybody_answers() {
        let all = [
            bare(),
            rampart::hit(),
            axum_response_cache::hit(),
            tower_http_cache::hit(),
            http_cache_tower_server::hit(),
        ];
        for mut job in all {
            job.run();
            assert_eq!(job.status(), 200);
        }
        let mut unchanged = rampart::not_modified();
        unchanged.run();
        assert_eq!(unchanged.status(), 304);
    }
}
