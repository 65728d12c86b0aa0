//! Whatever a form is, it is judged alike in any pieces, without a panic; one that passes comes through as it was, and a
//! compressed body is decoded without one.
#![no_main]

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::{Body, Frame};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_rampart::validate::{CheckedBody, Limits, Validate, ValidateLayer};
use tower_service::Service;

/// A body in pieces of these lengths, again and again.
struct Pieces {
    left: Bytes,
    lengths: Vec<u8>,
    at: usize,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.lengths.get(self.at % self.lengths.len().max(1)).map_or(usize::MAX, |length| *length as usize);
        self.at += 1;
        let length = length.max(1).min(self.left.len());
        Poll::Ready(Some(Ok(Frame::data(self.left.split_to(length)))))
    }
}

/// Reads the body, and answers how long it was.
#[derive(Clone)]
struct Handler;

impl Service<Request<CheckedBody<Pieces>>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<CheckedBody<Pieces>>) -> Self::Future {
        let mut body = pin!(request.into_body());
        let mut read = 0;
        while let Poll::Ready(Some(Ok(frame))) = body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop())) {
            read += frame.into_data().map_or(0, |data| data.len());
        }
        let mut response = Response::new(Full::default());
        response.extensions_mut().insert(read);
        std::future::ready(Ok(response))
    }
}

fn ask(layer: &ValidateLayer, request: Request<Pieces>) -> (StatusCode, Option<usize>) {
    let mut service = layer.layer(Handler);
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok(answer)) = pin!(service.call(request)).poll(&mut cx) else { panic!("nothing is waited for") };
    (answer.status(), answer.extensions().get::<usize>().copied())
}

fuzz_target!(|input: (Vec<u8>, u8, &[u8])| {
    let (lengths, coding, body) = input;
    let body = Bytes::copy_from_slice(body);
    let limits = Limits::new().multipart_parts(3).multipart_part_bytes(64).decoded_bytes(1 << 16);
    let codings = ["gzip", "deflate", "br"];
    let layer = Validate::new().limits(limits).content_encodings(codings).build().expect("sound");
    let of = |lengths: Vec<u8>, content_type: &str| {
        let body = Pieces { left: body.clone(), lengths, at: 0 };
        Request::post("/").header("content-type", content_type).body(body).expect("sound")
    };
    const FORM: &str = "multipart/form-data; boundary=b";
    let (whole, pieces) = (ask(&layer, of(Vec::new(), FORM)), ask(&layer, of(lengths.clone(), FORM)));
    assert_eq!(whole.0, pieces.0);
    if whole.0.is_success() && !body.is_empty() {
        assert_eq!((whole.1, pieces.1), (Some(body.len()), Some(body.len())));
    }
    let mut coded = of(lengths, "application/json");
    let coding = codings[coding as usize % codings.len()];
    coded.headers_mut().insert("content-encoding", coding.parse().expect("a name"));
    ask(&layer, coded);
});
