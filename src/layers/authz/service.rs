//! The service.

use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderValue, Request, Response, header};
use tower_service::Service;

use super::context::PolicyContext;
use super::layer::{Policies, Settings, Snapshot};
use super::policy::{Decision, Policy, Refused};
use crate::spine::body::ResponseBody;
use crate::spine::challenge::Reason;
use crate::spine::event::{self, AuthzOutcome, Origin};
use crate::spine::gate::ResponseFuture;
use crate::spine::identity::Identity;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::{RequestFacts, RequestId, RequestView, method_override};

/// The service of [`AuthzLayer`](super::AuthzLayer).
#[derive(Debug, Clone)]
pub struct AuthzService<S> {
    inner: S,
    policies: Arc<Policies>,
    settings: Arc<Settings>,
}

impl<S> AuthzService<S> {
    pub(super) const fn new(inner: S, policies: Arc<Policies>, settings: Arc<Settings>) -> Self {
        Self { inner, policies, settings }
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
        let Snapshot { enforced, shadow } = self.policies.now();
        let Some(policy) = enforced else { return ResponseFuture::passed(self.inner.call(request)) };
        let view = RequestView::of(&request);
        // Before preflights: no browser writes another method into one, and none is to be done unasked.
        let refusal = if !self.settings.ignores_overrides && overrides_method(view) {
            Some(ambiguous("The request names two methods."))
        } else if self.settings.passes_preflights && view.is_preflight() {
            return ResponseFuture::passed(self.inner.call(request));
        } else {
            self.settings.ask(&*policy, shadow.as_deref(), view)
        };
        if let Some(rejection) = refusal {
            let facts = RequestFacts::of(view);
            return ResponseFuture::refused(self.settings.refuser.clone(), rejection, facts);
        }
        if let Some(caller) = Identity::of(view).and_then(|caller| policy.effective(caller)) {
            request.extensions_mut().insert(caller);
        }
        ResponseFuture::passed(self.inner.call(request))
    }
}

impl Settings {
    /// Asks the policies about a request, and reports what they say.
    fn ask(&self, policy: &dyn Policy, shadow: Option<&dyn Policy>, request: RequestView<'_>) -> Option<Rejection> {
        let mut context = PolicyContext::of(request, &self.client_ip);
        if policy.asks_time() || shadow.is_some_and(Policy::asks_time) {
            context = context.with_now(self.clock.wall());
        }
        let decision = policy.decide(&context);
        event::authorized(AuthzOutcome::enforced(decision.is_allowed()));
        if let Some(rule) = decision.rule().filter(|rule| policy.audits(rule)) {
            event::authorization_audited(rule, decision.is_allowed(), RequestId::of(request).as_ref());
        }
        if let Some(shadow) = shadow {
            let would = shadow.decide(&context);
            event::authorized(AuthzOutcome::shadow(would.is_allowed()));
            if would.is_allowed() != decision.is_allowed() {
                event::shadow_differs(would.rule(), would.is_allowed(), &self.said.shadow, &self.clock);
            }
        }
        let refused_unknown = matches!(decision, Decision::Refused { why: Refused::Stranger, .. });
        // Whoever looks for credentials lets nobody but preflights pass with one and without an identity.
        if refused_unknown && !request.is_preflight() && request.headers().contains_key(header::AUTHORIZATION) {
            const MEND: &str = "a request with a credential came without a caller: put the layer that authenticates outside \
                                this one; of axum's `.layer(..)` the last is the outermost, of a `ServiceBuilder` the first";
            event::fault_once(&self.said.no_caller, Origin::Authz, "authz_no_caller", MEND);
        }
        self.refusal(decision)
    }

    fn refusal(&self, decision: Decision<'_>) -> Option<Rejection> {
        let (rule, why) = match decision {
            Decision::Allowed { .. } => return None,
            Decision::Ambiguous => return Some(ambiguous("The path can be read in more than one way.")),
            Decision::NoRoute => {
                const MEND: &str = "the table goes by routes, and there is none here: put the layer on the router with \
                     `Router::route_layer`, or build the table without `by_route`";
                event::fault_once(&self.said.no_route, Origin::Authz, "authz_no_route", MEND);
                return Some(Rejection::new(Origin::Authz, Problem::new(ProblemKind::Internal)));
            }
            Decision::Refused { rule, why } => (rule, why),
        };
        event::authorization_refused(Origin::Authz, rule);
        Some(match why {
            Refused::Stranger => self.challenge.refuse(Origin::Authz, Reason::NoCredential),
            Refused::Scopes(scopes) => self.challenge.refuse(Origin::Authz, Reason::InsufficientScope(scopes)),
            Refused::Forbidden | Refused::NotTheirs => {
                let problem = Problem::new(ProblemKind::Forbidden).with_detail("This caller may not do this.");
                Rejection::new(Origin::Authz, problem)
            }
        })
    }
}

fn ambiguous(detail: &'static str) -> Rejection {
    Rejection::new(Origin::Authz, Problem::new(ProblemKind::BadRequest).with_detail(detail))
}

/// Whether a field names another method than the request: some services do what the field says, and no rule was asked
/// about that.
fn overrides_method(request: RequestView<'_>) -> bool {
    let method = request.method().as_str().as_bytes();
    let is_other = |value: &HeaderValue| !value.as_bytes().trim_ascii().eq_ignore_ascii_case(method);
    request.headers().iter().any(|(name, value)| method_override(name.as_str()).is_some() && is_other(value))
}
