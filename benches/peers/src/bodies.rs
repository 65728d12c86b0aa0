//! Requests that are looked at without a document: heads, and bodies that the handler reads to their end.
//!
//! tower-http's limit bounds the length of bodies, and nothing else; ours looks at the head too, and reads JSON strictly.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use tower::{Layer, Service};

use crate::openapi::SMALL;
use crate::{Body, Job, Jobs, Run};

/// What a body may have.
const BYTES: usize = 32 << 10;

/// Reads the body, and tells how long it was.
#[derive(Debug, Clone, Copy)]
pub struct Handler;

/// Its future.
#[derive(Debug)]
pub struct Reading<B> {
    body: B,
    bytes: usize,
}

impl<B> Future for Reading<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        while let Some(Ok(frame)) = std::task::ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            self.bytes += frame.data_ref().map_or(0, Bytes::len);
        }
        Poll::Ready(Ok(Response::builder().extension(self.bytes).body(Body::default()).unwrap_or_default()))
    }
}

impl<B> Service<Request<B>> for Handler
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Reading<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Reading<B> {
        Reading { body: request.into_body(), bytes: 0 }
    }
}

/// A request without a body, with what browsers send.
pub fn get() -> Request<Body> {
    let request = Request::get("/v1/polls?limit=20&after=7").header("host", "polls.example").header("accept", "*/*");
    let request = request.header("user-agent", "Mozilla/5.0").header("accept-language", "en");
    request.body(Body::default()).unwrap_or_default()
}

/// One with 96 bytes of JSON.
pub fn post() -> Request<Body> {
    let request = Request::post("/v1/polls").header("host", "polls.example").header("content-length", SMALL.len());
    request.header("content-type", "application/json").body(Body::from(SMALL)).unwrap_or_default()
}

struct Prepared<S, B> {
    service: S,
    request: Request<Body>,
    response: Option<Response<B>>,
}

impl<S, B> Run for Prepared<S, B>
where
    S: Service<Request<Body>, Response = Response<B>>,
{
    fn run(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        let request = std::mem::take(&mut self.request);
        if let Poll::Ready(Ok(response)) = pin!(self.service.call(request)).poll(&mut cx) {
            self.response = Some(response);
        }
    }

    /// One where the handler was reached.
    fn fields(&self) -> usize {
        usize::from(self.response.as_ref().is_some_and(|response| response.extensions().get::<usize>().is_some()))
    }
}

fn jobs<S, B: 'static>(service: S, request: fn() -> Request<Body>) -> Jobs
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + 'static,
{
    let job = move || Prepared { service: service.clone(), request: request(), response: None };
    job().run();
    Box::new(move || -> Job { Box::new(job()) })
}

/// The handler alone.
pub fn bare(request: fn() -> Request<Body>) -> Jobs {
    jobs(Handler, request)
}

/// Ours as it is by default, but for the bound.
pub fn rampart(request: fn() -> Request<Body>) -> Jobs {
    use tower_rampart::validate::{Limits, Validate};
    let layer = Validate::new().limits(Limits::new().body_bytes(BYTES)).build();
    jobs(layer.unwrap_or_else(|error| panic!("no layer: {error}")).layer(Handler), request)
}

pub fn tower_http(request: fn() -> Request<Body>) -> Jobs {
    jobs(::tower_http::limit::RequestBodyLimitLayer::new(BYTES).layer(Handler), request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_lets_both_through() {
        for request in [get, post] {
            for mut jobs in [bare(request), rampart(request), tower_http(request)] {
                let mut job = jobs();
                job.run();
                assert_eq!(job.fields(), 1);
            }
        }
    }
}
