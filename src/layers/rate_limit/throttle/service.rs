//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use tower_service::Service;

use super::super::admission::Admission;
use super::super::future::{ResponseFuture, address};
use super::super::layer::Core;
use super::super::limiter::{Grant, Outcome};
use super::super::refusal::Refusal;
use super::super::service::{decide, pass_on};
use super::future::{ThrottleFuture, Wait};
use crate::spine::body::ResponseBody;
use crate::spine::event::{self, Origin, PolicyEvent};
use crate::spine::request::{RequestFacts, RequestView};

/// The service of [`ThrottleLayer`](super::ThrottleLayer).
#[derive(Debug, Clone)]
pub struct ThrottleService<S> {
    inner: S,
    core: Arc<Core>,
}

impl<S> ThrottleService<S> {
    pub(super) const fn new(inner: S, core: Arc<Core>) -> Self {
        Self { inner, core }
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for ThrottleService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + Clone,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ThrottleFuture<S, Request<ReqB>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let core = &self.core;
        let refused = |refusal, request: &Request<ReqB>| {
            let facts = RequestFacts::of(RequestView::of(request));
            ThrottleFuture::running(ResponseFuture::refused(core, refusal, facts))
        };
        let grant = match decide(core, RequestView::of(&request)) {
            Outcome::Uncounted => Grant::default(),
            Outcome::Admitted(grant) => grant,
            Outcome::Refused(refusal) => return refused(refusal, &request),
        };
        let wait_nanos = grant.wait_nanos;
        let admission = Admission::new(core, grant);
        if wait_nanos == 0 {
            return ThrottleFuture::running(pass_on(&mut self.inner, request, admission, address(core)));
        }
        // The service that is ready stays for the next request. This one asks a clone when its time has come: whoever
        // waits must not hold what readiness may stand for.
        // A request that waits holds its charges.
        let Some(admission) = admission else {
            return refused(Box::new(Refusal::no_room_to_wait(wait_nanos, &[], None)), &request);
        };
        let names: Vec<_> = admission.paced_by().cloned().collect();
        let Some(wait) = wait(core, wait_nanos) else {
            let refusal = Refusal::no_room_to_wait(wait_nanos, &names, admission.give_up());
            return refused(Box::new(refusal), &request);
        };
        names.iter().for_each(|name| core.report(PolicyEvent::Paced, name));
        ThrottleFuture::waiting(wait, self.inner.clone(), request, admission)
    }
}

fn wait(core: &Arc<Core>, wait_nanos: u64) -> Option<Wait> {
    let place = Wait::place(core)?;
    let Some(sleep) = core.clock.sleep(Duration::from_nanos(wait_nanos)) else {
        const MEND: &str = "a request cannot wait outside of a tokio runtime, and is refused; \
             run the service on one, or take `max_wait` away";
        event::fault_once(&core.said.no_timer, Origin::RateLimit, "no_timer", MEND);
        return None;
    };
    Some(place.until(sleep))
}
