//! Whatever target and body a request has, it is judged without a panic; a body that passes is JSON to serde_json, too, and
//! comes through as it was.
#![no_main]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, Uri};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_rampart::validate::{CheckedBody, Validate};
use tower_service::Service;

#[derive(Clone)]
struct Handler;

impl Service<Request<CheckedBody<Full<Bytes>>>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<CheckedBody<Full<Bytes>>>) -> Self::Future {
        ready(Ok(Response::new(Full::default())))
    }
}

fuzz_target!(|input: (&str, bool, &[u8])| {
    let (target, is_json, body) = input;
    let Ok(uri) = target.parse::<Uri>() else { return };
    let content_type = if is_json { "application/json" } else { "application/x-www-form-urlencoded" };
    let body = Bytes::copy_from_slice(body);
    let request = Request::post(uri).header("content-type", content_type).body(Full::new(body.clone()));
    let Ok(request) = request else { return };
    let mut service = Validate::new().build().expect("sound").layer(Handler);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(())) = Service::<Request<Full<Bytes>>>::poll_ready(&mut service, &mut cx) else { return };
    let Poll::Ready(Ok(answer)) = pin!(service.call(request)).poll(&mut cx) else { panic!("nothing is waited for") };
    if is_json && answer.status().is_success() && !body.is_empty() {
        assert!(serde_json::from_slice::<serde_json::Value>(&body).is_ok());
    }
});
