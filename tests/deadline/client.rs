//! The layers around clients.

use std::io;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt as _;
use http::{HeaderName, Request};
use tower::{BoxError, Layer, Service, service_fn};
use tower_rampart::deadline::{PropagateDeadlineLayer, TimeoutField, TryTimeoutLayer};
use tower_rampart::{Clock, Deadline, Origin, Rejection, TimedOut};

use crate::support::{Handler, at_once, grpc, millis, poll, request, secs};

fn sent(handler: &Handler, name: &str) -> Option<String> {
    handler.last().0.get(name).map(|value| value.to_str().unwrap().to_owned())
}

fn within(mut request: Request<()>, clock: &Clock, left: Duration) -> Request<()> {
    request.extensions_mut().insert(Deadline::at(clock.now() + left));
    request
}

#[test]
fn the_next_server_is_told_what_is_left() {
    let (clock, hand) = Clock::manual();
    let handler = Handler::default();
    let mut client = PropagateDeadlineLayer::grpc().with_clock(clock.clone()).layer(handler.clone());
    let asked = within(grpc(&[("grpc-timeout", "9S")]), &clock, secs(5));
    hand.advance(millis(1500));
    at_once(client.call(asked));
    assert_eq!(sent(&handler, "grpc-timeout").unwrap(), "3500000u");
    // One that came with the field keeps it, whatever it speaks; others do not get to know it.
    at_once(client.call(within(request(&[("grpc-timeout", "9S")]), &clock, secs(1))));
    assert_eq!(sent(&handler, "grpc-timeout").unwrap(), "1000000u");
    at_once(client.call(within(request(&[]), &clock, secs(1))));
    assert_eq!(sent(&handler, "grpc-timeout"), None);
    // Without a deadline there is nothing to say.
    at_once(client.call(grpc(&[("grpc-timeout", "9S")])));
    assert_eq!(sent(&handler, "grpc-timeout").unwrap(), "9S");
}

#[test]
fn by_any_field() {
    let (clock, _) = Clock::manual();
    let field = TimeoutField::seconds(HeaderName::from_static("x-timeout"));
    let handler = Handler::default();
    let mut client = PropagateDeadlineLayer::field(field).with_clock(clock.clone()).layer(handler.clone());
    at_once(client.call(within(request(&[("x-timeout", "9")]), &clock, millis(1234))));
    assert_eq!(sent(&handler, "x-timeout").unwrap(), "1.234");
    // Less than a millisecond cannot be said, and is not made more.
    let response = at_once(client.call(within(request(&[]), &clock, Duration::from_micros(999))));
    assert_eq!((response.status().as_u16(), handler.count()), (504, 1));
}

#[test]
fn what_has_passed_is_not_sent() {
    let (clock, hand) = Clock::manual();
    let handler = Handler::default();
    let mut client = PropagateDeadlineLayer::grpc().with_clock(clock.clone()).layer(handler.clone());
    for asked in [grpc(&[]), request(&[])] {
        let asked = within(asked, &clock, secs(1));
        hand.advance(secs(1));
        let response = at_once(client.call(asked));
        assert_eq!(response.extensions().get::<Rejection>().unwrap().origin(), Origin::Deadline);
    }
    assert_eq!(handler.count(), 0);
}

#[test]
fn a_try_that_gets_no_answer_is_told_as_one_that_was_made() {
    let (clock, hand) = Clock::manual();
    let handler = Handler::slow();
    let idle = handler.live();
    let mut client = TryTimeoutLayer::new(secs(2)).unwrap().with_clock(clock).layer(handler.clone());
    for (asked, status) in [(request(&[]), 504), (grpc(&[]), 200)] {
        let mut call = Box::pin(client.call(asked));
        assert!(poll(&mut call).is_pending());
        hand.advance(millis(1999));
        assert!(poll(&mut call).is_pending());
        hand.advance(millis(1));
        let Poll::Ready(Ok(response)) = poll(&mut call) else { panic!("an answer") };
        assert_eq!(handler.live(), idle + 1, "the client's clone, and no call");
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().get("grpc-status").is_some(), status == 200);
        assert!(response.extensions().get::<TimedOut>().is_some());
        assert!(response.extensions().get::<Rejection>().is_none());
        assert!(poll(&mut call).is_pending());
    }
}

#[test]
fn or_as_an_error_of_any_service() {
    let (clock, hand) = Clock::manual();
    let layer = TryTimeoutLayer::new(secs(2)).unwrap().with_clock(clock).as_error();
    let mut never = layer.layer(service_fn(|_: u8| std::future::pending::<Result<u8, BoxError>>()));
    let mut call = Box::pin(never.call(1));
    assert!(poll(&mut call).is_pending());
    hand.advance(secs(2));
    let Poll::Ready(Err(error)) = poll(&mut call) else { panic!("an error") };
    assert!(error.is::<TimedOut>());
    assert!(Rejection::in_error(&*error).is_none());
    // What the service says itself is its own.
    let mut failing = layer.layer(service_fn(|_: u8| async { Err::<u8, BoxError>(io::Error::other("torn").into()) }));
    let error = failing.call(1).now_or_never().unwrap().unwrap_err();
    assert!(error.is::<io::Error>());
    let mut quick = layer.layer(service_fn(|n: u8| async move { Ok::<u8, BoxError>(n) }));
    assert_eq!(at_once(quick.call(7)), 7);
}

#[test]
fn a_try_without_any_time_is_no_configuration() {
    assert!(TryTimeoutLayer::new(Duration::ZERO).is_err());
    let handler = Handler::slow();
    let mut client = TryTimeoutLayer::empty().layer(handler);
    assert!(client.call(request(&[])).now_or_never().is_none());
}
