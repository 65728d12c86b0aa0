//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::super::attempt::Attempt;
use super::super::body::ReplayBody;
use super::super::policy::Core;
use super::body::PeekedBody;
use super::future::PeekFuture;
use crate::spine::request::{Protocol, RequestView};

/// A service whose answers are looked into, if they are gRPC's and another try may take their place.
#[derive(Debug, Clone)]
pub(in super::super) struct Peek<S> {
    pub(in super::super) inner: S,
    pub(in super::super) core: Arc<Core>,
}

impl<S, B, R> Service<Request<ReplayBody<B>>> for Peek<S>
where
    S: Service<Request<ReplayBody<B>>, Response = Response<R>>,
    R: Body<Data = Bytes>,
{
    type Response = Response<PeekedBody<R>>;
    type Error = S::Error;
    type Future = PeekFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReplayBody<B>>) -> Self::Future {
        let core = may_look(&self.core, &request).then(|| Arc::clone(&self.core));
        PeekFuture::new(self.inner.call(request), core)
    }
}

fn may_look<B>(core: &Core, request: &Request<ReplayBody<B>>) -> bool {
    Protocol::of_headers(request.headers()) == Protocol::Grpc
        && Attempt::of(RequestView::of(request)).get() < core.bounds.attempts
        && request.body().can_replay()
}
