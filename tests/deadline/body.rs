use std::convert::Infallible;
use std::future::ready;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer, Service, service_fn};
use tower_rampart::deadline::Deadlines;
use tower_rampart::{Clock, ClockHand};

use crate::support::{at_once, grpc, request, secs};

/// A body without an end: it always has something to say, or never.
struct Endless {
    is_slow: bool,
    _live: Arc<()>,
}

impl Body for Endless {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.is_slow { Poll::Pending } else { Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x"))))) }
    }
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Seen = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

fn poll<B>(body: &mut Pin<Box<B>>) -> Seen
where
    B: Body<Data = Bytes, Error = BoxError>,
{
    body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// The body of an answer to this request, five seconds before its deadline.
fn body(
    request: Request<()>,
    is_slow: bool,
) -> (Pin<Box<impl Body<Data = Bytes, Error = BoxError>>>, ClockHand, Arc<()>) {
    let (clock, hand) = Clock::manual();
    let live = Arc::new(());
    let held = Arc::clone(&live);
    let handler = service_fn(move |_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(Endless { is_slow, _live: Arc::clone(&held) })))
    });
    let layer = Deadlines::new().max_time(secs(5)).with_clock(clock).build_with_body().unwrap();
    let response = at_once(layer.layer(handler).call(request));
    assert_eq!(response.status(), 200);
    (Box::pin(response.into_body()), hand, live)
}

#[test]
fn a_body_is_cut_off_at_the_deadline_and_nobody_takes_the_part_for_the_whole() {
    for is_slow in [false, true] {
        let (mut body, hand, live) = body(request(&[]), is_slow);
        assert_eq!(poll(&mut body).is_pending(), is_slow);
        hand.advance(secs(4));
        assert_eq!(poll(&mut body).is_pending(), is_slow);
        let held = Arc::strong_count(&live);
        hand.advance(secs(1));
        let Poll::Ready(Some(Err(error))) = poll(&mut body) else { panic!("an error") };
        assert_eq!(error.to_string(), "the deadline passed before the body's end");
        assert_eq!(Arc::strong_count(&live), held - 1, "what is cut off is let go");
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    }
}

/// gRPC has a word for it, and room for that behind the messages.
#[test]
fn grpc_ends_with_its_status() {
    for is_slow in [false, true] {
        let (mut body, hand, _) = body(grpc(&[("grpc-timeout", "2S")]), is_slow);
        let _ = poll(&mut body);
        hand.advance(secs(2));
        let Poll::Ready(Some(Ok(frame))) = poll(&mut body) else { panic!("trailers") };
        assert_eq!(frame.trailers_ref().unwrap()["grpc-status"], "4");
        assert!(body.is_end_stream());
        assert!(matches!(poll(&mut body), Poll::Ready(None)));
    }
}

#[test]
fn refusals_come_from_this_layer_too() {
    let layer = Deadlines::new().build_with_body().unwrap();
    let handler =
        service_fn(|_: Request<()>| ready(Ok::<_, Infallible>(Response::new(http_body_util::Empty::<Bytes>::new()))));
    assert_eq!(at_once(layer.layer(handler).call(request(&[("grpc-timeout", "0S")]))).status(), 504);
    assert_eq!(at_once(layer.layer(handler).call(request(&[("grpc-timeout", "x")]))).status(), 400);
}

/// Says these frames, and does not know that the last one is.
struct Frames(Vec<Result<Frame<Bytes>, io::Error>>);

impl Body for Frames {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Poll::Ready((!self.0.is_empty()).then(|| self.0.remove(0)))
    }
}

/// What has ended has ended: a reader that comes late to hear that there is no more is told so.
#[test]
fn a_body_that_ended_in_time_is_not_cut_off_afterwards() {
    let data = || Ok(Frame::data(Bytes::from_static(b"x")));
    let trailers =
        || Ok(Frame::trailers([("grpc-status".parse().unwrap(), "0".parse().unwrap())].into_iter().collect()));
    for request in [request(&[]), grpc(&[])] {
        for (frames, polls) in [
            (vec![data(), trailers()], 2),
            (vec![data()], 2),
            (vec![], 1),
            (vec![data(), Err(io::Error::other("torn"))], 2),
        ] {
            let (clock, hand) = Clock::manual();
            let mut frames = Some(frames);
            let handler = service_fn(move |_: Request<()>| {
                ready(Ok::<_, Infallible>(Response::new(Frames(frames.take().unwrap_or_default()))))
            });
            let layer = Deadlines::new().max_time(secs(5)).with_clock(clock).build_with_body().unwrap();
            let mut body = Box::pin(at_once(layer.layer(handler).call(request.clone())).into_body());
            (0..polls).for_each(|_| drop(poll(&mut body)));
            hand.advance(secs(6));
            assert!(matches!(poll(&mut body), Poll::Ready(None)));
        }
    }
}

/// Whoever can see that there is no more need not be told otherwise.
#[test]
fn a_body_at_its_end_is_not_cut_off() {
    let (clock, hand) = Clock::manual();
    let handler = service_fn(|_: Request<()>| {
        ready(Ok::<_, Infallible>(Response::new(http_body_util::Full::new(Bytes::from_static(b"x")))))
    });
    let layer = Deadlines::new().max_time(secs(5)).with_clock(clock).build_with_body().unwrap();
    let mut body = Box::pin(at_once(layer.layer(handler).call(request(&[]))).into_body());
    assert!(matches!(poll(&mut body), Poll::Ready(Some(Ok(_)))));
    hand.advance(secs(6));
    assert!(body.is_end_stream() && matches!(poll(&mut body), Poll::Ready(None)));
}
