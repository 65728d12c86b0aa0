//! A layer for each rule that breaks it: the checks must find them all.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

use crate::checks::{self, Verdict};
use crate::probe::{ProbeError, Torn};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    CallsAFreshClone,
    HidesReadiness,
    ReservesWhenReady,
    LeaksWhenDropped,
    ReplacesTheError,
    SwallowsTrailers,
    ForgetsTheSizeHint,
    EndsEarly,
}

#[derive(Debug, Clone)]
struct BrokenLayer {
    fault: Fault,
    places: Arc<AtomicUsize>,
}

fn broken(fault: Fault) -> BrokenLayer {
    BrokenLayer { fault, places: Arc::new(AtomicUsize::new(10)) }
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

impl<S, B> Service<Request<()>> for Broken<S>
where
    S: Service<Request<()>, Response = Response<B>, Error = ProbeError> + Clone,
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

    fn call(&mut self, request: Request<()>) -> Self::Future {
        let future = match self.layer.fault {
            Fault::CallsAFreshClone => self.inner.clone().call(request),
            _ => self.inner.call(request),
        };
        BrokenFuture { inner: Some(Box::pin(future)), fault: self.layer.fault }
    }
}

struct BrokenFuture<F> {
    inner: Option<Pin<Box<F>>>,
    fault: Fault,
}

impl<F, B> Future for BrokenFuture<F>
where
    F: Future<Output = Result<Response<B>, ProbeError>>,
{
    type Output = Result<Response<BrokenBody<B>>, ProbeError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let fault = self.fault;
        let result = std::task::ready!(self.inner.as_mut().unwrap().as_mut().poll(cx));
        Poll::Ready(match result {
            Ok(response) => Ok(response.map(|inner| BrokenBody { inner, fault })),
            Err(_) if fault == Fault::ReplacesTheError => Err(ProbeError(0)),
            Err(error) => Err(error),
        })
    }
}

impl<F> Drop for BrokenFuture<F> {
    fn drop(&mut self) {
        if self.fault == Fault::LeaksWhenDropped {
            std::mem::forget(self.inner.take());
        }
    }
}

#[derive(Debug)]
struct BrokenBody<B> {
    inner: B,
    fault: Fault,
}

impl<B: Body<Data = Bytes, Error = Torn> + Unpin> Body for BrokenBody<B> {
    type Data = Bytes;
    type Error = Torn;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Torn>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(cx));
        match frame {
            Some(Ok(frame)) if frame.is_trailers() && self.fault == Fault::SwallowsTrailers => Poll::Ready(None),
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

fn verdicts(fault: Fault) -> [(&'static str, Verdict); 8] {
    [
        ("readied", checks::readied_instance_is_called(&broken(fault))),
        ("readiness", checks::readiness_passes_through(&broken(fault))),
        ("reserved", checks::nothing_is_reserved(&broken(fault))),
        ("dropping", checks::dropping_releases_all(&broken(fault))),
        ("error", checks::error_is_unchanged(&broken(fault))),
        ("body", checks::body_streams_through(&broken(fault))),
        ("clones", checks::clones_work_side_by_side(&broken(fault))),
        ("allocations", checks::allocations_are_bounded(&broken(fault), 0)),
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
        (Fault::ReservesWhenReady, "reserved"),
        (Fault::LeaksWhenDropped, "dropping"),
        (Fault::ReplacesTheError, "error"),
        (Fault::SwallowsTrailers, "body"),
        (Fault::ForgetsTheSizeHint, "body"),
        (Fault::EndsEarly, "body"),
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
