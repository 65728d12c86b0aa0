//! One circuit, or one for each key.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use super::circuit::{Circuit, Shared};
use super::layer::Keys;
use super::registry::Registry;
use super::terms::Terms;
use crate::spine::event::{self, Origin};
use crate::spine::key::{KeyExtractor, KeyWriter};
use crate::spine::request::RequestView;

/// All circuits of a layer.
#[derive(Debug)]
pub(super) struct Circuits {
    pub(super) shared: Arc<Shared>,
    /// The one there is; where calls have keys, the one of those that have none or find no room.
    pub(super) common: Arc<Circuit>,
    pub(super) keyed: Option<Keyed>,
}

/// Circuits by key.
pub(super) struct Keyed {
    extractor: Arc<dyn KeyExtractor>,
    pub(super) registry: Registry<Circuit>,
    /// Clients may choose keys.
    secret: RandomState,
    name: Arc<str>,
    terms: Terms,
}

impl Circuits {
    pub(super) fn new(name: &Arc<str>, terms: Terms, shared: Arc<Shared>, keys: Option<Keys>) -> Self {
        let secret = RandomState::new();
        let common = Circuit::new(Arc::clone(name), terms, Arc::clone(&shared), secret.hash_one(0), keys.is_some());
        let keyed = keys.map(|(extractor, most)| Keyed {
            extractor,
            registry: Registry::new(most),
            secret,
            name: Arc::clone(name),
            terms,
        });
        Self { shared, common: Arc::new(common), keyed }
    }

    /// A circuit that lets everything through.
    pub(super) fn disabled(shared: Arc<Shared>) -> Self {
        let common = Circuit::disabled(Arc::clone(&shared));
        Self { shared, common: Arc::new(common), keyed: None }
    }

    /// The circuit of a request.
    #[inline]
    pub(super) fn of(&self, request: RequestView<'_>) -> Arc<Circuit> {
        match &self.keyed {
            None => Arc::clone(&self.common),
            Some(keyed) => self.by_key(keyed, request),
        }
    }

    fn by_key(&self, keyed: &Keyed, request: RequestView<'_>) -> Arc<Circuit> {
        let Some(tag) = keyed.tag(request) else {
            event::fault_once(&self.shared.said_no_key, Origin::CircuitBreaker, "key_missing", NO_KEY);
            return Arc::clone(&self.common);
        };
        let make = || Circuit::new(Arc::clone(&keyed.name), keyed.terms, Arc::clone(&self.shared), tag, true);
        keyed.registry.get(tag, make, Circuit::may_go).unwrap_or_else(|| Arc::clone(&self.common))
    }

    /// The circuit that a request would meet, if it has one already.
    pub(super) fn find(&self, request: RequestView<'_>) -> Option<Arc<Circuit>> {
        match &self.keyed {
            None => Some(Arc::clone(&self.common)),
            Some(keyed) => keyed.registry.find(keyed.tag(request)?),
        }
    }

    /// All there are, the common one first.
    pub(super) fn all(&self) -> Vec<Arc<Circuit>> {
        let mut all = vec![Arc::clone(&self.common)];
        all.extend(self.keyed.iter().flat_map(|keyed| keyed.registry.all()));
        all
    }
}

const NO_KEY: &str = "a request lacks what the circuits' key is made of, and is judged with all others that do; see \
     that requests have it, or key by something else";

impl Keyed {
    fn tag(&self, request: RequestView<'_>) -> Option<u64> {
        let mut hasher = self.secret.build_hasher();
        self.extractor.extract(request, &mut KeyWriter::new(&mut hasher)).ok()?;
        Some(hasher.finish())
    }
}

impl std::fmt::Debug for Keyed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyed").field("name", &self.name).finish_non_exhaustive()
    }
}
