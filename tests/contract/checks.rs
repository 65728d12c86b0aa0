//! The rules, each a function that says what is wrong.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame};
use tower::{Layer, Service};

use crate::probe::{Probe, ProbeBody, ProbeError, Readiness, Torn, Unfree, Watch, trailers};

pub(crate) type Verdict = Result<(), String>;

/// The body of the suite's requests: layers may ask that it is one.
pub(crate) type NoBody = http_body_util::Empty<Bytes>;

/// A layer over probes, for requests with a body `R`. Blanket, so that the checks' signatures stay readable.
pub(crate) trait Layered<M = (), R = NoBody>: Layer<Probe<M>, Service = Self::Outer> {
    type Outer: Service<Request<R>, Response = Response<Self::Body>, Error = ProbeError>;
    type Body: Body<Data = Bytes, Error: Tear>;
}

/// The error of a [`ProbeBody`], in whatever it comes out.
pub(crate) trait Tear: std::fmt::Debug {
    fn identity(&self) -> Option<u64>;
}

impl Tear for Torn {
    fn identity(&self) -> Option<u64> {
        Some(self.0)
    }
}

/// A body that is read by several has errors that are not the inner body's.
#[cfg(feature = "cache")]
impl Tear for tower_rampart::BodyError<Torn> {
    fn identity(&self) -> Option<u64> {
        match self {
            Self::Inner(torn) => torn.identity(),
            _ => None,
        }
    }
}

impl<L, M, R, B> Layered<M, R> for L
where
    L: Layer<Probe<M>>,
    L::Service: Service<Request<R>, Response = Response<B>, Error = ProbeError>,
    B: Body<Data = Bytes, Error: Tear>,
{
    type Outer = L::Service;
    type Body = B;
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(what()) }
}

fn request() -> Request<NoBody> {
    Request::get("http://localhost/").body(NoBody::new()).unwrap()
}

fn poll_ready<S: Service<Request<NoBody>>>(service: &mut S) -> Poll<Result<(), S::Error>> {
    service.poll_ready(&mut Context::from_waker(Waker::noop()))
}

fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// Polls until the future is ready; one that never wakes is a fault of its own.
fn finish<F: Future>(future: F) -> Result<F::Output, String> {
    let mut future = pin!(future);
    for _ in 0..1000 {
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return Ok(output);
        }
    }
    Err("the future is still pending after 1000 polls".to_owned())
}

fn answer<S, B>(service: &mut S) -> Result<Response<B>, String>
where
    S: Service<Request<NoBody>, Response = Response<B>, Error = ProbeError>,
{
    match poll_ready(service) {
        Poll::Ready(Ok(())) => {}
        other => return Err(format!("not ready: {other:?}")),
    }
    finish(service.call(request()))?.map_err(|error| error.to_string())
}

/// The instance that said it was ready is the one that is called.
pub(crate) fn readied_instance_is_called<L>(layer: &L) -> Verdict
where
    L: Layered,
    L::Outer: Clone,
{
    let watch = Arc::new(Watch::default());
    let mut service = layer.layer(Probe::new(&watch));
    for _ in 0..3 {
        answer(&mut service)?;
        // A clone must ask for itself.
        answer(&mut service.clone())?;
    }
    let unready = watch.unready_calls.load(Ordering::Relaxed);
    ensure(unready == 0, || format!("an instance that was not ready was called {unready} times"))?;
    let ready = watch.ready_calls.load(Ordering::Relaxed);
    ensure(ready == 6, || format!("6 requests became {ready} calls"))
}

/// `Pending` and errors of the inner `poll_ready` come through.
pub(crate) fn readiness_passes_through<L: Layered>(layer: &L) -> Verdict {
    let watch = Arc::new(Watch::default());
    let (error, identity) = ProbeError::new();
    watch.readiness.lock().unwrap().extend([Readiness::Pending, Readiness::Pending, Readiness::Error(error)]);
    let mut service = layer.layer(Probe::new(&watch));
    for _ in 0..2 {
        ensure(poll_ready(&mut service).is_pending(), || "the inner service was pending, the layer was not".into())?;
    }
    match poll_ready(&mut service) {
        Poll::Ready(Err(error)) if error.0 == identity => {}
        other => return Err(format!("the inner poll_ready failed, and the layer said {other:?}")),
    }
    answer(&mut service).map(drop)
}

/// Whoever waits is woken: the waker that the layer is polled with is the one that the inner service gets.
pub(crate) fn the_waker_passes_through<L: Layered>(layer: &L) -> Verdict {
    let watch = Arc::new(Watch::default());
    watch.readiness.lock().unwrap().extend([Readiness::Pending]);
    watch.pending_polls.store(1, Ordering::Relaxed);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let rung = |times: usize, by: &str| {
        let heard = bell.0.load(Ordering::Relaxed);
        ensure(heard == times, || format!("{by} was pending, and its caller was woken {heard} times, not {times}"))
    };
    let mut service = layer.layer(Probe::new(&watch));
    ensure(service.poll_ready(&mut cx).is_pending(), || "the inner service was pending, the layer was not".into())?;
    rung(1, "poll_ready")?;
    let _ = service.poll_ready(&mut cx);
    let mut future = Box::pin(service.call(request()));
    ensure(future.as_mut().poll(&mut cx).is_pending(), || "ready before its inner future".into())?;
    rung(2, "the future")?;
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut cx) else {
        return Err("the inner future was ready, the layer's was not".into());
    };
    let mut body = Box::pin(response.into_body());
    let _ = body.as_mut().poll_frame(&mut cx);
    ensure(body.as_mut().poll_frame(&mut cx).is_pending(), || "the body did not wait for its inner one".into())?;
    rung(3, "the body")
}

/// The layer is ready whatever the inner service is, and `Pending` and errors of the inner `poll_ready` come out of the
/// future.
pub(crate) fn readiness_is_lazy<L: Layered>(layer: &L) -> Verdict {
    let watch = Arc::new(Watch::default());
    let (error, identity) = ProbeError::new();
    watch.readiness.lock().unwrap().extend([Readiness::Pending, Readiness::Pending, Readiness::Error(error)]);
    let mut service = layer.layer(Probe::new(&watch));
    ensure(matches!(poll_ready(&mut service), Poll::Ready(Ok(()))), || "the layer is not ready".into())?;
    ensure(watch.readiness.lock().unwrap().len() == 3, || "being ready asked the inner service".into())?;
    let mut future = Box::pin(service.call(request()));
    for _ in 0..2 {
        ensure(poll(future.as_mut()).is_pending(), || "the inner service was pending, the future was not".into())?;
    }
    match poll(future.as_mut()) {
        Poll::Ready(Err(error)) if error.0 == identity => {}
        _ => return Err("the inner poll_ready failed, and the future does not say so".into()),
    }
    drop(future);
    answer(&mut service).map(drop)
}

/// Whoever waits is woken, when the inner service is first asked in the future.
pub(crate) fn the_waker_passes_through_lazily<L: Layered>(layer: &L) -> Verdict {
    let watch = Arc::new(Watch::default());
    watch.readiness.lock().unwrap().extend([Readiness::Pending]);
    watch.pending_polls.store(1, Ordering::Relaxed);
    let bell = Arc::new(Bell::default());
    let waker = Waker::from(Arc::clone(&bell));
    let mut cx = Context::from_waker(&waker);
    let rung = |times: usize, by: &str| {
        let heard = bell.0.load(Ordering::Relaxed);
        ensure(heard == times, || format!("{by} was pending, and its caller was woken {heard} times, not {times}"))
    };
    let mut service = layer.layer(Probe::new(&watch));
    let _ = service.poll_ready(&mut cx);
    let mut future = Box::pin(service.call(request()));
    for (times, by) in [(1, "poll_ready"), (2, "the future")] {
        ensure(future.as_mut().poll(&mut cx).is_pending(), || format!("{by} was pending, the future was not"))?;
        rung(times, by)?;
    }
    let Poll::Ready(Ok(response)) = future.as_mut().poll(&mut cx) else {
        return Err("the inner future was ready, the layer's was not".into());
    };
    let mut body = Box::pin(response.into_body());
    let _ = body.as_mut().poll_frame(&mut cx);
    ensure(body.as_mut().poll_frame(&mut cx).is_pending(), || "the body did not wait for its inner one".into())?;
    rung(3, "the body")
}

/// Being ready holds nothing: a thousand ready clones leave room for a request.
pub(crate) fn nothing_is_reserved<L>(layer: &L) -> Verdict
where
    L: Layered,
    L::Outer: Clone,
{
    let watch = Arc::new(Watch::default());
    let mut service = layer.layer(Probe::new(&watch));
    let mut idle: Vec<_> = (0..1000).map(|_| service.clone()).collect();
    for service in &mut idle {
        ensure(poll_ready(service).is_ready(), || "ready clones make others wait".into())?;
    }
    ensure(watch.live.count() == 0, || "poll_ready made something".into())?;
    let response = answer(&mut service)?;
    let status = response.status();
    ensure(status.is_success(), || format!("with a thousand ready clones a request is answered {status}"))
}

/// Dropped before the first poll, after each number of polls, and with the body read up to any frame, a call leaves
/// nothing behind.
/// A thousand rounds of it exhaust whatever might leak.
pub(crate) fn dropping_releases_all<L: Layered>(layer: &L) -> Verdict {
    const PENDING: usize = 4;
    let watch = Arc::new(Watch::default());
    watch.pending_polls.store(PENDING, Ordering::Relaxed);
    let mut service = layer.layer(Probe::new(&watch));
    for round in 0..1000 {
        for polls in 0..=PENDING {
            let _ = poll_ready(&mut service);
            let mut future = Box::pin(service.call(request()));
            for _ in 0..polls {
                ensure(poll(future.as_mut()).is_pending(), || format!("ready before its inner future, poll {polls}"))?;
            }
            drop(future);
            let live = watch.live.count();
            ensure(live == 0, || format!("{live} things live on after {polls} polls and a drop, round {round}"))?;
        }
        let response = answer(&mut service)?;
        ensure(response.status().is_success(), || {
            format!("after {round} rounds of drops a request is answered {}", response.status())
        })?;
        let frames = round % (ProbeBody::POLLS + 1);
        let mut body = Box::pin(response.into_body());
        for _ in 0..frames {
            let _ = next_frame(&mut body);
        }
        drop(body);
        let live = watch.live.count();
        ensure(live == 0, || format!("{live} things live on after a body dropped at frame {frames}, round {round}"))?;
    }
    Ok(())
}

/// The inner service's error is the very one that comes out.
pub(crate) fn error_is_unchanged<L: Layered>(layer: &L) -> Verdict {
    let watch = Arc::new(Watch::default());
    let (error, identity) = ProbeError::new();
    *watch.error.lock().unwrap() = Some(error);
    let mut service = layer.layer(Probe::new(&watch));
    let _ = poll_ready(&mut service);
    match finish(service.call(request()))? {
        Err(error) if error.0 == identity => Ok(()),
        Err(error) => Err(format!("another error came out: {error}")),
        Ok(response) => Err(format!("the error became a response {}", response.status())),
    }
}

fn next_frame<B: Body<Data = Bytes>>(body: &mut Pin<Box<B>>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
    body.as_mut().poll_frame(&mut Context::from_waker(Waker::noop()))
}

/// Frames, trailers, size hint, end of stream and the error at the end pass through, one poll for one frame.
pub(crate) fn body_streams_through<L: Layered>(layer: &L) -> Verdict {
    let watch = Arc::new(Watch::default());
    let mut body = Box::pin(answer(&mut layer.layer(Probe::new(&watch)))?.into_body());
    let hint = (body.size_hint().lower(), body.size_hint().upper());
    ensure(hint == (ProbeBody::HINT.0, Some(ProbeBody::HINT.1)), || format!("the size hint became {hint:?}"))?;
    ensure(!body.is_end_stream(), || "the body ends before it begins".into())?;
    for expected in [Some("one"), None, Some("two")] {
        match (next_frame(&mut body), expected) {
            (Poll::Ready(Some(Ok(frame))), Some(text)) if frame.data_ref().is_some_and(|data| data == text) => {}
            (Poll::Pending, None) => {}
            (other, Some(text)) => return Err(format!("instead of `{text}` came {other:?}")),
            (other, None) => return Err(format!("while the inner body waits came {other:?}")),
        }
    }
    match next_frame(&mut body) {
        Poll::Ready(Some(Ok(frame))) if frame.trailers_ref() == Some(&trailers()) => {}
        other => return Err(format!("instead of the trailers came {other:?}")),
    }
    match next_frame(&mut body) {
        Poll::Ready(Some(Err(error))) if error.identity() == Some(ProbeBody::IDENTITY) => {}
        other => return Err(format!("instead of the error came {other:?}")),
    }
    ensure(body.is_end_stream(), || "the end of the stream is hidden".into())
}

/// Clones of the layer, of the service, and services layered anew, all work while the others do.
pub(crate) fn clones_work_side_by_side<L>(layer: &L) -> Verdict
where
    L: Layered + Clone,
    L::Outer: Clone,
{
    let watch = Arc::new(Watch::default());
    watch.pending_polls.store(1, Ordering::Relaxed);
    let first = layer.layer(Probe::new(&watch));
    let mut services = vec![first.clone(), first, layer.clone().layer(Probe::new(&watch))];
    let mut futures = Vec::new();
    for service in &mut services {
        let _ = poll_ready(service);
        futures.push(Box::pin(service.call(request())));
    }
    drop(services);
    for mut future in futures {
        ensure(poll(future.as_mut()).is_pending(), || "ready before its inner future".into())?;
        match finish(future)? {
            Ok(response) if response.status().is_success() => {}
            _ => return Err("a clone's request was not answered".into()),
        }
    }
    Ok(())
}

/// Clones of the layer, of the service, and services layered anew, have the one state. `observe` reads it off a layer:
/// a request in flight must show in it, and show alike wherever it is read.
pub(crate) fn state_is_shared<L, T>(layer: &L, observe: impl Fn(&L) -> T) -> Verdict
where
    L: Layered + Clone,
    L::Outer: Clone,
    T: PartialEq + std::fmt::Debug,
{
    let watch = Arc::new(Watch::default());
    watch.pending_polls.store(1, Ordering::Relaxed);
    let twin = layer.clone();
    let idle = observe(layer);
    let service = layer.layer(Probe::new(&watch));
    let ways = [service.clone(), service, layer.layer(Probe::new(&watch)), twin.layer(Probe::new(&watch))];
    for (way, mut service) in ways.into_iter().enumerate() {
        let _ = poll_ready(&mut service);
        let mut future = Box::pin(service.call(request()));
        let _ = poll(future.as_mut());
        let (here, there) = (observe(layer), observe(&twin));
        ensure(here != idle, || format!("way {way}: a request in flight does not show, the state is {here:?}"))?;
        ensure(here == there, || format!("way {way}: the layer's state is {here:?}, its clone's {there:?}"))?;
        drop(future);
        let (here, there) = (observe(layer), observe(&twin));
        ensure(here == idle && there == idle, || format!("way {way}: {idle:?} became {here:?} and {there:?}"))?;
    }
    Ok(())
}

/// What passes through allocates no more than the layer says, once it is warm: beside an answer's content-type alone,
/// and beside two fields more, since a layer that adds fields may have to make room for the handler's.
pub(crate) fn allocations_are_bounded<L: Layered>(layer: &L, allowed: [u64; 2]) -> Verdict {
    for (short_head, allowed) in [true, false].into_iter().zip(allowed) {
        let each = allocations(layer, short_head)?;
        let beside = if short_head { "one field" } else { "three fields" };
        ensure(each <= allowed, || format!("{each} allocations beside {beside}, {allowed} are allowed"))?;
    }
    Ok(())
}

/// How often the layer allocates for a request, rounded up.
fn allocations<L: Layered>(layer: &L, short_head: bool) -> Result<u64, String> {
    const CALLS: u64 = 100;
    let watch = Arc::new(Watch::default());
    watch.short_head.store(short_head, Ordering::Relaxed);
    let mut bare = Probe::<()>::new(&watch);
    let mut layered = layer.layer(Probe::new(&watch));
    answer(&mut layered)?;
    let count = |run: &mut dyn FnMut(Request<NoBody>)| {
        let mut requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
        allocation_counter::measure(|| {
            while let Some(request) = requests.pop() {
                run(request);
            }
        })
        .count_total
    };
    let without = count(&mut |request| {
        let _ = poll_ready(&mut bare);
        let _ = poll(pin!(bare.call(request)));
    });
    let with = count(&mut |request| {
        let _ = poll_ready(&mut layered);
        let _ = poll(pin!(layered.call(request)));
    });
    Ok(with.saturating_sub(without).div_ceil(CALLS))
}

/// Layers are `Clone + Debug + Send + Sync + 'static`; services and futures as free as their inner ones.
pub(crate) fn auto_traits<L>(_: &L)
where
    L: Layered + Clone + std::fmt::Debug + Send + Sync + 'static,
    L::Outer: Clone + Send + Sync + 'static,
    <L::Outer as Service<Request<NoBody>>>::Future: Send + 'static,
{
}

/// An inner service that is neither `Send`, `Sync`, `Clone` nor `'static`, whose future and body must stay pinned, can
/// be layered too, for requests with a body of the same kind. `owner` keeps the lifetime from being `'static`.
pub(crate) fn asks_for_nothing<'a, L>(layer: &L, owner: &'a Rc<()>) -> Verdict
where
    L: Layered<Unfree<'a>, Unfree<'a>>,
{
    let watch = Arc::new(Watch::default());
    let mut service = layer.layer(Probe::<Unfree<'a>>::new(&watch));
    let ready = service.poll_ready(&mut Context::from_waker(Waker::noop()));
    ensure(matches!(ready, Poll::Ready(Ok(()))), || format!("not ready: {ready:?}"))?;
    finish(service.call(Request::new(Unfree::new(owner))))?.map(drop).map_err(|error| error.to_string())
}
