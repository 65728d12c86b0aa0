use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use http::HeaderValue;
use proptest::prelude::*;

use super::super::room::Room;
use super::*;

#[derive(Debug, Clone)]
enum Step {
    Data(Vec<u8>),
    Pending,
    Trailers(HeaderMap),
    Fault,
}

/// Says what it was told to say, and how long that is, if it is told to.
struct Script {
    steps: VecDeque<Step>,
    tells_length: bool,
}

#[derive(Debug)]
struct Fault;

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("torn")
    }
}

impl Error for Fault {}

impl Body for Script {
    type Data = Bytes;
    type Error = Fault;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Fault>>> {
        match self.steps.pop_front() {
            None => Poll::Ready(None),
            Some(Step::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data.into())))),
            Some(Step::Pending) => Poll::Pending,
            Some(Step::Trailers(trailers)) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
            Some(Step::Fault) => Poll::Ready(Some(Err(Fault))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = |step: &Step| if let Step::Data(data) = step { data.len() as u64 } else { 0 };
        match self.tells_length {
            true => SizeHint::with_exact(self.steps.iter().map(length).sum()),
            false => SizeHint::new(),
        }
    }
}

fn body(steps: impl IntoIterator<Item = Step>, most: usize) -> ReplayBody<Script> {
    let script = Script { steps: steps.into_iter().collect(), tells_length: true };
    ReplayBody::kept(script, Room::of(1 << 20).keep(most))
}

fn data(text: &str) -> Step {
    Step::Data(text.into())
}

fn trailers() -> HeaderMap {
    HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))])
}

type Seen = Poll<Option<Result<Frame<Bytes>, BoxError>>>;

fn poll<B>(body: &mut ReplayBody<B>) -> Seen
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// What a whole body comes to: its bytes, trailers, and whether it broke.
fn drain(body: &mut ReplayBody<Script>) -> (Vec<u8>, Option<HeaderMap>, bool) {
    let (mut bytes, mut trailers) = (Vec::new(), None);
    loop {
        match poll(body) {
            Poll::Pending => {}
            Poll::Ready(None) => return (bytes, trailers, false),
            Poll::Ready(Some(Err(_))) => return (bytes, trailers, true),
            Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                Ok(data) => bytes.extend_from_slice(&data),
                Err(frame) => trailers = frame.into_trailers().ok(),
            },
        }
    }
}

fn is_error(seen: &Seen) -> bool {
    matches!(seen, Poll::Ready(Some(Err(_))))
}

#[test]
fn the_next_try_gets_what_has_passed_and_then_the_rest() {
    let mut first = body([data("ab"), data("cd"), Step::Pending, data("ef"), Step::Trailers(trailers())], 6);
    let mut second = first.again().unwrap();
    assert!(poll(&mut first).is_ready() && poll(&mut first).is_ready() && poll(&mut first).is_pending());
    assert_eq!((second.size_hint().exact(), second.is_end_stream()), (Some(6), false));
    assert!(second.take_over());
    // The one before ends with an error at once, and reads nothing more.
    assert!(is_error(&poll(&mut first)));
    let mut third = second.again().unwrap();
    assert_eq!(drain(&mut second), (b"abcdef".to_vec(), Some(trailers()), false));
    assert!(second.is_end_stream());
    assert!(third.take_over());
    assert_eq!(drain(&mut third), (b"abcdef".to_vec(), Some(trailers()), false));
    assert!(is_error(&poll(&mut second)));
}

#[test]
fn a_body_that_grows_too_long_streams_on_and_is_kept_no_more() {
    let room = Room::of(100);
    let script = Script { steps: [data("abcd"), data("efg"), data("h")].into(), tells_length: false };
    let mut first = ReplayBody::kept(script, room.keep(6));
    let second = first.again().unwrap();
    assert!(poll(&mut first).is_ready() && second.can_replay());
    assert!(poll(&mut first).is_ready() && !second.can_replay() && !second.take_over() && first.again().is_none());
    // Its room is free while it still streams.
    assert!(room.keep(100).add(&[0; 100]));
    assert_eq!(drain(&mut first), (b"h".to_vec(), None, false));
}

#[test]
fn a_body_that_breaks_is_not_sent_again() {
    let mut first = body([data("ab"), Step::Fault], 6);
    let mut second = first.again().unwrap();
    assert!(drain(&mut first).2);
    assert!(!second.can_replay() && !second.take_over());
    assert!(poll(&mut first).is_ready());
    // Not even by somebody who does not ask.
    assert!(!matches!(poll(&mut second), Poll::Pending));
}

#[test]
fn when_nobody_will_ask_again_nothing_is_kept() {
    let room = Room::of(10);
    let script = Script { steps: [data("abcdefgh"), data("ijkl")].into(), tells_length: true };
    let mut first = ReplayBody::kept(script, room.keep(10));
    let second = first.again().unwrap();
    assert!(poll(&mut first).is_ready() && !room.keep(10).add(b"xyz"));
    drop(second);
    assert!(room.keep(10).add(&[0; 10]));
    assert_eq!(drain(&mut first), (b"ijkl".to_vec(), None, false));
    assert!(first.again().is_none());
}

/// The answer to a try may be there before its body was sent, and whoever asked may leave: the next try, which nobody will
/// make, takes nothing along that this one has still to send.
#[test]
fn what_is_still_to_be_sent_outlives_the_next_try() {
    let room = Room::of(10);
    let script = Script { steps: [data("abcd"), data("ef"), Step::Trailers(trailers())].into(), tells_length: true };
    let mut first = ReplayBody::kept(script, room.keep(10));
    let mut second = first.again().unwrap();
    assert!(poll(&mut first).is_ready() && second.take_over());
    drop(second.again().unwrap());
    assert!(second.again().is_none());
    assert_eq!((second.size_hint().exact(), second.is_end_stream()), (Some(6), false));
    assert!(poll(&mut second).is_ready());
    // What was sent again is kept no more.
    assert!(room.keep(10).add(&[0; 10]));
    assert_eq!(drain(&mut second), (b"ef".to_vec(), Some(trailers()), false));
}

/// A try whose turn it is not says so, and never that it has sent the whole.
#[test]
fn nobody_sends_a_part_for_the_whole() {
    let script = Script { steps: [data("ab"), data("cdef"), data("g")].into(), tells_length: true };
    let mut first = ReplayBody::kept(script, Room::of(100).keep(4));
    let mut second = first.again().unwrap();
    assert!(poll(&mut first).is_ready() && second.take_over());
    // The second sends more than is kept, to the end.
    assert_eq!(drain(&mut second), (b"abcdefg".to_vec(), None, false));
    assert!(second.is_end_stream() && !first.is_end_stream() && first.size_hint().upper().is_none());
    assert!(is_error(&poll(&mut first)));

    let mut first = body([data("abcd"), data("e")], 2);
    let mut second = first.again().unwrap();
    assert!(poll(&mut first).is_ready());
    // Asked for nevertheless, by somebody who has not taken over.
    assert!(!second.is_end_stream() && is_error(&poll(&mut second)));
    assert_eq!(drain(&mut first), (b"e".to_vec(), None, false));
    let mut third = body([data("ab"), Step::Fault], 6);
    let mut fourth = third.again().unwrap();
    assert!(drain(&mut third).2 && is_error(&poll(&mut fourth)));
}

#[test]
fn an_empty_body_is_always_there_again() {
    let first = body([], 0);
    let second = first.again().unwrap();
    assert!(second.take_over() && second.is_end_stream() && second.size_hint().exact() == Some(0));
    let passed = ReplayBody::passed(Script { steps: [data("x")].into(), tells_length: true });
    assert!(passed.again().is_none() && !passed.take_over() && !passed.can_replay());
    assert_eq!(passed.size_hint().exact(), Some(1));
}

#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A connection that waits for more of the body must hear that there will be none, or it waits for ever.
#[test]
fn whoever_waits_is_woken_when_another_takes_over() {
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut first = body([Step::Pending, data("x")], 9);
    let second = first.again().unwrap();
    assert!(Pin::new(&mut first).poll_frame(&mut Context::from_waker(&waker)).is_pending());
    assert!(second.take_over());
    assert_eq!(bell.0.load(Ordering::Relaxed), 1);
    assert!(is_error(&poll(&mut first)));
}

fn scripts() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(Step::Data),
        1 => Just(Step::Pending),
    ];
    (proptest::collection::vec(step, 1..12), any::<bool>()).prop_map(|(mut steps, has_trailers)| {
        if has_trailers {
            steps.push(Step::Trailers(trailers()));
        }
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// Each try reads so far and is given up, polled once more or dropped; the last one reads all. It sees the body from its
    /// beginning, or it is never made: when more has passed than is kept.
    #[test]
    fn every_try_sees_the_whole_or_is_not_made(
        steps in scripts(), most in 0_usize..300, reads in proptest::collection::vec((0_usize..14, any::<bool>()), 0..4),
        tells_length: bool,
    ) {
        let whole: Vec<u8> =
            steps.iter().flat_map(|step| if let Step::Data(data) = step { data.clone() } else { Vec::new() }).collect();
        let wanted = steps.iter().any(|step| matches!(step, Step::Trailers(_))).then(trailers);
        let script = Script { steps: steps.into(), tells_length };
        let room = Room::of(1000);
        let mut this = ReplayBody::kept(script, room.keep(most));
        let mut passed = 0;
        for (polls, is_dropped) in reads {
            let mut next = this.again();
            let mut own = 0;
            for _ in 0..polls {
                if let Poll::Ready(Some(Ok(frame))) = poll(&mut this) {
                    own += frame.data_ref().map_or(0, Bytes::len);
                }
            }
            passed = passed.max(own);
            match next.take() {
                Some(next) if next.take_over() => {
                    prop_assert!(passed <= most);
                    if !is_dropped {
                        prop_assert!(is_error(&poll(&mut this)));
                    }
                    this = next;
                }
                _ => {
                    // Too much has passed.
                    prop_assert!(passed > most);
                    return Ok(());
                }
            }
        }
        if tells_length {
            prop_assert_eq!(this.size_hint().exact(), Some(whole.len() as u64));
        }
        prop_assert_eq!(drain(&mut this), (whole, wanted, false));
        prop_assert!(this.is_end_stream());
        drop(this);
        prop_assert!(room.keep(1000).add(&[0; 1000]));
    }
}
