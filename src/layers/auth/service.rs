//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{HeaderMap, Request, Response, header};
use tower_service::Service;

use super::credential::{API_KEY, Credential};
use super::jwt::VerifyError;
use super::layer::Auth;
use crate::spine::body::ResponseBody;
use crate::spine::challenge::Reason;
use crate::spine::event::{self, Origin};
use crate::spine::gate::ResponseFuture;
use crate::spine::identity::Identity;
use crate::spine::problem::{Problem, ProblemKind};
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
    S: Service<Request<ReqB>, Response = Response<ResB>>,
{
    type Response = Response<ResponseBody<ResB>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqB>) -> Self::Future {
        if self.auth.is_empty() {
            return ResponseFuture::passed(self.inner.call(request));
        }
        match identify(&self.auth, request.headers()) {
            Ok(Some(identity)) => {
                if self.auth.strip {
                    request.headers_mut().remove(header::AUTHORIZATION);
                    request.headers_mut().remove(API_KEY);
                }
                request.extensions_mut().insert(identity);
            }
            // An identity from further out is none that this layer vouches for.
            Ok(None) => {
                request.extensions_mut().remove::<Identity>();
            }
            Err(rejection) => {
                let facts = RequestFacts::of(RequestView::of(&request));
                return ResponseFuture::refused(self.auth.refuser.clone(), *rejection, facts);
            }
        }
        ResponseFuture::passed(self.inner.call(request))
    }
}

/// Who sent a request with these fields; nobody, where strangers are let through.
fn identify(auth: &Auth, headers: &HeaderMap) -> Result<Option<Identity>, Box<Rejection>> {
    let refuse = |reason| Box::new(auth.challenge.refuse(Origin::Auth, reason));
    let identity = match Credential::of(headers) {
        Credential::None if auth.optional => return Ok(None),
        Credential::None => return Err(refuse(Reason::NoCredential)),
        Credential::Several => return Err(refuse(Reason::InvalidRequest)),
        Credential::Unknown => None,
        Credential::ApiKey(key) => auth.api_keys.as_ref().and_then(|keys| keys.identify(key, auth.clock.wall())),
        Credential::Bearer(token) => match &auth.jwt {
            None => None,
            Some(verifier) => match verifier.verify(token, auth.clock.wall()) {
                Ok(identity) => Some(identity),
                Err(VerifyError::NoKeys) => return Err(Box::new(no_keys())),
                Err(VerifyError::Refused(fault)) => {
                    event::credential_refused(Origin::Auth, &fault);
                    None
                }
            },
        },
    };
    identity.map(Some).ok_or_else(|| refuse(Reason::InvalidToken))
}

/// Whose fault it is that a token cannot be judged: not the client's.
fn no_keys() -> Rejection {
    const WAIT: Duration = Duration::from_secs(5);
    let problem = Problem::new(ProblemKind::Unavailable).detail("Credentials cannot be checked at the moment.");
    Rejection::new(Origin::Auth, problem).retry_after(WAIT)
}
