//! The keys of an issuer at this moment.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use super::algorithm::Algorithm;
use super::key_set::KeySet;
use super::remote::{Remote, RemoteKeys, Turn};
use crate::spine::event::{self, Origin};
use crate::spine::signal::Wait;

/// The keys of an issuer, which can be replaced while tokens are checked.
///
/// Made of a [`KeySet`], or of [`RemoteKeys`] that are fetched. Clones are the same keys.
#[derive(Clone)]
pub struct Keys(Arc<Source>);

struct Source {
    held: Arc<Held>,
    remote: Option<Remote>,
}

/// A set that can be exchanged.
#[derive(Default)]
pub(super) struct Held(RwLock<Snapshot>);

#[derive(Clone, Default)]
pub(super) struct Snapshot {
    pub(super) set: Option<Arc<KeySet>>,
    /// Grows with every replacement: what was verified by older keys is verified again.
    pub(super) generation: u64,
}

/// What a token's key is looked for in.
pub(super) enum Lookup {
    /// Look here.
    Keys(Arc<KeySet>, u64),
    /// There is nothing to look in, before so long at least.
    NoKeys(Duration),
    /// More is being fetched.
    Fetching(Wait),
}

/// For keys that somebody will give by hand, nobody knows when.
const NO_KEYS_RETRY: Duration = Duration::from_secs(5);

impl Held {
    pub(super) fn now(&self) -> Snapshot {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the keys, unless there are none to replace them with.
    pub(super) fn replace(&self, set: KeySet) {
        if set.twins() > 0 {
            event::keys_ambiguous(Origin::Auth, set.twins());
        }
        if !set.is_empty() {
            let mut snapshot = self.0.write().unwrap_or_else(PoisonError::into_inner);
            *snapshot = Snapshot { set: Some(Arc::new(set)), generation: snapshot.generation + 1 };
        }
    }
}

impl Keys {
    /// No keys yet: tokens cannot be checked, which is the server's fault, not the client's.
    #[must_use]
    pub fn none() -> Self {
        Self(Arc::new(Source { held: Arc::default(), remote: None }))
    }

    /// Replaces the keys; tokens that were verified by the old ones are verified again. An empty set replaces nothing.
    pub fn replace(&self, set: KeySet) {
        self.0.held.replace(set);
    }

    /// Whether there are keys.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.now().set.is_some() && self.0.remote.as_ref().is_none_or(Remote::are_usable)
    }

    /// Begins to fetch keys that are remote, instead of when the first token asks for them, and keeps them fresh. Does
    /// nothing for others, and nothing outside of a runtime.
    pub fn start(&self) {
        if let Some(remote) = &self.0.remote {
            remote.start();
        }
    }

    /// Whether they are remote.
    pub(super) fn are_fetched(&self) -> bool {
        self.0.remote.is_some()
    }

    /// Those of others that are fetched from the same place: these themselves where the rules are the same too, else ours,
    /// which go on with what the others have fetched. `None` when they come from elsewhere.
    pub(super) fn going_on_from(&self, other: &Self) -> Option<Self> {
        let (ours, theirs) = self.0.remote.as_ref().zip(other.0.remote.as_ref())?;
        if ours.is_same(theirs) {
            return Some(other.clone());
        }
        ours.is_like(theirs).then(|| {
            ours.go_on_from(theirs);
            self.clone()
        })
    }

    pub(super) fn now(&self) -> Snapshot {
        self.0.held.now()
    }

    /// The generation by which a token must have been verified to be known; none while there are no keys that count.
    pub(super) fn generation(&self) -> Option<u64> {
        let snapshot = self.now();
        snapshot.set.filter(|_| self.0.remote.as_ref().is_none_or(Remote::keep_fresh)).map(|_| snapshot.generation)
    }

    /// Where to look for the key that a token means. Keys that are remote may have to be fetched for it, once per
    /// cooldown; `waited` says that this token has waited for that already.
    pub(super) fn look_up(&self, id: Option<&str>, algorithm: Algorithm, waited: bool) -> Lookup {
        let snapshot = self.now();
        let found = snapshot.set.as_ref().map(|set| set.find(id, algorithm).is_some());
        let (ask, snapshot) = match &self.0.remote {
            None => (Turn::GoOn, snapshot),
            Some(remote) => {
                let ask = remote.ask(found.unwrap_or(true), waited);
                // A fetch may have ended since.
                (ask, self.now())
            }
        };
        match (ask, snapshot.set) {
            (Turn::GoOn, Some(set)) => Lookup::Keys(set, snapshot.generation),
            (Turn::GoOn, None) => Lookup::NoKeys(NO_KEYS_RETRY),
            (Turn::Unavailable(wait), _) => Lookup::NoKeys(wait),
            (Turn::Wait(wait), _) => Lookup::Fetching(wait),
        }
    }
}

impl From<KeySet> for Keys {
    fn from(set: KeySet) -> Self {
        let keys = Self::none();
        keys.replace(set);
        keys
    }
}

impl From<RemoteKeys> for Keys {
    /// Begins to fetch, where a runtime is there; else with the first token, or when it is told to
    /// [`start`](Self::start).
    fn from(keys: RemoteKeys) -> Self {
        let held = Arc::default();
        let remote = Remote::new(keys, Arc::clone(&held));
        let keys = Self(Arc::new(Source { held, remote: Some(remote) }));
        keys.start();
        keys
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Snapshot { set, generation } = self.now();
        f.debug_struct("Keys").field("set", &set).field("generation", &generation).finish_non_exhaustive()
    }
}
