//! The service.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::body::InFlight;
use super::future::ResponseFuture;
use super::layer::Core;
use super::state::State;
use crate::spine::body::ResponseBody;
use crate::spine::bounds::BytesBody;
use crate::spine::event::{self, Label, Origin, PressureEvent};
use crate::spine::form::{AsResponse, Form};
use crate::spine::outcome::ObservedBody;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestView;

/// The service of [`LoadShedLayer`](super::LoadShedLayer).
pub struct LoadShedService<S, F = AsResponse> {
    inner: S,
    core: Option<Arc<Core>>,
    state: Arc<State>,
    form: PhantomData<F>,
}

impl<S, F> LoadShedService<S, F> {
    pub(super) const fn new(inner: S, core: Option<Arc<Core>>, state: Arc<State>) -> Self {
        Self { inner, core, state, form: PhantomData }
    }

    /// The inner service.
    pub const fn get_ref(&self) -> &S {
        &self.inner
    }

    /// The inner service, to be changed.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.inner
    }

    /// The inner service, alone.
    pub fn into_inner(self) -> S {
        self.inner
    }
}

impl<S, F, ReqB, ResB> Service<Request<ReqB>> for LoadShedService<S, F>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    F: Form,
    ResB: BytesBody,
{
    type Response = Response<ResponseBody<ObservedBody<ResB, InFlight>>>;
    type Error = F::Error<S::Error>;
    type Future = ResponseFuture<S::Future, InFlight, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(F::pass)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let view = RequestView::of(&request);
        let Some(core) = self.core.as_ref().filter(|core| !core.spares(view)) else {
            return ResponseFuture::running(self.inner.call(request), None);
        };
        let criticality = core.criticality(view);
        let entered = self.state.enter(criticality).or_else(|| {
            let (from, to) = self.state.end_measurement(|| core.clock.now())?;
            event::limit_moved(from, to);
            self.state.enter(criticality)
        });
        match entered {
            Some(in_flight) => {
                let ticket = InFlight::new(core, &self.state, in_flight);
                ResponseFuture::running(self.inner.call(request), Some(ticket))
            }
            None => {
                self.state.count_shed(criticality);
                event::pressure(PressureEvent::Shed, Label::Fixed(criticality.name()));
                ResponseFuture::refused(F::refuse(&core.refuser, rejection(core), view))
            }
        }
    }
}

fn rejection(core: &Core) -> Rejection {
    let problem = Problem::new(ProblemKind::Unavailable).with_detail("The service is overloaded.");
    Rejection::new(Origin::LoadShed, problem).with_retry_after(core.retry_after)
}

impl<S: Clone, F> Clone for LoadShedService<S, F> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.core.clone(), Arc::clone(&self.state))
    }
}

impl<S: fmt::Debug, F> fmt::Debug for LoadShedService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShedService")
            .field("inner", &self.inner)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
