//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body::Body;
use tower_service::Service;

use super::core::{Core, Ready, Step};
use super::fetch::{self, Leading, Running, fetch};
use super::flight::{Role, Terms};
use super::future::ResponseFuture;
use super::storable::Asked;
use super::write::write;
use crate::spine::body::ResponseBody;
use crate::spine::bounds::{BytesBody, CloneService};
use crate::spine::event::Origin;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::{RequestFacts, RequestView};
use crate::spine::shared::SharedBody;
use crate::wiring;

/// The service of [`CacheLayer`](super::CacheLayer).
#[derive(Debug, Clone)]
pub struct CacheService<S> {
    inner: S,
    core: Option<Arc<Core>>,
}

/// What the service answers with.
pub(super) type Answer<B> = Response<ResponseBody<SharedBody<B>>>;

impl<S> CacheService<S> {
    pub(super) const fn new(inner: S, core: Option<Arc<Core>>) -> Self {
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for CacheService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + CloneService + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send,
    ReqB: Send + 'static,
    ResB: BytesBody + Send + 'static,
    ResB::Error: Send + 'static,
{
    type Response = Answer<ResB>;
    type Error = S::Error;
    type Future = ResponseFuture<S, Request<ReqB>, ResB>;

    /// Always ready: a hit needs nothing of the inner service, which is asked when it is needed.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<ReqB>) -> Self::Future {
        let Some(core) = &self.core else { return ResponseFuture::passing(self.inner.clone(), request, None) };
        match core.receive(RequestView::of(&request)) {
            Step::Serve(ready) => ResponseFuture::answered(respond(ready)),
            Step::Pass(why) => {
                let told = why.map(|why| (Arc::clone(core), why));
                ResponseFuture::passing(self.inner.clone(), request, told)
            }
            Step::Fetch(asked) => ResponseFuture::slow(fetch(Arc::clone(core), self.inner.clone(), request, *asked)),
            Step::Write(asked) => ResponseFuture::slow(write(Arc::clone(core), self.inner.clone(), request, *asked)),
            Step::Refresh(ready, asked) => self.refresh(core, ready, *asked, request),
            Step::Unavailable => ResponseFuture::answered(unavailable(core, &request)),
        }
    }
}

impl<S> CacheService<S> {
    /// Answers with what is stale, and has somebody ask the origin.
    fn refresh<ReqB, ResB>(
        &self,
        core: &Arc<Core>,
        ready: Ready,
        asked: Asked,
        request: Request<ReqB>,
    ) -> ResponseFuture<S, Request<ReqB>, ResB>
    where
        S: Service<Request<ReqB>, Response = Response<ResB>> + Clone + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Send,
        ReqB: Send + 'static,
        ResB: Body<Data = Bytes> + Send + 'static,
        ResB::Error: Send + 'static,
    {
        // Without the caller's credentials the origin would say something else, and nobody lends them out.
        // And a refresh is a GET: what stands under a QUERY's content is not what that gets.
        let is_query = !matches!(asked.method, Method::GET | Method::HEAD);
        if asked.is_authorized || is_query || !wiring::can_spawn() {
            return ResponseFuture::slow(fetch(Arc::clone(core), self.inner.clone(), request, asked));
        }
        let terms =
            Terms { now: core.clock.now(), patience: core.settings.wait, not_before: 0, number: core.purges.begin() };
        if let Role::Leader(lead) = core.flights.join(&asked.shared_key, terms, |_| true)
            && let Some(running) = Running::begin(core)
        {
            let task =
                fetch::refresh(Arc::clone(core), self.inner.clone(), request, asked, Leading::new(lead), running);
            wiring::detach(task);
        }
        ResponseFuture::answered(respond(ready))
    }
}

/// A stored response as a response.
pub(super) fn respond<B>(ready: Ready) -> Answer<B> {
    let Ready { head, body, trailers } = ready;
    let body = match trailers {
        None => ResponseBody::local(body),
        trailers => ResponseBody::inner(SharedBody::stored(body, trailers)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    response
}

/// RFC 9111 section 5.2.1.7.
fn unavailable<ReqB, ResB>(core: &Core, request: &Request<ReqB>) -> Answer<ResB> {
    refuse(core, &RequestFacts::of(RequestView::of(request)), "Nothing is stored for this request.")
}

/// 504: what is asked for may not be answered without the origin, and the origin is not to be had.
pub(super) fn refuse<B>(core: &Core, facts: &RequestFacts, detail: &'static str) -> Answer<B> {
    let problem = Problem::new(ProblemKind::DeadlineExceeded).with_detail(detail);
    core.refuser.refuse(Rejection::new(Origin::Cache, problem), facts)
}
