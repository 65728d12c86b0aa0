//! The service.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::body::Held;
use super::future::{ResponseFuture, Wait};
use super::layer::Core;
use super::places::{Permit, Places};
use super::refusal::Reason;
use crate::spine::body::ResponseBody;
use crate::spine::bounds::{BytesBody, CloneService};
use crate::spine::event::{self, Label, Origin, PressureEvent};
use crate::spine::form::{AsResponse, Form};
use crate::spine::holdup::Holdup;
use crate::spine::key::{KeyWriter, MissingKey};
use crate::spine::outcome::ObservedBody;
use crate::spine::request::RequestView;

/// The service of [`BulkheadLayer`](super::BulkheadLayer).
pub struct BulkheadService<S, F = AsResponse> {
    inner: S,
    core: Option<Arc<Core>>,
    places: Arc<Places>,
    form: PhantomData<F>,
}

impl<S, F> BulkheadService<S, F> {
    pub(super) const fn new(inner: S, core: Option<Arc<Core>>, places: Arc<Places>) -> Self {
        Self { inner, core, places, form: PhantomData }
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

impl<S, F, ReqB, ResB> Service<Request<ReqB>> for BulkheadService<S, F>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + CloneService,
    F: Form,
    ResB: BytesBody,
{
    type Response = Response<ResponseBody<ObservedBody<ResB, Held>>>;
    type Error = F::Error<S::Error>;
    type Future = ResponseFuture<S, Request<ReqB>, F>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // A place is taken when there is a request: a clone that is ready may never be called.
        self.inner.poll_ready(cx).map_err(F::pass)
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let Some(core) = &self.core else { return ResponseFuture::running(self.inner.call(request), None) };
        let key = key_of(core, &self.places, RequestView::of(&request));
        match Permit::new(&self.places, key, !core.max_wait.is_zero()) {
            Ok(permit) if permit.is_inside() => ResponseFuture::running(self.inner.call(request), Some(permit)),
            Ok(permit) => match core.clock.sleep(core.max_wait) {
                Some(sleep) => {
                    event::pressure(PressureEvent::Waited, Label::Named(&core.name));
                    let wait = Wait::new(Arc::clone(core), permit, sleep, Holdup::of(RequestView::of(&request)));
                    // The service that is ready stays for the next request; a clone is asked when there is a place.
                    // Whoever waits must not hold what readiness may stand for.
                    ResponseFuture::waiting(wait, self.inner.clone(), request)
                }
                None => {
                    const MEND: &str = "a request cannot wait for a place outside of a tokio runtime, and is refused; \
                         run the service on one, or take the queue away";
                    event::fault_once(&core.said_no_timer, Origin::Bulkhead, "no_timer", MEND);
                    self.refuse(core, Reason::CannotWait, RequestView::of(&request))
                }
            },
            Err(full) => self.refuse(core, full.into(), RequestView::of(&request)),
        }
    }
}

impl<S, F> BulkheadService<S, F> {
    fn refuse<R>(&self, core: &Core, reason: Reason, request: RequestView<'_>) -> ResponseFuture<S, R, F>
    where
        S: Service<R>,
        F: Form,
    {
        self.places.refused.fetch_add(1, Ordering::Relaxed);
        ResponseFuture::refused(F::refuse(&core.refuser, reason.rejection(core.retry_after), request))
    }
}

/// The key's hash; `None` where keys are not told apart.
fn key_of(core: &Core, places: &Places, request: RequestView<'_>) -> Option<u64> {
    let extractor = core.key.as_ref()?;
    let key = places.tag(|hasher| extractor.extract(request, &mut KeyWriter::new(hasher)));
    Some(key.unwrap_or_else(|missing| {
        report_missing(core, &missing);
        super::level::EVERYBODY
    }))
}

#[cold]
fn report_missing(core: &Core, missing: &MissingKey) {
    let mend = || format!("{missing}; until then such requests share one compartment");
    event::fault_once_with(&core.said_missing, Origin::Bulkhead, "key_missing", mend);
}

impl<S: Clone, F> Clone for BulkheadService<S, F> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.core.clone(), Arc::clone(&self.places))
    }
}

impl<S: fmt::Debug, F> fmt::Debug for BulkheadService<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadService")
            .field("inner", &self.inner)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}
