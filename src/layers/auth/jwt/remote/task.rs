//! The tasks that fetch. A request that asks for keys only waits for them: when it goes, the fetch stays.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Uri};

use super::super::super::http::{Fault, within};
use super::super::key_set::KeySet;
use super::desk::{Ahead, Fetching};
use super::{Place, Shared, discovery};
use crate::spine::event::{self, Origin};
use crate::wiring;

/// The longest JWK Set, and the longest metadata.
const MAX_DOCUMENT_BYTES: usize = 256 << 10;

impl Shared {
    /// Runs a fetch that has begun. It goes on when everybody who asked for it has gone, and ends by its timeout.
    pub(super) fn fetch(self: &Arc<Self>, fetching: Fetching) {
        wiring::detach(run(Arc::clone(self), fetching));
        self.refresh_ahead();
    }

    /// Fetches ahead of the keys' age, for as long as somebody holds the keys.
    pub(super) fn refresh_ahead(self: &Arc<Self>) {
        let mut refresher = self.refresher.lock().unwrap_or_else(PoisonError::into_inner);
        if refresher.as_ref().is_none_or(wiring::Task::is_finished) {
            *refresher = wiring::spawn(refresh(Arc::downgrade(self)));
        }
    }
}

/// When all that may wait for a fetch do, whoever fetches ahead looks again after so long.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

async fn refresh(keys: Weak<Shared>) {
    while let Some(shared) = keys.upgrade() {
        let clock = shared.keys.clock.clone();
        let (ahead, fetching) = shared.desk.ahead(clock.now());
        if let Some(fetching) = fetching {
            shared.fetch(fetching);
        }
        drop(shared);
        let sleep = match ahead {
            Ahead::Fetch(Some(fetched)) | Ahead::Wait(Some(fetched)) => {
                fetched.await;
                continue;
            }
            Ahead::Fetch(None) | Ahead::Wait(None) => LOOK_AGAIN,
            Ahead::Sleep(due) => due,
        };
        let Some(sleep) = clock.sleep(sleep) else { return };
        sleep.await;
    }
}

/// One fetch. Dropped before its end, with its runtime, it has failed.
async fn run(shared: Arc<Shared>, fetching: Fetching) {
    let keys = &shared.keys;
    match within(&keys.clock, keys.timeout, fetch(&shared)).await {
        Ok((document, set)) => {
            let (usable, skipped) = (set.len(), set.skipped());
            let is_news = *shared.document() != document;
            // The keys first: whoever is told that they were fetched looks for them.
            if is_news {
                shared.held.replace(set);
                *shared.document() = document;
            }
            fetching.succeeded(keys.clock.now());
            if is_news {
                event::keys_fetched(Origin::Auth, usable, skipped);
            }
        }
        Err(fault) => event::keys_not_fetched(Origin::Auth, &fault),
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
    shared.keys.client.get(uri, MAX_DOCUMENT_BYTES).await
}
