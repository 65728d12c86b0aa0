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
use super::super::service::{decide, pass_on, warn_of_nesting};
use super::super::shared::{self, Step};
use super::future::{Asking, ThrottleFuture, Wait};
use crate::spine::body::ResponseBody;
use crate::spine::bounds::CloneService;
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
    S: Service<Request<ReqB>, Response = Response<ResB>> + CloneService,
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
        let outcome = match begin(core, RequestView::of(&request)) {
            Step::Done(outcome) => outcome,
            Step::Ask(pending) => {
                let facts = RequestFacts::of(RequestView::of(&request));
                let asking = Asking::new(shared::ask(Arc::clone(core), pending), Arc::clone(core), facts);
                // The service that is ready stays for the next request, as for one that waits for its turn.
                return ThrottleFuture::asking(asking, self.inner.clone(), request);
            }
        };
        match admit(core, outcome) {
            Ok((admission, None)) => {
                ThrottleFuture::running(pass_on(&mut self.inner, request, admission, address(core)))
            }
            // The service that is ready stays for the next request. This one asks a clone when its time has come:
            // whoever waits must not hold what readiness may stand for.
            Ok((admission, Some(wait))) => ThrottleFuture::waiting(wait, self.inner.clone(), request, admission, core),
            Err(refusal) => refused(refusal, &request),
        }
    }
}

/// Decides about a request, as far as that takes no waiting.
fn begin(core: &Arc<Core>, request: RequestView<'_>) -> Step {
    match &core.shared {
        None => Step::Done(decide(core, request)),
        Some(counts) => {
            warn_of_nesting(core);
            shared::begin(core, counts, request)
        }
    }
}

/// What a request holds that was decided about, and how long it waits for its turn.
pub(super) fn admit(core: &Arc<Core>, outcome: Outcome) -> Result<(Option<Admission>, Option<Wait>), Box<Refusal>> {
    let grant = match outcome {
        Outcome::Uncounted => Grant::default(),
        Outcome::Admitted(grant) => grant,
        Outcome::Refused(refusal) => return Err(refusal),
    };
    let wait_nanos = grant.wait_nanos;
    let admission = Admission::new(core, grant);
    if wait_nanos == 0 {
        return Ok((admission, None));
    }
    // A request that waits holds its charges.
    let Some(admission) = admission else {
        return Err(Box::new(Refusal::no_room_to_wait(wait_nanos, &[], None)));
    };
    let names: Vec<_> = admission.paced_by().cloned().collect();
    let Some(wait) = wait(core, wait_nanos) else {
        return Err(Box::new(Refusal::no_room_to_wait(wait_nanos, &names, admission.give_up())));
    };
    names.iter().for_each(|name| core.report(PolicyEvent::Paced, name));
    Ok((Some(admission), Some(wait)))
}

fn wait(core: &Arc<Core>, wait_nanos: u64) -> Option<Wait> {
    let slot = core.waiting.take()?;
    let Some(sleep) = core.clock.sleep(Duration::from_nanos(wait_nanos)) else {
        const MEND: &str = "a request cannot wait outside of a tokio runtime, and is refused; \
             run the service on one, or take `max_wait` away";
        event::fault_once(&core.said.no_timer, Origin::RateLimit, "no_timer", MEND);
        return None;
    };
    Some(Wait::new(sleep, slot))
}
