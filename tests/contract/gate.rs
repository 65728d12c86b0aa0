//! A layer that refuses, built on the public spine alone: what the contract is tried on, and how one writes a layer.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service};
use tower_rampart::problem::{Problem, ProblemKind};
use tower_rampart::{Origin, Refuser, Rejection, RequestFacts, RequestView, ResponseBody};

/// Lets so many requests in at once and refuses the rest.
#[derive(Debug, Clone)]
pub(crate) struct GateLayer {
    room: Arc<Room>,
    problem: Problem,
    refuser: Refuser,
}

#[derive(Debug)]
struct Room(AtomicUsize);

/// Gives its place back when it is dropped, whenever that is.
#[derive(Debug)]
struct Place(Arc<Room>);

impl Room {
    fn enter(self: &Arc<Self>) -> Option<Place> {
        let entered = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |places| places.checked_sub(1)).is_ok();
        entered.then(|| Place(Arc::clone(self)))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::AcqRel);
    }
}

impl GateLayer {
    pub(crate) fn with_places(places: usize) -> Self {
        let problem = Problem::new(ProblemKind::QuotaExceeded).with_detail("The gate is closed.");
        Self { room: Arc::new(Room(AtomicUsize::new(places))), problem, refuser: Refuser::new() }
    }

    /// Few places, so that one that leaks is missed soon.
    pub(crate) fn open() -> Self {
        Self::with_places(4)
    }

    pub(crate) fn closed(problem: Problem) -> Self {
        Self { problem, ..Self::with_places(0) }
    }

    pub(crate) fn free_places(&self) -> usize {
        self.room.0.load(Ordering::Acquire)
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate { inner, layer: self.clone() }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Gate<S> {
    inner: S,
    layer: GateLayer,
}

impl<S, ReqB, ResB> Service<Request<ReqB>> for Gate<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = GateFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let state = match self.layer.room.enter() {
            Some(place) => State::Inside { inner: self.inner.call(request), place: Some(place) },
            None => State::Refused {
                facts: RequestFacts::of(RequestView::of(&request)),
                problem: self.layer.problem.clone(),
                refuser: self.layer.refuser.clone(),
            },
        };
        GateFuture { state }
    }
}

pin_project! {
    pub(crate) struct GateFuture<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<F> {
        Inside { #[pin] inner: F, place: Option<Place> },
        Refused { facts: RequestFacts, problem: Problem, refuser: Refuser },
    }
}

impl<F, B, E> Future for GateFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project().state.project() {
            StateProjection::Inside { inner, place } => {
                let result = ready!(inner.poll(cx));
                drop(place.take());
                result.map(|response| response.map(ResponseBody::inner))
            }
            StateProjection::Refused { facts, problem, refuser } => {
                let rejection = Rejection::new(Origin::Custom("gate"), problem.clone());
                Ok(refuser.refuse(rejection.with_retry_after(Duration::from_secs(2)), facts))
            }
        })
    }
}
