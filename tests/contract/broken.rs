//! A layer for each rule that breaks it: the checks must find them all.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

use crate::checks::{self, NoBody, Verdict};
use crate::probe::{ProbeError, Torn};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    CallsAFreshClone,
    HidesReadiness,
    LosesTheWaker,
    ReservesWhenReady,
    LeaksWhenDropped,
    KeepsItsPlaceWhenDropped,
    ReplacesTheError,
    ReplacesTheBodysError,
    SwallowsTrailers,
    ForgetsTheSizeHint,
    EndsEarly,
    LetsOneInAtATime,
    ClonesStartAfresh,
}

#[derive(Debug)]
struct BrokenLayer {
    fault: Fault,
    places: Arc<AtomicUsize>,
}

fn broken(fault: Fault) -> BrokenLayer {
    let places = if fault == Fault::LetsOneInAtATime { 1 } else { 10 };
    BrokenLayer { fault, places: Arc::new(AtomicUsize::new(places)) }
}

impl BrokenLayer {
    fn free_places(&self) -> usize {
        self.places.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Option<Place> {
        let entered = self.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |places| places.checked_sub(1));
        entered.ok().map(|_| Place { places: Arc::clone(&self.places), kept: false })
    }
}

impl Clone for BrokenLayer {
    fn clone(&self) -> Self {
        let places = match self.fault {
            Fault::ClonesStartAfresh => Arc::new(AtomicUsize::new(self.free_places())),
            _ => Arc::clone(&self.places),
        };
        Self { fault: self.fault, places }
    }
}

/// Given back when it is dropped, unless it is kept.
#[derive(Debug)]
struct Place {
    places: Arc<AtomicUsize>,
    kept: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        if !self.kept {
            self.places.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl<S> Layer<S> for BrokenLayer {
    type Service = Broken<S>;

    fn layer(&self, inner: S) -> Broken<S> {
        Broken { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
struct Broken<S> {
    inner: S,
    layer: BrokenLayer,
}

impl<S, B> Service<Request<NoBody>> for Broken<S>
where
    S: Service<Request<NoBody>, Response = Response<B>, Error = ProbeError> + Clone,
    S::Future: 'static,
{
    type Response = Response<BrokenBody<B>>;
    type Error = ProbeError;
    type Future = BrokenFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ProbeError>> {
        match self.layer.fault {
            Fault::HidesReadiness => Poll::Ready(Ok(())),
            Fault::ReservesWhenReady if self.layer.places.fetch_sub(1, Ordering::Relaxed) == 0 => {
                self.layer.places.store(0, Ordering::Relaxed);
                Poll::Pending
            }
            _ => self.inner.poll_ready(cx),
        }
    }

    fn call(&mut self, request: Request<NoBody>) -> Self::Future {
        let future = match self.layer.fault {
            Fault::CallsAFreshClone => self.inner.clone().call(request),
            _ => self.inner.call(request),
        };
        BrokenFuture { inner: Some(Box::pin(future)), place: self.layer.enter(), fault: self.layer.fault }
    }
}

/// Waits for ever when there was no place for it.
struct BrokenFuture<F> {
    inner: Option<Pin<Box<F>>>,
    place: Option<Place>,
    fault: Fault,
}

impl<F, B> Future for BrokenFuture<F>
where
    F: Future<Output = Result<Response<B>, ProbeError>>,
{
    type Output = Result<Response<BrokenBody<B>>, ProbeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let fault = self.fault;
        if self.place.is_none() {
            return Poll::Pending;
        }
        let inner = self.inner.as_mut().unwrap().as_mut();
        let result = std::task::ready!(match fault {
            Fault::LosesTheWaker => inner.poll(&mut Context::from_waker(Waker::noop())),
            _ => inner.poll(cx),
        });
        // Ended, so that no fault of dropping it early is left.
        self.inner = None;
        Poll::Ready(match result {
            Ok(response) => Ok(response.map(|inner| BrokenBody { inner: Box::pin(inner), fault })),
            Err(_) if fault == Fault::ReplacesTheError => Err(ProbeError(0)),
            Err(error) => Err(error),
        })
    }
}

impl<F> Drop for BrokenFuture<F> {
    fn drop(&mut self) {
        match self.fault {
            Fault::LeaksWhenDropped => std::mem::forget(self.inner.take()),
            Fault::KeepsItsPlaceWhenDropped if self.inner.is_some() => {
                self.place.iter_mut().for_each(|place| place.kept = true);
            }
            _ => {}
        }
    }
}

#[derive(Debug)]
struct BrokenBody<B> {
    inner: Pin<Box<B>>,
    fault: Fault,
}

impl<B: Body<Data = Bytes, Error = Torn>> Body for BrokenBody<B> {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        let frame = std::task::ready!(self.inner.as_mut().poll_frame(cx));
        match frame {
            Some(Ok(frame)) if frame.is_trailers() && self.fault == Fault::SwallowsTrailers => Poll::Ready(None),
            Some(Err(_)) if self.fault == Fault::ReplacesTheBodysError => Poll::Ready(Some(Err(Torn(0)))),
            frame => Poll::Ready(frame),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.fault == Fault::EndsEarly || self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.fault == Fault::ForgetsTheSizeHint { SizeHint::default() } else { self.inner.size_hint() }
    }
}

fn verdicts(fault: Fault) -> [(&'static str, Verdict); 10] {
    [
        ("readied", checks::readied_instance_is_called(&broken(fault))),
        ("readiness", checks::readiness_passes_through(&broken(fault))),
        ("waker", checks::the_waker_passes_through(&broken(fault))),
        ("reserved", checks::nothing_is_reserved(&broken(fault))),
        ("dropping", checks::dropping_releases_all(&broken(fault))),
        ("error", checks::error_is_unchanged(&broken(fault))),
        ("body", checks::body_streams_through(&broken(fault))),
        ("clones", checks::clones_work_side_by_side(&broken(fault))),
        ("state", checks::state_is_shared(&broken(fault), BrokenLayer::free_places)),
        ("allocations", checks::allocations_are_bounded(&broken(fault), [0, 0])),
    ]
}

fn assert_found_by(fault: Fault, check: &str) {
    let verdicts = verdicts(fault);
    let (_, verdict) = verdicts.iter().find(|(name, _)| *name == check).unwrap();
    assert!(verdict.is_err(), "{fault:?} slips by `{check}`");
}

#[test]
fn each_fault_is_found_by_its_check() {
    for (fault, check) in [
        (Fault::CallsAFreshClone, "readied"),
        (Fault::HidesReadiness, "readiness"),
        (Fault::LosesTheWaker, "waker"),
        (Fault::ReservesWhenReady, "reserved"),
        (Fault::LeaksWhenDropped, "dropping"),
        (Fault::KeepsItsPlaceWhenDropped, "dropping"),
        (Fault::ReplacesTheError, "error"),
        (Fault::ReplacesTheBodysError, "body"),
        (Fault::SwallowsTrailers, "body"),
        (Fault::ForgetsTheSizeHint, "body"),
        (Fault::EndsEarly, "body"),
        (Fault::LetsOneInAtATime, "clones"),
        (Fault::ClonesStartAfresh, "state"),
        (Fault::None, "allocations"),
    ] {
        assert_found_by(fault, check);
    }
}

#[test]
fn a_sound_layer_passes_all_but_the_allocation_of_its_box() {
    for (check, verdict) in verdicts(Fault::None) {
        assert_eq!(verdict.is_err(), check == "allocations", "{check}: {verdict:?}");
    }
}

/// The reference layer's places are what leaks would eat up.
#[test]
fn a_place_that_is_not_given_back_is_missed() {
    let gate = crate::gate::GateLayer::open();
    checks::dropping_releases_all(&gate).unwrap();
    assert_eq!(gate.free_places(), 4);
    let narrow = crate::gate::GateLayer::with_places(0);
    assert!(checks::dropping_releases_all(&narrow).is_err());
}
