//! The future: the inner service's, a refusal, or the wait for what decides.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{HeaderMap, HeaderValue, Request, Response, header};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::judge::Judgement;
use super::layer::Auth;
use super::service::{Verdict, act};
use crate::spine::body::ResponseBody;
use crate::spine::field;
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestFacts;

pin_project! {
    /// The response of the inner service, or an answer of the layer's.
    pub struct ResponseFuture<S, ReqB>
    where
        S: Service<Request<ReqB>>,
    {
        #[pin]
        kind: Kind<S, ReqB>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<S, ReqB>
    where
        S: Service<Request<ReqB>>,
    {
        Passed { #[pin] inner: S::Future, by_query: bool },
        Refused { answer: Option<Box<(Arc<Auth>, Rejection, RequestFacts)>> },
        Told { answer: Option<Box<Response<ResponseBody<()>>>> },
        Waiting { wait: Option<Box<Waiting<S, ReqB>>> },
    }
}

/// A request that waits, and the service that was readied for it.
pub(super) struct Waiting<S, ReqB> {
    pub(super) auth: Arc<Auth>,
    pub(super) service: S,
    pub(super) request: Request<ReqB>,
    pub(super) judgement: Pin<Box<dyn Future<Output = Judgement> + Send>>,
}

impl<S, ReqB> ResponseFuture<S, ReqB>
where
    S: Service<Request<ReqB>>,
{
    pub(super) const fn passed(inner: S::Future, by_query: bool) -> Self {
        Self { kind: Kind::Passed { inner, by_query } }
    }

    pub(super) fn refused(auth: Arc<Auth>, rejection: Rejection, facts: RequestFacts) -> Self {
        Self { kind: Kind::Refused { answer: Some(Box::new((auth, rejection, facts))) } }
    }

    pub(super) fn told(answer: Response<ResponseBody<()>>) -> Self {
        Self { kind: Kind::Told { answer: Some(Box::new(answer)) } }
    }

    pub(super) fn waiting(wait: Waiting<S, ReqB>) -> Self {
        Self { kind: Kind::Waiting { wait: Some(Box::new(wait)) } }
    }
}

impl<S, ReqB, ResB> Future for ResponseFuture<S, ReqB>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Output = Result<Response<ResponseBody<ResB>>, S::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            let next = match self.as_mut().project().kind.project() {
                KindProjection::Passed { inner, by_query } => {
                    let mut response = ready!(inner.poll(cx))?;
                    if *by_query && response.status().is_success() {
                        // RFC 6750 section 2.3: what a token in an address opened is for nobody else.
                        if !is_for_one(response.headers()) {
                            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private"));
                        }
                    }
                    return Poll::Ready(Ok(response.map(ResponseBody::inner)));
                }
                KindProjection::Refused { answer } => {
                    let Some(answer) = answer.take() else { return Poll::Pending };
                    let (auth, rejection, facts) = *answer;
                    return Poll::Ready(Ok(auth.refuser.refuse(rejection, &facts)));
                }
                KindProjection::Told { answer } => {
                    let Some(answer) = answer.take() else { return Poll::Pending };
                    return Poll::Ready(Ok(answer.map(ResponseBody::retyped)));
                }
                KindProjection::Waiting { wait } => {
                    let Some(waiting) = wait else { return Poll::Pending };
                    let judgement = ready!(waiting.judgement.as_mut().poll(cx));
                    let Some(waiting) = wait.take() else { return Poll::Pending };
                    let Waiting { auth, mut service, mut request, .. } = *waiting;
                    match act(&auth, judgement, &mut request) {
                        Verdict::Pass { by_query } => Self::passed(service.call(request), by_query),
                        Verdict::Refuse(rejection, facts) => Self::refused(auth, *rejection, facts),
                    }
                }
            };
            self.set(next);
        }
    }
}

/// Whether an answer says that no shared cache may keep it.
fn is_for_one(headers: &HeaderMap) -> bool {
    field::list(headers, &header::CACHE_CONTROL)
        .any(|held| [&b"private"[..], b"no-store"].iter().any(|ours| held.eq_ignore_ascii_case(ours)))
}

impl<S, ReqB> fmt::Debug for ResponseFuture<S, ReqB>
where
    S: Service<Request<ReqB>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
