//! The layer.

use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};

use tower_layer::Layer;

use super::policy::Policy;
use super::service::AuthzService;
use crate::spine::challenge::Challenge;
use crate::spine::clock::Clock;
use crate::spine::event::Sampler;
use crate::spine::key::ClientIp;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Lets requests through that a [`PolicyTable`](super::PolicyTable) allows. See the [module](super) for the manual.
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct AuthzLayer {
    pub(super) policies: Arc<Policies>,
    pub(super) settings: Arc<Settings>,
}

/// Changes an [`AuthzLayer`] at work. Clones are the same, and so are those of the layer.
#[derive(Debug, Clone)]
pub struct AuthzHandle {
    policies: Arc<Policies>,
}

/// The policies of this moment: one snapshot, so that a request is decided by what was put there together.
#[derive(Default)]
pub(super) struct Policies(RwLock<Snapshot>);

#[derive(Clone, Default)]
pub(super) struct Snapshot {
    pub(super) enforced: Option<Arc<dyn Policy>>,
    pub(super) shadow: Option<Arc<dyn Policy>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Settings {
    pub(super) challenge: Challenge,
    pub(super) refuser: Refuser,
    pub(super) client_ip: ClientIp,
    pub(super) clock: Clock,
    pub(super) passes_preflights: bool,
    pub(super) ignores_overrides: bool,
    pub(super) said: Arc<Said>,
}

/// What was said, or is said not too often.
#[derive(Debug, Default)]
pub(super) struct Said {
    pub(super) no_route: AtomicBool,
    pub(super) no_caller: AtomicBool,
    pub(super) shadow: Sampler,
}

impl AuthzLayer {
    /// Decides by a [`PolicyTable`](super::PolicyTable), or a policy of another kind.
    pub fn new(policy: impl Policy) -> Self {
        let layer = Self::empty();
        layer.policies.change(|policies| policies.enforced = Some(Arc::new(policy)));
        layer
    }

    /// Lets everything through: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self { policies: Arc::default(), settings: Arc::default() }
    }

    /// Asks another policy about each request, too, which decides nothing: what it would have decided is counted, and
    /// logged where it differs.
    pub fn shadow(self, policy: impl Policy) -> Self {
        self.policies.change(|policies| policies.shadow = Some(Arc::new(policy)));
        self
    }

    /// What strangers are told.
    pub fn challenge(self, challenge: Challenge) -> Self {
        self.with(|settings| settings.challenge = challenge)
    }

    /// How clients' addresses are found, for rules that ask for them; the socket's peer unless it is said.
    pub fn client_ip(self, client_ip: ClientIp) -> Self {
        self.with(|settings| settings.client_ip = client_ip)
    }

    /// Lets CORS preflights through, whatever the rules say: `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`. Browsers send them without credentials. For handlers that answer them and do
    /// nothing else; a CORS layer further out needs no such thing.
    pub fn pass_preflights(self, pass: bool) -> Self {
        self.with(|settings| settings.passes_preflights = pass)
    }

    /// Lets requests through whose `X-HTTP-Method-Override`, or a field like it, names another method than the one that was
    /// asked about: for services that are known not to look at it. Others would do what no rule allowed.
    pub fn dangerous_ignore_method_overrides(self) -> Self {
        self.with(|settings| settings.ignores_overrides = true)
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(self, renderer: impl RenderRejection) -> Self {
        self.with(|settings| settings.refuser = settings.refuser.clone().with_renderer(renderer))
    }

    /// Replaces the clock.
    pub fn with_clock(self, clock: Clock) -> Self {
        self.with(|settings| {
            settings.refuser = settings.refuser.clone().with_clock(clock.clone());
            settings.clock = clock;
        })
    }

    /// The layer with other settings; its policies stay shared with clones.
    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(Arc::make_mut(&mut self.settings));
        self
    }

    /// Changes this layer, its clones, and the services they made.
    #[must_use]
    pub fn handle(&self) -> AuthzHandle {
        AuthzHandle { policies: Arc::clone(&self.policies) }
    }
}

impl AuthzHandle {
    /// Decides by another policy from now on. A request is decided by one or the other.
    pub fn replace(&self, policy: impl Policy) {
        self.policies.change(|policies| policies.enforced = Some(Arc::new(policy)));
    }

    /// Asks another policy beside the one that decides.
    pub fn replace_shadow(&self, policy: impl Policy) {
        self.policies.change(|policies| policies.shadow = Some(Arc::new(policy)));
    }

    /// Asks no policy beside it any more.
    pub fn remove_shadow(&self) {
        self.policies.change(|policies| policies.shadow = None);
    }

    /// Lets the policy that was asked beside it decide from now on, alone; does nothing where there is none.
    pub fn enforce_shadow(&self) {
        self.policies.change(|policies| {
            if let Some(shadow) = policies.shadow.take() {
                policies.enforced = Some(shadow);
            }
        });
    }
}

impl Policies {
    pub(super) fn now(&self) -> Snapshot {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut Snapshot)) {
        change(&mut self.0.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { enforced, shadow } = self.now();
        f.debug_struct("Policies").field("enforced", &enforced.is_some()).field("shadow", &shadow.is_some()).finish()
    }
}

impl<S> Layer<S> for AuthzLayer {
    type Service = AuthzService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthzService::new(inner, Arc::clone(&self.policies), Arc::clone(&self.settings))
    }
}
