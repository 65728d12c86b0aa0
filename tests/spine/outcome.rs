//! A body's end is told once, whatever it is.

use std::cell::RefCell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use http_body_util::{Empty, Full};
use tower_rampart::classify::{BodyEnd, ObservedBody};
use tower_rampart::client::ClientError;
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Origin, Rejection};

type Step = Poll<Result<Frame<Bytes>, &'static str>>;

/// Says what it was told to say.
struct Script(Vec<Step>);

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        if self.0.is_empty() { Poll::Ready(None) } else { self.0.remove(0).map(Some) }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

type Told = Rc<RefCell<Vec<String>>>;

fn watch<B: Body>(body: B) -> (ObservedBody<B, impl FnOnce(BodyEnd<'_>)>, Told) {
    let told = Told::default();
    let tell = Rc::clone(&told);
    let observer = move |end: BodyEnd<'_>| {
        tell.borrow_mut().push(match end {
            BodyEnd::Complete(None) => String::from("complete"),
            BodyEnd::Complete(Some(trailers)) => format!("trailers {:?}", trailers.get("grpc-status").unwrap()),
            BodyEnd::Broken => String::from("broken"),
            BodyEnd::Abandoned => String::from("abandoned"),
        });
    };
    (ObservedBody::new(body, observer), told)
}

fn data() -> Step {
    Poll::Ready(Ok(Frame::data(Bytes::from_static(b"abc"))))
}

fn poll<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn each_end_is_told_once() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("14"));
    for (script, end) in [
        (vec![data(), Poll::Pending, data()], "complete"),
        (vec![data(), Poll::Ready(Ok(Frame::trailers(trailers)))], "trailers \"14\""),
        (vec![data(), Poll::Ready(Err("torn")), data()], "broken"),
    ] {
        let (mut body, told) = watch(Script(script));
        while !matches!(poll(&mut body), Poll::Ready(None)) {}
        assert!(poll(&mut body).is_ready());
        drop(body);
        assert_eq!(*told.borrow(), [end]);
    }
}

#[test]
fn a_reader_that_leaves_is_told_of_wherever_it_leaves() {
    for polls in 0..3 {
        let (mut body, told) = watch(Script(vec![data(), Poll::Pending, data(), data()]));
        (0..polls).for_each(|_| drop(poll(&mut body)));
        assert!(told.borrow().is_empty());
        drop(body);
        assert_eq!(*told.borrow(), ["abandoned"]);
    }
}

#[test]
fn an_end_that_can_be_seen_coming_is_not_waited_for() {
    let (body, told) = watch(Empty::<Bytes>::new());
    assert_eq!(*told.borrow(), ["complete"]);
    drop(body);
    assert_eq!(told.borrow().len(), 1);

    let (mut body, told) = watch(Full::new(Bytes::from_static(b"abc")));
    assert!(told.borrow().is_empty() && poll(&mut body).is_ready());
    assert_eq!(*told.borrow(), ["complete"]);
}

#[test]
fn a_panic_is_no_leave() {
    let (body, told) = watch(Script(vec![data()]));
    let unwound = catch_unwind(AssertUnwindSafe(move || {
        let _held = body;
        std::panic::resume_unwind(Box::new("oh"));
    }));
    assert!(unwound.is_err());
    assert_eq!(*told.borrow(), ["broken"]);
}

#[test]
fn a_refusal_is_found_in_any_error() {
    let rejection = || Rejection::new(Origin::Custom("x"), Problem::new(ProblemKind::Unavailable));
    let typed: ClientError<ClientError<io::Error>> = ClientError::Inner(rejection().into());
    assert_eq!(Rejection::in_error(&typed).unwrap().origin(), Origin::Custom("x"));
    assert!(typed.flatten().is_refused());
    let failed = ClientError::Inner(io::Error::other("reset")).map_inner(|error| error.to_string());
    assert_eq!(failed.inner().map(String::as_str), Some("reset"));
    assert!(ClientError::<io::Error>::Refused(rejection()).map_inner(|error| error.to_string()).is_refused());
    let boxed = ClientError::<io::Error>::Refused(rejection()).into_boxed();
    assert_eq!(Rejection::in_error(&*boxed).unwrap().to_string(), "refused by x: Service Unavailable");
    let failed = ClientError::Inner(io::Error::other("torn"));
    assert!(Rejection::in_error(&failed).is_none());
    assert_eq!(failed.into_inner().unwrap().to_string(), "torn");
}
