//! Caches that have the same response: a kibibyte behind eight fields, which each hands out from its store.

use std::convert::Infallible;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::LazyLock;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tokio::runtime::Runtime;
use tower::{Layer, Service};

use crate::{Job, Jobs, Run, stay_in};

/// Some contenders want a runtime to be there, though a hit waits for nothing.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

struct Prepared<S, R, B> {
    service: S,
    request: Option<Request<R>>,
    response: Option<Response<B>>,
}

impl<S, R, B> Run for Prepared<S, R, B>
where
    S: Service<Request<R>, Response = Response<B>>,
{
    fn run(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let _ = self.service.poll_ready(&mut cx);
        let Some(request) = self.request.take() else { return };
        if let Poll::Ready(Ok(response)) = pin!(self.service.call(request)).poll(&mut cx) {
            self.response = Some(response);
        }
    }

    fn fields(&self) -> usize {
        self.response.as_ref().map_or(0, |response| response.headers().len())
    }
}

/// Jobs of a cache that has the response already.
fn jobs<S, R, B>(mut service: S, make: fn() -> Request<R>) -> Jobs
where
    S: Service<Request<R>, Response = Response<B>> + Clone + 'static,
    S::Error: fmt::Debug,
    R: 'static,
    B: http_body::Body + 'static,
{
    stay_in(&RUNTIME);
    RUNTIME.block_on(async {
        // The first two of a conditional request go to the handler as they are, since nothing is stored.
        for _ in 0..3 {
            std::future::poll_fn(|cx| service.poll_ready(cx)).await.expect("ready");
            let response = service.call(make()).await.expect("an answer");
            drop(response.into_body().collect().await);
        }
    });
    Box::new(move || -> Job { Box::new(Prepared { service: service.clone(), request: Some(make()), response: None }) })
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

/// A handler that makes its response each time that its future is asked for it, as asynchronous functions do.
#[derive(Debug)]
pub struct Handler<B>(fn(Bytes) -> B);

/// Its future.
#[derive(Debug)]
pub struct Handled<B>(fn(Bytes) -> B);

impl<B> Future for Handled<B> {
    type Output = Result<Response<B>, Infallible>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(Ok(answer((self.0)(kibibyte()))))
    }
}

impl<B> Clone for Handler<B> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<R, B> Service<Request<R>> for Handler<B> {
    type Response = Response<B>;
    type Error = Infallible;
    type Future = Handled<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<R>) -> Handled<B> {
        Handled(self.0)
    }
}

/// The handler alone.
pub fn bare() -> Jobs {
    jobs(Handler(Full::new), request::<()>)
}

pub mod rampart {
    use super::*;
    use tower_rampart::cache::Cache;

    pub fn hit() -> Jobs {
        let cache = Cache::builder().build().expect("a cache");
        jobs(cache.layer().layer(Handler(Full::new)), request::<()>)
    }

    pub fn not_modified() -> Jobs {
        let cache = Cache::builder().build().expect("a cache");
        jobs(cache.layer().layer(Handler(Full::new)), conditional)
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

    pub fn hit() -> Jobs {
        jobs(CacheLayer::with_lifespan(std::time::Duration::from_secs(600)).layer(Handler(Body::from)), request::<Body>)
    }
}

pub mod tower_http_cache {
    use super::*;
    use ::tower_http_cache::prelude::*;

    pub fn hit() -> Jobs {
        let layer = CacheLayer::builder(InMemoryBackend::new(1000)).ttl(std::time::Duration::from_secs(600)).build();
        jobs(layer.layer(Handler(Full::new)), request::<()>)
    }
}

pub mod http_cache_tower_server {
    use super::*;
    use ::http_cache::MokaManager;
    use ::http_cache_tower_server::{QueryKeyer, ServerCacheLayer};

    pub fn hit() -> Jobs {
        let layer = ServerCacheLayer::with_keyer(MokaManager::default(), QueryKeyer);
        jobs(layer.layer(Handler(Full::new)), request::<()>)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(mut jobs: Jobs) -> usize {
        let mut job = jobs();
        job.run();
        job.fields()
    }

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
        for cache in all {
            assert!(fields(cache) >= 8);
        }
        // A 304 has none of the fields that are about a body.
        assert!(fields(rampart::not_modified()) < 8);
    }
}
