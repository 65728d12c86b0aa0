//! What passes costs no allocation where nothing is made of it.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use allocation_counter::measure;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::Full;
use tower::{Layer as _, Service as _, service_fn};
use tower_rampart::validate::{CheckedBody, Limits, Route, Validate, ValidateLayer};

use crate::support::{post, sending};

fn described() -> ValidateLayer {
    Validate::new()
        .limits(Limits::new().body_bytes(100))
        .add_route(Route::new(Method::GET, "/v1/polls/{id}"))
        .add_route(Route::new(Method::POST, "/v1/upload").any_body())
        .build()
        .unwrap()
}

/// Reads its body, and allocates nothing.
fn handler(request: Request<CheckedBody<Full<Bytes>>>) -> Ready<Result<Response<()>, Infallible>> {
    let mut body = pin!(request.into_body());
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(Some(frame)) = body.as_mut().poll_frame(&mut cx) {
        assert!(frame.unwrap().is_data());
    }
    ready(Ok(Response::new(())))
}

#[test]
fn what_streams_through_allocates_nothing() {
    let mut upload = post("image/png", "0123456789");
    *upload.uri_mut() = "/v1/upload".parse().unwrap();
    let other = post("text/plain", "0123456789");
    let get = Request::get("/v1/polls/7?limit=20").body(Full::<Bytes>::default()).unwrap();
    let hardened = Validate::new().build().unwrap();
    for (name, layer, request) in [
        ("a route with a body of any type", described(), upload.clone()),
        ("a path that no route describes", described(), other.clone()),
        ("a body that is no JSON and no form", hardened.clone(), other),
        ("a route without a body", described(), get.clone()),
        ("no body", hardened, get),
    ] {
        let mut service = layer.layer(service_fn(handler));
        let mut request = Some(request);
        let counted = measure(|| {
            let mut answer = pin!(service.call(request.take().unwrap()));
            let Poll::Ready(answer) = answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                panic!("nothing is waited for");
            };
            assert_eq!(answer.unwrap().status(), 200);
        });
        assert_eq!(counted.count_total, 0, "{name}");
    }
}

/// More streams at once than there are places, each judged by itself.
#[tokio::test]
async fn each_of_many_streams_is_answered_for_itself() {
    use futures_util::{FutureExt as _, StreamExt as _};
    use http_body::Frame;
    use http_body_util::StreamBody;
    let layer = described();
    for _ in 0..2 {
        let mut streams = Vec::new();
        for at in 0..600_usize {
            let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
            let frames = tokio_stream::wrappers::UnboundedReceiverStream::new(receiver);
            let body = StreamBody::new(frames.map(|data| Ok::<_, Infallible>(Frame::data(data))));
            let request = Request::post("/v1/upload").header("content-type", "image/png").body(body).unwrap();
            let mut answer = Box::pin(sending(&layer, request));
            assert!((&mut answer).now_or_never().is_none());
            streams.push((at, sender, answer));
        }
        for (at, sender, answer) in streams.into_iter().rev() {
            let is_long = at % 3 == 0;
            sender.send(Bytes::from(vec![0; if is_long { 101 } else { 100 }])).unwrap();
            drop(sender);
            assert_eq!(answer.await.status, if is_long { 413 } else { 200 }, "{at}");
        }
    }
}
