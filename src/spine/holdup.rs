//! What holds a call up that its callee is not to blame for.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::spine::clock::Clock;
use crate::spine::request::RequestView;

/// What holds a call up that its callee is not to blame for: a caller that is slow to send its body, or the queue before a
/// bulkhead.
///
/// Without it, who measures a call takes all its time for the callee's: a client that sends half a body and waits makes any
/// service slow, and then circuits open for everybody. Put one into the extensions of a request whose body comes from somebody
/// you do not trust, and let it [watch](Self::watch) the body. Bulkheads tell it of their queue. Then a circuit breaker counts
/// the time from where nothing held the call up any more, and a call that was cut off while something did counts as nothing;
/// and a retry does not try such a call again.
///
/// ```
/// use http::Request;
/// use tower_rampart::Holdup;
///
/// let request = Request::post("/v1/polls").body(String::from("{}"))?;
/// let holdup = Holdup::new();
/// let mut request = request.map(|body| holdup.watch(body));
/// request.extensions_mut().insert(holdup);
/// # Ok::<(), http::Error>(())
/// ```
///
/// Clones are the same.
#[derive(Clone, Default)]
pub struct Holdup(Arc<State>);

#[derive(Default)]
struct State {
    clock: Clock,
    /// A bit for each thing that holds the call up.
    held_by: AtomicU8,
    /// Since when nothing does, in ticks; zero: nothing ever has.
    free_since: AtomicU64,
}

/// What can hold a call up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    Sender = 1,
    #[cfg_attr(not(feature = "bulkhead"), allow(dead_code, reason = "only a bulkhead has one"))]
    Queue = 2,
}

impl Holdup {
    /// Of a call that nothing has held up yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same by another clock: that of the layers that ask.
    #[must_use]
    pub fn with_clock(clock: Clock) -> Self {
        Self(Arc::new(State { clock, ..State::default() }))
    }

    /// That of a request, if it has one.
    #[must_use]
    pub fn of(request: RequestView<'_>) -> Option<Self> {
        request.extensions().get().cloned()
    }

    /// Whether something holds the call up at this moment, or did when the call was dropped.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.0.held_by.load(Ordering::Acquire) != 0
    }

    /// Notes when the body's sender keeps whoever reads it waiting.
    pub fn watch<B>(&self, body: B) -> WatchedBody<B> {
        WatchedBody { body, holdup: self.clone() }
    }

    pub(crate) fn begin(&self, by: By) {
        self.0.held_by.fetch_or(by as u8, Ordering::AcqRel);
    }

    pub(crate) fn end(&self, by: By) {
        // The time first: whoever sees that nothing holds the call up sees since when.
        if self.0.held_by.load(Ordering::Acquire) & by as u8 != 0 {
            self.0.free_since.fetch_max(self.0.clock.ticks(), Ordering::AcqRel);
            self.0.held_by.fetch_and(!(by as u8), Ordering::AcqRel);
        }
    }

    /// Since when nothing holds the call up, in ticks of its clock: zero, when nothing ever has, and `None` while something does.
    #[cfg(any(feature = "circuit-breaker", test))]
    pub(crate) fn free_since(&self) -> Option<u64> {
        (!self.is_held()).then(|| self.0.free_since.load(Ordering::Acquire))
    }
}

impl fmt::Debug for Holdup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Holdup").field("is_held", &self.is_held()).finish()
    }
}

pin_project! {
    /// A body whose sender is watched. Made by [`Holdup::watch`].
    ///
    /// It passes through untouched.
    #[derive(Debug)]
    pub struct WatchedBody<B> {
        #[pin]
        body: B,
        holdup: Holdup,
    }
}

impl<B> WatchedBody<B> {
    /// The body.
    pub const fn get_ref(&self) -> &B {
        &self.body
    }

    /// The body, to be changed.
    pub const fn get_mut(&mut self) -> &mut B {
        &mut self.body
    }

    /// The body, alone.
    pub fn into_inner(self) -> B {
        self.body
    }
}

impl<B: Body<Data = Bytes>> Body for WatchedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let polled = this.body.poll_frame(cx);
        // One that is dropped while it waits stays held up: the call was cut off because of it.
        match polled {
            Poll::Pending => this.holdup.begin(By::Sender),
            Poll::Ready(_) => this.holdup.end(By::Sender),
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::time::Duration;

    use super::*;

    /// Frames, with pauses between them.
    struct Script(VecDeque<Option<&'static str>>);

    impl Body for Script {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.pop_front() {
                Some(None) => Poll::Pending,
                Some(Some(text)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))),
                None => Poll::Ready(None),
            }
        }
    }

    fn poll(body: &mut WatchedBody<Script>) -> Option<Bytes> {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match Pin::new(body).poll_frame(&mut cx) {
            Poll::Ready(Some(Ok(frame))) => frame.into_data().ok(),
            _ => None,
        }
    }

    #[test]
    fn a_sender_holds_up_while_somebody_waits_for_it() {
        let (clock, hand) = Clock::manual();
        let holdup = Holdup::with_clock(clock.clone());
        assert_eq!((holdup.is_held(), holdup.free_since()), (false, Some(0)));
        let mut body = holdup.watch(Script(VecDeque::from([Some("a"), None, None, Some("b"), None])));
        assert_eq!(poll(&mut body).as_deref(), Some(&b"a"[..]));
        assert_eq!(holdup.free_since(), Some(0), "it was never waited for");
        hand.advance(Duration::from_secs(1));
        for _ in 0..2 {
            poll(&mut body);
            assert_eq!((holdup.is_held(), holdup.free_since()), (true, None));
            hand.advance(Duration::from_secs(1));
        }
        assert_eq!(poll(&mut body).as_deref(), Some(&b"b"[..]));
        assert_eq!((holdup.is_held(), holdup.free_since()), (false, Some(clock.ticks())));
        poll(&mut body);
        drop(body);
        assert!(holdup.is_held(), "it was given up because of its sender");
    }

    #[test]
    fn of_two_that_hold_it_up_the_last_to_end_counts() {
        let (clock, hand) = Clock::manual();
        let holdup = Holdup::with_clock(clock.clone());
        holdup.begin(By::Sender);
        holdup.begin(By::Queue);
        holdup.end(By::Queue);
        assert!(holdup.is_held());
        hand.advance(Duration::from_secs(1));
        holdup.end(By::Sender);
        let free = clock.ticks();
        hand.advance(Duration::from_secs(1));
        holdup.end(By::Sender);
        holdup.end(By::Queue);
        assert_eq!(holdup.free_since(), Some(free), "what does not hold it up does not end");
    }
}
