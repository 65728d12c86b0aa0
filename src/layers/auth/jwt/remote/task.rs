//! The tasks that fetch. A request that asks for keys only waits for them: when it goes, the fetch stays.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};

use super::super::super::http::{Fault, Limits};
use super::super::key_set::KeySet;
use super::{Place, Shared, discovery};
use crate::spine::event::{self, Origin};
use crate::spine::signal::Wait;
use crate::wiring;

/// The longest JWK Set, and the longest metadata.
const MAX_DOCUMENT_BYTES: usize = 256 << 10;

impl Shared {
    /// Runs the fetch that was begun. Where that cannot be, it is dropped, and has failed; so nobody holds the lock here.
    pub(super) fn fetch(self: &Arc<Self>) {
        let running = Running { shared: Arc::clone(self), done: false };
        let task = wiring::spawn(running.fetch());
        self.state().fetch = task;
        self.refresh_ahead();
    }

    /// Fetches ahead of the keys' age, for as long as somebody holds the keys.
    pub(super) fn refresh_ahead(self: &Arc<Self>) {
        let mut state = self.state();
        if state.refresher.as_ref().is_none_or(wiring::Task::is_finished) {
            state.refresher = wiring::spawn(refresh(Arc::downgrade(self)));
        }
    }

    /// Begins a fetch if it is time: when it will be, none while one runs, and the wait for the end of one that does.
    fn begin_if_due(self: &Arc<Self>) -> (Option<Duration>, Option<Wait>) {
        let mut state = self.state();
        let now = self.keys.clock.now();
        let due = state.progress.due_in(&self.keys.rules, now);
        // Under the lock: a fetch that runs cannot end before somebody waits for it.
        let fetched = self.fetched.wait();
        if due.is_some_and(|due| due.is_zero()) {
            state.progress.begun(now);
            drop(state);
            self.fetch();
        }
        (due, fetched)
    }
}

async fn refresh(keys: Weak<Shared>) {
    while let Some(shared) = keys.upgrade() {
        let (due, fetched) = shared.begin_if_due();
        let clock = shared.keys.clock.clone();
        drop(shared);
        let sleep = due.filter(|due| !due.is_zero()).map(|due| clock.sleep(due));
        match (sleep, fetched) {
            (Some(Some(sleep)), _) => sleep.await,
            (None, Some(fetched)) => fetched.await,
            _ => return,
        }
    }
}

/// One fetch. Dropped before its end, with its runtime, it has failed.
struct Running {
    shared: Arc<Shared>,
    done: bool,
}

impl Running {
    async fn fetch(mut self) {
        let result = fetch(&self.shared).await;
        let keys = &self.shared.keys;
        match result {
            Ok((document, set)) => {
                let (usable, skipped) = (set.len(), set.skipped());
                let mut state = self.shared.state();
                let is_news = state.document != document;
                if is_news {
                    self.shared.held.replace(set);
                    state.document = document;
                }
                state.progress.succeeded(keys.clock.now());
                drop(state);
                self.done = true;
                if is_news {
                    event::keys_fetched(Origin::Auth, usable, skipped);
                }
            }
            Err(fault) => event::keys_not_fetched(Origin::Auth, &fault),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.done {
            self.shared.state().progress.failed();
        }
        self.shared.fetched.give();
    }
}

/// Why no keys were fetched. It may hold names of kinds, nothing of the document.
enum KeysFault {
    Fetch(Fault),
    /// The issuer's metadata are another's, or name no address that keys are taken from.
    Metadata,
    Set(String),
}

impl std::fmt::Display for KeysFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fetch(fault) => fault.fmt(f),
            Self::Metadata => f.write_str("the issuer's metadata name another issuer, or no address for its keys"),
            Self::Set(breach) => write!(f, "the document {breach}"),
        }
    }
}

impl From<Fault> for KeysFault {
    fn from(fault: Fault) -> Self {
        Self::Fetch(fault)
    }
}

async fn fetch(shared: &Shared) -> Result<(Bytes, KeySet), KeysFault> {
    let address = match &shared.keys.place {
        Place::Address(address) => address.clone(),
        Place::Discovered(issuer) => discover(shared, issuer).await?,
    };
    let document = get(shared, &address).await?;
    let set = KeySet::from_jwks(&document).map_err(|error| KeysFault::Set(error.breach().to_owned()))?;
    Ok((document, set))
}

/// Where an issuer's keys are. It is asked each time: addresses change, and one more request an hour is nothing.
async fn discover(shared: &Shared, issuer: &str) -> Result<Uri, KeysFault> {
    let [connect, oauth] = discovery::documents(issuer).ok_or(KeysFault::Metadata)?;
    let document = match get(shared, &connect).await {
        Err(Fault::Status(StatusCode::NOT_FOUND)) => get(shared, &oauth).await?,
        answer => answer?,
    };
    discovery::keys_of(&document, issuer).ok_or(KeysFault::Metadata)
}

async fn get(shared: &Shared, uri: &Uri) -> Result<Bytes, Fault> {
    let limits = Limits { max_bytes: MAX_DOCUMENT_BYTES, timeout: shared.keys.timeout };
    shared.keys.client.get(uri, limits, &shared.keys.clock).await
}
