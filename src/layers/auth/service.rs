//! The service.

use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::future::{ResponseFuture, Waiting};
use super::judge::{Judgement, cannot_judge_now};
use super::layer::Auth;
use super::task::settle;
use crate::spine::body::ResponseBody;
use crate::spine::bounds::CloneService;
use crate::spine::identity::Identity;
use crate::spine::rejection::Rejection;
use crate::spine::request::{RequestFacts, RequestView};

/// The service of [`AuthLayer`](super::AuthLayer).
#[derive(Debug, Clone)]
pub struct AuthService<S> {
    inner: S,
    auth: Arc<Auth>,
}

impl<S> AuthService<S> {
    pub(super) const fn new(inner: S, auth: Arc<Auth>) -> Self {
        Self { inner, auth }
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for AuthService<S>
where
    S: Service<Request<ReqB>, Response = Response<ResB>> + CloneService,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S, ReqB>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        if self.auth.is_empty() {
            return ResponseFuture::passed(self.inner.call(request), false);
        }
        let view = RequestView::of(&request);
        if let Some(answer) = self.auth.resource.as_ref().and_then(|resource| resource.answer(view)) {
            return ResponseFuture::told(answer);
        }
        let judgement = if self.auth.passes_preflights && view.is_preflight() {
            Judgement::Stranger
        } else {
            self.auth.judge(view, self.auth.clock.wall())
        };
        match judgement {
            Judgement::Pending(pending) => {
                // The readied service waits with the request; a clone takes its place, and has to be readied anew.
                let clone = self.inner.clone();
                ResponseFuture::waiting(Waiting {
                    auth: Arc::clone(&self.auth),
                    service: mem::replace(&mut self.inner, clone),
                    request,
                    judgement: Box::pin(settle(Arc::clone(&self.auth), pending)),
                })
            }
            judgement => match act(&self.auth, judgement, &mut request) {
                Verdict::Pass { by_query } => ResponseFuture::passed(self.inner.call(request), by_query),
                Verdict::Refuse(rejection, facts) => ResponseFuture::refused(Arc::clone(&self.auth), *rejection, facts),
            },
        }
    }
}

/// What becomes of a request.
pub(super) enum Verdict {
    Pass { by_query: bool },
    Refuse(Box<Rejection>, RequestFacts),
}

/// Writes a judgement into the request.
pub(super) fn act<B>(auth: &Auth, judgement: Judgement, request: &mut Request<B>) -> Verdict {
    match judgement {
        Judgement::Admitted(caller) => {
            if auth.strip {
                auth.places.strip(request);
            }
            let by_query = caller.by_query;
            caller.insert(request.extensions_mut());
            Verdict::Pass { by_query }
        }
        Judgement::Stranger => {
            // An identity from further out is none that this layer vouches for.
            request.extensions_mut().remove::<Identity>();
            Verdict::Pass { by_query: false }
        }
        Judgement::Refused(rejection) => Verdict::Refuse(rejection, RequestFacts::of(RequestView::of(request))),
        // Whoever asks has settled it; if not, nobody is let in.
        Judgement::Pending(_) => act(auth, cannot_judge_now(), request),
    }
}
