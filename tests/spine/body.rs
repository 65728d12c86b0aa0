use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use tower_rampart::ResponseBody;

/// Plays back a script, and says what it was told to say about its size.
struct Script {
    frames: Vec<Result<Frame<Bytes>, &'static str>>,
    hint: SizeHint,
}

impl Body for Script {
    type Data = Bytes;
    type Error = &'static str;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        Poll::Ready((!self.frames.is_empty()).then(|| self.frames.remove(0)))
    }

    fn is_end_stream(&self) -> bool {
        self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

fn next<B: Body<Data = Bytes> + Unpin>(body: &mut B) -> Option<Result<Frame<Bytes>, B::Error>> {
    match Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(frame) => frame,
        Poll::Pending => panic!("the script never waits"),
    }
}

#[test]
fn frames_trailers_hints_and_errors_pass_through() {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let mut hint = SizeHint::new();
    hint.set_lower(3);
    hint.set_upper(9);
    let script = Script {
        frames: vec![Ok(Frame::data(Bytes::from_static(b"abc"))), Ok(Frame::trailers(trailers.clone())), Err("torn")],
        hint,
    };
    let mut body = ResponseBody::inner(script);
    assert_eq!((body.size_hint().lower(), body.size_hint().upper()), (3, Some(9)));
    assert!(!body.is_end_stream());
    assert_eq!(next(&mut body).unwrap().unwrap().into_data().unwrap(), "abc");
    assert_eq!(next(&mut body).unwrap().unwrap().into_trailers().unwrap(), trailers);
    assert_eq!(next(&mut body).unwrap().unwrap_err(), "torn");
    assert!(body.is_end_stream() && next(&mut body).is_none());
}

#[test]
fn an_answer_of_our_own_is_one_frame_of_known_size() {
    let mut body = ResponseBody::<Script>::local("refused");
    assert_eq!(body.size_hint().exact(), Some(7));
    assert!(!body.is_end_stream());
    assert_eq!(next(&mut body).unwrap().unwrap().into_data().unwrap(), "refused");
    assert!(body.is_end_stream() && next(&mut body).is_none());
    assert_eq!(body.size_hint().exact(), Some(0));
}

#[test]
fn an_empty_answer_ends_before_it_begins() {
    for mut body in [ResponseBody::<Script>::default(), ResponseBody::local(Bytes::new())] {
        assert!(body.is_end_stream() && next(&mut body).is_none());
        assert_eq!(body.size_hint().exact(), Some(0));
    }
}
