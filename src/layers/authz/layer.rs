//! The layer.

use std::sync::{Arc, PoisonError, RwLock};

use tower_layer::Layer;

use super::service::AuthzService;
use super::table::PolicyTable;
use crate::spine::challenge::Challenge;
use crate::spine::clock::Clock;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Lets requests through that a [`PolicyTable`] allows. See the [module](super) for the manual.
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct AuthzLayer {
    shared: Arc<Shared>,
}

/// What all services of a layer share.
#[derive(Debug)]
pub(super) struct Shared {
    table: RwLock<Option<Arc<PolicyTable>>>,
    pub(super) challenge: Challenge,
    pub(super) refuser: Refuser,
}

impl AuthzLayer {
    /// Decides by this table.
    pub fn new(table: PolicyTable) -> Self {
        Self::of(Some(Arc::new(table)))
    }

    /// Lets everything through: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self::of(None)
    }

    fn of(table: Option<Arc<PolicyTable>>) -> Self {
        let (challenge, refuser) = (Challenge::default(), Refuser::new());
        Self { shared: Arc::new(Shared { table: RwLock::new(table), challenge, refuser }) }
    }

    /// What strangers are told.
    pub fn challenge(self, challenge: Challenge) -> Self {
        let refuser = self.shared.refuser.clone();
        self.with(challenge, refuser)
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(self, renderer: impl RenderRejection) -> Self {
        let Shared { challenge, refuser, .. } = &*self.shared;
        let (challenge, refuser) = (challenge.clone(), refuser.clone().with_renderer(renderer));
        self.with(challenge, refuser)
    }

    /// Replaces the clock that paces log lines.
    pub fn with_clock(self, clock: Clock) -> Self {
        let Shared { challenge, refuser, .. } = &*self.shared;
        let (challenge, refuser) = (challenge.clone(), refuser.clone().with_clock(clock));
        self.with(challenge, refuser)
    }

    /// Another layer with this one's table, which is then its own.
    fn with(self, challenge: Challenge, refuser: Refuser) -> Self {
        Self { shared: Arc::new(Shared { table: RwLock::new(self.shared.table()), challenge, refuser }) }
    }

    /// Decides by another table from now on, in every service that this layer and its clones have made. A request is
    /// decided by one table or the other.
    pub fn replace(&self, table: PolicyTable) {
        *self.shared.table.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(table));
    }
}

impl Shared {
    pub(super) fn table(&self) -> Option<Arc<PolicyTable>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<S> Layer<S> for AuthzLayer {
    type Service = AuthzService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthzService::new(inner, Arc::clone(&self.shared))
    }
}
