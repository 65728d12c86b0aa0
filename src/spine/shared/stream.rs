//! A body that several responses read at once, and that somebody may want to keep.
//!
//! Frames stand in a log, from the first on, and each reader goes through it at its own pace. Whoever is at the end of it
//! asks the source for more, so no reader waits for another, and none must be there for the others to go on. When the
//! whole is there it is handed to a sink. A body that grows too long is not kept: the log then holds what the slowest
//! reader has yet to see, and nobody can join any more.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};

use super::source::{Fault, Pinned, Source};
use crate::spine::clock::{Clock, Sleep};

/// Gets the whole of a body, when it has come. Dropped instead, there is no whole.
pub(crate) trait Sink: Send {
    /// All of it is there, and as long as it was said to be.
    fn whole(self: Box<Self>, body: Bytes, trailers: Option<Box<HeaderMap>>);

    /// It is too long to be kept.
    fn too_long(self: Box<Self>);
}

/// What readers share.
pub(crate) struct Stream {
    inner: Mutex<Inner>,
    /// Apart from the rest, because a source may wake while it is polled.
    wakers: Mutex<HashMap<u64, Waker>>,
    /// How long one reader may keep the others from going on.
    patience: Duration,
    clock: Clock,
}

struct Inner {
    source: Option<Box<dyn Source>>,
    sink: Option<Box<dyn Sink>>,
    log: VecDeque<Bytes>,
    /// How many frames were dropped before those of the log.
    dropped: u64,
    log_bytes: usize,
    total_bytes: u64,
    expected_bytes: Option<u64>,
    max_bytes: usize,
    is_too_long: bool,
    trailers: Option<Box<HeaderMap>>,
    end: Option<End>,
    fault: Option<Fault>,
    /// Where each reader stands.
    readers: HashMap<u64, u64>,
    next_reader: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Broken,
}

impl Wake for Stream {
    fn wake(self: Arc<Self>) {
        self.wake_all();
    }
}

impl Stream {
    /// A body that may be `max_bytes` long to be kept, and its first reader, who gets its error. The sink is made when the
    /// stream is there to be shared.
    pub(crate) fn begin<B>(
        body: B,
        max_bytes: usize,
        expected_bytes: Option<u64>,
        patience: Duration,
        clock: Clock,
        sink: impl FnOnce(&Arc<Self>) -> Box<dyn Sink>,
    ) -> Reader
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Send + 'static,
    {
        let inner = Inner {
            source: Some(Box::new(Pinned::new(body))),
            sink: None,
            log: VecDeque::new(),
            dropped: 0,
            log_bytes: 0,
            total_bytes: 0,
            expected_bytes,
            max_bytes,
            is_too_long: false,
            trailers: None,
            end: None,
            fault: None,
            readers: HashMap::from([(0, 0)]),
            next_reader: 1,
        };
        let stream = Arc::new(Self { inner: Mutex::new(inner), wakers: Mutex::default(), patience, clock });
        let mut reader = Reader::new(&stream, 0);
        reader.is_first = true;
        let sink = sink(&stream);
        stream.inner().sink = Some(sink);
        reader
    }

    /// A further reader, from the first frame on; `None` when that is gone, or nobody is left who reads.
    pub(crate) fn attach(self: &Arc<Self>) -> Option<Reader> {
        let mut inner = self.inner();
        let is_open = !inner.is_too_long && (inner.end == Some(End::Whole) || inner.source.is_some());
        if !is_open || inner.end == Some(End::Broken) {
            return None;
        }
        let id = inner.next_reader;
        inner.next_reader += 1;
        inner.readers.insert(id, 0);
        Some(Reader::new(self, id))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wakers(&self) -> MutexGuard<'_, HashMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake_all(&self) {
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_values().for_each(Waker::wake);
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl Inner {
    fn frame(&self, at: u64) -> Option<Bytes> {
        let at = usize::try_from(at.checked_sub(self.dropped)?).ok()?;
        self.log.get(at).cloned()
    }

    /// Takes what the source gave.
    fn take(&mut self, polled: Option<Result<Frame<Bytes>, Fault>>) {
        match polled {
            None => self.finish(End::Whole),
            Some(Err(fault)) => {
                self.fault = Some(fault);
                self.finish(End::Broken);
            }
            Some(Ok(frame)) => {
                match frame.into_data() {
                    Ok(data) => self.add(data),
                    Err(frame) => self.trailers = frame.into_trailers().ok().map(Box::new),
                }
                // A server that has sent what `Content-Length` says does not ask for the end, nor one that has sent
                // trailers, which nothing follows.
                let has_all = match self.expected_bytes {
                    Some(bytes) => bytes == self.total_bytes,
                    None => self.trailers.is_some(),
                };
                if self.source.as_ref().is_some_and(|source| source.is_end()) {
                    self.finish(End::Whole);
                } else if has_all {
                    self.hand_over();
                }
            }
        }
    }

    fn add(&mut self, data: Bytes) {
        self.total_bytes = self.total_bytes.saturating_add(data.len() as u64);
        self.log_bytes = self.log_bytes.saturating_add(data.len());
        self.log.push_back(data);
        if self.log_bytes > self.max_bytes && !self.is_too_long {
            self.is_too_long = true;
            if let Some(sink) = self.sink.take() {
                sink.too_long();
            }
            self.trim();
        }
    }

    fn finish(&mut self, end: End) {
        self.end = Some(end);
        self.source = None;
        if end == End::Whole && self.expected_bytes.is_none_or(|expected| expected == self.total_bytes) {
            self.hand_over();
        }
        self.sink = None;
    }

    fn hand_over(&mut self) {
        let Some(sink) = self.sink.take() else { return };
        // A copy of its own: a frame may be a small part of a large buffer.
        let mut body = Vec::with_capacity(self.log_bytes);
        self.log.iter().for_each(|frame| body.extend_from_slice(frame));
        sink.whole(Bytes::from(body), self.trailers.clone());
    }

    /// Forgets what all have read.
    fn trim(&mut self) {
        let slowest = self.readers.values().copied().min().unwrap_or(u64::MAX);
        while self.dropped < slowest {
            let Some(frame) = self.log.pop_front() else { break };
            self.log_bytes = self.log_bytes.saturating_sub(frame.len());
            self.dropped += 1;
        }
    }

    /// Whether a reader has not been given up.
    fn reads(&self, reader: u64) -> bool {
        self.readers.contains_key(&reader)
    }

    /// Whether a reader is so far behind that the others wait.
    const fn is_held_up(&self) -> bool {
        self.is_too_long && self.log_bytes > self.max_bytes
    }

    /// Gives up those who hold up the others.
    fn cut_slowest(&mut self) {
        let slowest = self.readers.values().copied().min();
        self.readers.retain(|_, at| Some(*at) != slowest);
        self.trim();
    }
}

/// One of those who read a body.
pub(crate) struct Reader {
    stream: Arc<Stream>,
    id: u64,
    at: u64,
    is_first: bool,
    has_trailers: bool,
    is_done: bool,
    /// How long the slowest has kept this one waiting.
    stall: Option<Sleep>,
}

impl Reader {
    fn new(stream: &Arc<Stream>, id: u64) -> Self {
        let stream = Arc::clone(stream);
        Self { stream, id, at: 0, is_first: false, has_trailers: false, is_done: false, stall: None }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Option<Fault>>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let stream = Arc::clone(&self.stream);
        // Dropped behind all locks, since a waker may run anything.
        let mut replaced = Vec::new();
        let mut inner = stream.inner();
        loop {
            if !inner.reads(self.id) {
                self.is_done = true;
                return Poll::Ready(Some(Err(None)));
            }
            if let Some(frame) = inner.frame(self.at) {
                self.at += 1;
                inner.readers.insert(self.id, self.at);
                if inner.is_too_long {
                    inner.trim();
                    drop(inner);
                    stream.wake_all();
                }
                return Poll::Ready(Some(Ok(Frame::data(frame))));
            }
            if let Some(trailers) = inner.trailers.clone().filter(|_| !self.has_trailers) {
                self.has_trailers = true;
                return Poll::Ready(Some(Ok(Frame::trailers(*trailers))));
            }
            if let Some(end) = inner.end {
                self.is_done = true;
                return Poll::Ready(match end {
                    End::Whole => None,
                    End::Broken if self.is_first => Some(Err(inner.fault.take())),
                    End::Broken => Some(Err(None)),
                });
            }
            replaced.extend(stream.wakers().insert(self.id, cx.waker().clone()));
            if inner.is_held_up() {
                ready!(self.poll_stall(cx));
                inner.cut_slowest();
                drop(inner);
                stream.wake_all();
                inner = stream.inner();
                continue;
            }
            self.stall = None;
            let waker = Waker::from(Arc::clone(&stream));
            let Some(source) = &mut inner.source else { return Poll::Pending };
            let polled = ready!(source.poll(&mut Context::from_waker(&waker)));
            inner.take(polled);
            replaced.extend(stream.wakers().remove(&self.id));
            // Outside the lock, since a waker may run anything.
            drop(inner);
            stream.wake_all();
            inner = stream.inner();
        }
    }

    /// Waits for the slowest as long as patience goes. Without a timer there is no end to patience.
    fn poll_stall(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.stall.is_none() {
            self.stall = self.stream.clock.sleep(self.stream.patience);
        }
        let Some(stall) = &mut self.stall else { return Poll::Pending };
        ready!(Pin::new(stall).poll(cx));
        self.stall = None;
        Poll::Ready(())
    }

    pub(super) fn is_end(&self) -> bool {
        if self.is_done {
            return true;
        }
        let inner = self.stream.inner();
        let has_all = self.has_trailers || inner.trailers.is_none();
        inner.end == Some(End::Whole) && inner.reads(self.id) && has_all && inner.frame(self.at).is_none()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let inner = self.stream.inner();
        // What a reader has that was cut is no whole, and neither is what broke off: a length would make it look so.
        if !inner.reads(self.id) {
            return SizeHint::new();
        }
        let skipped = usize::try_from(self.at.saturating_sub(inner.dropped)).unwrap_or(usize::MAX);
        let logged: u64 = inner.log.iter().skip(skipped).map(|frame| frame.len() as u64).sum();
        match inner.end {
            Some(End::Whole) => return SizeHint::with_exact(logged),
            Some(End::Broken) => return SizeHint::new(),
            None => {}
        }
        let mut hint = inner.source.as_ref().map_or_else(SizeHint::new, |source| source.size_hint());
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(logged));
        }
        hint.set_lower(hint.lower().saturating_add(logged));
        hint
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut inner = self.stream.inner();
        inner.readers.remove(&self.id);
        // Nobody reads on: there will be no whole.
        let abandoned = inner.readers.is_empty().then(|| (inner.source.take(), inner.sink.take()));
        if inner.is_too_long {
            inner.trim();
        }
        drop(inner);
        drop(abandoned);
        let waker = self.stream.wakers().remove(&self.id);
        drop(waker);
        self.stream.wake_all();
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}
