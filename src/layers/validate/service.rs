//! The service.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response, header};
use tower_service::Service;

use super::body::{CheckedBody, Watch};
use super::breach::Check;
use super::future::{Reading, ResponseFuture, Watched};
use super::inside::Inside;
use super::judge::Plan;
use super::layer::Shared;
#[cfg(feature = "json-schema")]
use super::parsed::ParsedJson;
#[cfg(feature = "json-schema")]
use super::route::Route;
use crate::spine::body::ResponseBody;
use crate::spine::bounds::{BytesBody, CloneService};
use crate::spine::request::{RequestFacts, RequestView};

/// The service of [`ValidateLayer`](super::ValidateLayer).
#[derive(Debug, Clone)]
pub struct ValidateService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> ValidateService<S> {
    pub(super) const fn new(inner: S, shared: Arc<Shared>) -> Self {
        Self { inner, shared }
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for ValidateService<S>
where
    S: Service<Request<CheckedBody<ReqB>>, Response = Response<ResB>> + CloneService,
    ReqB: BytesBody,
    ReqB::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    #[cfg_attr(not(feature = "json-schema"), allow(unused_mut, reason = "nothing is handed on"))]
    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        let shared = &self.shared;
        if shared.is_empty {
            return ResponseFuture::passed(self.inner.call(request.map(CheckedBody::passed)), None);
        }
        let view = RequestView::of(&request);
        let declared = view.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let has_body = !request.body().is_end_stream() && declared != Some(0);
        #[cfg_attr(not(feature = "json-schema"), allow(unused_variables, reason = "nothing is handed on"))]
        let (plan, route) = match shared.judge(view, has_body, declared) {
            Err(rejection) => {
                return ResponseFuture::refused(Arc::clone(shared), *rejection, RequestFacts::of(view));
            }
            Ok(judged) => judged,
        };
        #[cfg(feature = "openapi")]
        if let Some(described) = route.and_then(|route| route.described.as_ref()) {
            request.extensions_mut().insert(described.name.clone());
        }
        #[cfg(feature = "json-schema")]
        if route.is_some_and(Route::hands_on) && !matches!(plan, Plan::Read { .. }) {
            ParsedJson::hand_on_nothing(request.extensions_mut());
        }
        match plan {
            // It says that it is empty, and whoever believes that never looks at it.
            Plan::Pass if !request.body().is_end_stream() => self.watch(request, None, 0),
            Plan::Pass => ResponseFuture::passed(self.inner.call(request.map(CheckedBody::passed)), None),
            Plan::Watch { inside, max_bytes } => self.watch(request, inside, max_bytes),
            Plan::Read { wanted, max_bytes } => {
                // The readied service waits for the body; a clone takes its place, and has to be readied anew.
                let clone = self.inner.clone();
                let service = mem::replace(&mut self.inner, clone);
                ResponseFuture::reading(Reading::new(service, request, Arc::clone(shared), wanted, max_bytes))
            }
        }
    }
}

impl<S> ValidateService<S> {
    /// Calls the service with a body that is watched while it streams through.
    fn watch<ReqB>(
        &mut self,
        request: Request<ReqB>,
        inside: Option<Inside>,
        max_bytes: usize,
    ) -> ResponseFuture<S, ReqB>
    where
        S: Service<Request<CheckedBody<ReqB>>>,
    {
        let shared = &self.shared;
        let is_endless = inside.as_ref().is_some_and(Inside::is_endless);
        let check = if is_endless { Check::Grpc } else { Check::Multipart };
        let (end, seen) = shared.places.pair();
        let facts = RequestFacts::of(RequestView::of(&request));
        let watched = Watched { shared: Arc::clone(shared), facts, end: seen, max_bytes };
        let watch = Watch {
            left_bytes: max_bytes,
            inside,
            reports_inside: shared.is_reported(check),
            reports_length: shared.is_reported(Check::BodyBytes),
            since: shared.clock.now(),
            timeout: if is_endless { Duration::MAX } else { shared.limits.body_timeout },
            reports_time: shared.is_reported(Check::BodyTimeout),
            clock: shared.clock.clone(),
            sleep: None,
            is_cut: false,
            end,
        };
        let request = request.map(|body| CheckedBody::watched(body, watch));
        ResponseFuture::passed(self.inner.call(request), Some(watched))
    }
}
