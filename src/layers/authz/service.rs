//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use super::layer::Shared;
use super::table::{Decision, PolicyTable, Refused};
use crate::spine::body::ResponseBody;
use crate::spine::challenge::{Challenge, Reason};
use crate::spine::event::{self, Origin};
use crate::spine::gate::ResponseFuture;
use crate::spine::identity::Identity;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::{RequestFacts, RequestView};

/// The service of [`AuthzLayer`](super::AuthzLayer).
#[derive(Debug, Clone)]
pub struct AuthzService<S> {
    inner: S,
    shared: Arc<Shared>,
}

impl<S> AuthzService<S> {
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

impl<S, ReqB, ResB> Service<Request<ReqB>> for AuthzService<S>
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
        let Some(table) = self.shared.table() else { return ResponseFuture::passed(self.inner.call(request)) };
        let caller = request.extensions().get::<Identity>();
        let decision = table.decide(request.method(), request.uri().path(), caller);
        if let Some(rejection) = refusal(&self.shared.challenge, decision) {
            let facts = RequestFacts::of(RequestView::of(&request));
            return ResponseFuture::refused(self.shared.refuser.clone(), rejection, facts);
        }
        if let Some(caller) = caller.and_then(|caller| with_all_roles(&table, caller)) {
            request.extensions_mut().insert(caller);
        }
        ResponseFuture::passed(self.inner.call(request))
    }
}

fn refusal(challenge: &Challenge, decision: Decision<'_>) -> Option<Rejection> {
    let (rule, why) = match decision {
        Decision::Allowed { .. } => return None,
        Decision::Ambiguous => {
            let problem = Problem::new(ProblemKind::BadRequest).detail("The path can be read in more than one way.");
            return Some(Rejection::new(Origin::Authz, problem));
        }
        Decision::Refused { rule, why } => (rule, why),
    };
    event::authorization_refused(Origin::Authz, rule);
    Some(match why {
        Refused::Stranger => challenge.refuse(Origin::Authz, Reason::NoCredential),
        Refused::Scopes(scopes) => challenge.refuse(Origin::Authz, Reason::InsufficientScope(scopes)),
        Refused::Forbidden | Refused::NotTheirs => {
            Rejection::new(Origin::Authz, Problem::new(ProblemKind::Forbidden).detail("This caller may not do this."))
        }
    })
}

/// The caller with the roles that it inherits; `None` when it inherits none.
fn with_all_roles(table: &PolicyTable, caller: &Identity) -> Option<Identity> {
    if table.roles.is_empty() {
        return None;
    }
    let all = table.roles.of(caller.roles());
    (all.len() > caller.roles().len()).then(|| caller.clone().with_roles(all))
}
