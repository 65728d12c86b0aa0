//! Whatever fields say about time, requests get a deadline that is no later than the maximum, or are refused; and no answer
//! makes a client wait longer than it is ready for.
#![no_main]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Request, Response};
use http_body_util::Full;
use libfuzzer_sys::fuzz_target;
use tower_layer::Layer;
use tower_rampart::deadline::{Deadlines, PropagateDeadlineLayer, TimeoutField};
use tower_rampart::retry::{ReplayBody, Retries, RetryLayer};
use tower_rampart::{Clock, Deadline};
use tower_service::Service;

const MAX: Duration = Duration::from_secs(30);

/// Looks at what it is asked within.
#[derive(Clone)]
struct Handler(Clock);

impl Service<Request<()>> for Handler {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let left = request.extensions().get::<Deadline>().expect("a deadline").left(self.0.now());
        assert!(!left.is_zero() && left <= MAX);
        // What is handed on can be read again.
        let told = request.headers()["x-told"].to_str().expect("text").parse::<u64>().expect("a number");
        assert!(told > 0 && Duration::from_millis(told) <= left);
        ready(Ok(Response::new(Full::default())))
    }
}

/// Answers with these fields.
#[derive(Clone)]
struct Busy(u16, Vec<(HeaderName, HeaderValue)>);

impl Service<Request<ReplayBody<Full<Bytes>>>> for Busy {
    type Response = Response<Full<Bytes>>;
    type Error = std::io::Error;
    type Future = Ready<Result<Self::Response, std::io::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<ReplayBody<Full<Bytes>>>) -> Self::Future {
        let mut response = Response::new(Full::default());
        *response.status_mut() = self.0.try_into().expect("a status");
        response.headers_mut().extend(self.1.iter().cloned());
        ready(Ok(response))
    }
}

fuzz_target!(|input: (Vec<(u8, Vec<u8>)>, u16)| {
    let (fields, status) = input;
    let value = |(_, value): &(u8, Vec<u8>)| HeaderValue::from_bytes(value).ok();
    let mut cx = Context::from_waker(Waker::noop());
    let (clock, hand) = Clock::manual();

    const ASKED: [&str; 3] = ["grpc-timeout", "x-millis", "x-seconds"];
    let name = |names: &[&'static str], at: u8| HeaderName::from_static(names[usize::from(at) % names.len()]);
    let mut request = Request::new(());
    for field in &fields {
        if let Some(value) = value(field) {
            request.headers_mut().append(name(&ASKED, field.0), value);
        }
    }
    let deadlines = Deadlines::new()
        .max_time(MAX)
        .add_field(TimeoutField::milliseconds(HeaderName::from_static("x-millis")))
        .add_field(TimeoutField::seconds(HeaderName::from_static("x-seconds")))
        .with_clock(clock.clone());
    let told = TimeoutField::milliseconds(HeaderName::from_static("x-told"));
    let inner = PropagateDeadlineLayer::field(told).with_clock(clock.clone()).layer(Handler(clock.clone()));
    let mut service = deadlines.build().expect("sound").layer(inner);
    let Poll::Ready(Ok(answer)) = pin!(service.call(request)).poll(&mut cx) else { panic!("nothing waits here") };
    assert!([200, 400, 504].contains(&answer.status().as_u16()));

    const SAID: [&str; 5] = ["retry-after", "date", "grpc-retry-pushback-ms", "grpc-status", "content-type"];
    let said = fields.iter().filter_map(|field| Some((name(&SAID, field.0), value(field)?))).collect();
    let policy = Retries::new().max_attempts(2).max_wait(MAX).with_clock(clock).build().expect("sound");
    let mut service = RetryLayer::new(policy).layer(Busy(100 + status % 500, said));
    let mut call = pin!(service.call(Request::new(Full::default())));
    if call.as_mut().poll(&mut cx).is_pending() {
        hand.advance(MAX + Duration::from_secs(1));
        assert!(call.poll(&mut cx).is_ready(), "a wait longer than any");
    }
});
