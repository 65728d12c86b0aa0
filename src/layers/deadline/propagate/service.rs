//! The service.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::layer::Core;
use crate::spine::body::ResponseBody;
use crate::spine::clock::Clock;
use crate::spine::deadline::Deadline;
use crate::spine::event::Origin;
use crate::spine::gate::ResponseFuture;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::{Protocol, RequestFacts, RequestView};

/// The service of [`PropagateDeadlineLayer`](super::PropagateDeadlineLayer).
#[derive(Clone)]
pub struct PropagateDeadlineService<S> {
    inner: S,
    core: Arc<Core>,
    clock: Clock,
}

impl<S> PropagateDeadlineService<S> {
    pub(super) const fn new(inner: S, core: Arc<Core>, clock: Clock) -> Self {
        Self { inner, core, clock }
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for PropagateDeadlineService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let core = &self.core;
        if let Some(deadline) = Deadline::of(RequestView::of(&request)) {
            let left = deadline.left(self.clock.now());
            // What is told to nobody still ends the call where it is over.
            let is_told = core.is_for_all
                || request.headers().contains_key(core.field.name())
                || Protocol::of_headers(request.headers()) == Protocol::Grpc;
            let value = if is_told { core.field.write(left) } else { None };
            if left.is_zero() || (is_told && value.is_none()) {
                let rejection = Rejection::new(Origin::Deadline, Problem::new(ProblemKind::DeadlineExceeded));
                let facts = RequestFacts::of(RequestView::of(&request));
                return ResponseFuture::refused(core.refuser.clone(), rejection, facts);
            }
            if let Some(value) = value {
                request.headers_mut().insert(core.field.name().clone(), value);
            }
        }
        ResponseFuture::passed(self.inner.call(request))
    }
}

impl<S: fmt::Debug> fmt::Debug for PropagateDeadlineService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropagateDeadlineService").field("inner", &self.inner).finish_non_exhaustive()
    }
}
