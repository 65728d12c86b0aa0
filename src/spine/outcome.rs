//! What a response came to, told once: when its body has ended, broken off, or been left.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::spine::classify::BodyEnd;

/// Whoever wants to know how a body ended.
///
/// A closure of the same shape is one.
pub trait ObserveEnd {
    /// Called once for each body, at its end, with whatever the body was read to.
    fn ended(self, end: BodyEnd<'_>);
}

impl<F> ObserveEnd for F
where
    F: FnOnce(BodyEnd<'_>),
{
    fn ended(self, end: BodyEnd<'_>) {
        self(end);
    }
}

pin_project! {
    /// A body that passes through untouched and tells its observer once how it ended.
    ///
    /// A response's head rarely settles what the exchange came to: gRPC's status stands in the trailers, and any body
    /// can break off. What an observer holds (a permit, a place in a queue) is held until then, and is told of a body
    /// that is dropped before its end too.
    ///
    /// ```
    /// use std::cell::Cell;
    /// use http::Response;
    /// use tower_rampart::{ResponseBody, ResponseView};
    /// use tower_rampart::classify::{BodyEnd, ObservedBody, Verdict, classify_end, classify_head};
    ///
    /// let response = Response::builder().status(500).body(ResponseBody::<String>::local("oh"))?;
    /// let head = classify_head(ResponseView::of(&response));
    /// let verdict = Cell::new(None);
    /// let watched = response.map(|body| {
    ///     ObservedBody::new(body, |end: BodyEnd<'_>| verdict.set(Some(classify_end(head, end))))
    /// });
    /// drop(watched);
    /// assert_eq!(verdict.get(), Some(Verdict::Failure));
    /// # Ok::<(), http::Error>(())
    /// ```
    pub struct ObservedBody<B, O>
    where
        O: ObserveEnd,
    {
        #[pin]
        body: B,
        observer: Option<O>,
        // Whatever drops a body that is being polled unwinds, now or later.
        is_polling: bool,
    }

    impl<B, O: ObserveEnd> PinnedDrop for ObservedBody<B, O> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.observer.is_some() {
                // What unwinds through a body did not leave by choice.
                let panicked = *this.is_polling || thread::panicking();
                tell(this.observer, if panicked { BodyEnd::Broken } else { BodyEnd::Abandoned });
            }
        }
    }
}

impl<B: Body, O: ObserveEnd> ObservedBody<B, O> {
    /// Watches `body`. One that has nothing to say has ended here and now: servers do not poll it at all.
    pub fn new(body: B, observer: O) -> Self {
        let mut observer = Some(observer);
        if body.is_end_stream() {
            tell(&mut observer, BodyEnd::Complete(None));
        }
        Self { body, observer, is_polling: false }
    }
}

impl<B, O: ObserveEnd> ObservedBody<B, O> {
    /// A body that nobody watches, beside others that are.
    pub const fn unobserved(body: B) -> Self {
        Self { body, observer: None, is_polling: false }
    }

    /// A body that was seen not to have ended yet, or that nobody watches any more.
    #[cfg(feature = "circuit-breaker")]
    #[inline]
    pub(crate) const fn of(body: B, observer: Option<O>) -> Self {
        Self { body, observer, is_polling: false }
    }

    /// The body.
    pub const fn get_ref(&self) -> &B {
        &self.body
    }
}

fn tell<O: ObserveEnd>(observer: &mut Option<O>, end: BodyEnd<'_>) {
    if let Some(observer) = observer.take() {
        observer.ended(end);
    }
}

impl<B, O> Body for ObservedBody<B, O>
where
    B: Body<Data = Bytes>,
    O: ObserveEnd,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut this = self.project();
        *this.is_polling = true;
        let polled = this.body.as_mut().poll_frame(cx);
        *this.is_polling = false;
        match &polled {
            Poll::Pending => {}
            Poll::Ready(None) => tell(this.observer, BodyEnd::Complete(None)),
            Poll::Ready(Some(Err(_))) => tell(this.observer, BodyEnd::Broken),
            Poll::Ready(Some(Ok(frame))) => match frame.trailers_ref() {
                Some(trailers) => tell(this.observer, BodyEnd::Complete(Some(trailers))),
                // A server may see the end coming and not poll for it.
                None if this.body.is_end_stream() => tell(this.observer, BodyEnd::Complete(None)),
                None => {}
            },
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

impl<B, O: ObserveEnd> fmt::Debug for ObservedBody<B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ObservedBody").field("observed", &self.observer.is_some()).finish_non_exhaustive()
    }
}
