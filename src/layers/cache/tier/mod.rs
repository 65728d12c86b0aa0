//! The second tier at work. It is never waited for when it is written to, and what it fails at is a miss.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;

use super::core::Core;
use super::entry::Entry;
use super::key::Key;
use super::record::{self, Primary, Reading};
use super::storable::Asked;
use super::store::{Store, StoreFuture};
use crate::spine::event;
use crate::wiring;

/// Writes that are under way at a time: a store that is slow is not to hold whatever has been fetched since.
const MAX_WRITES: usize = 256;

/// What a store has at hand for this request.
pub(super) fn at_hand(core: &Core, key: &Key, uri: u64, request: &HeaderMap) -> Option<Arc<Entry>> {
    let store = core.store.as_ref()?;
    let entry = match read(core, key, uri, store.get_now(key.as_bytes())?)? {
        Primary::Whole(entry) => entry,
        Primary::Variants { names, generation } => {
            let selectors = record::selectors(&names, request)?;
            let variant = store.get_now(&record::variant_key(key, generation, &selectors))?;
            whole(read(core, key, uri, variant)?)?
        }
    };
    admit(core, entry, request)
}

/// What a store has for this request.
pub(super) async fn fetch(core: &Core, asked: &Asked) -> Option<Arc<Entry>> {
    let store = core.store.as_ref()?;
    for key in asked.own_key.iter().chain([&asked.shared_key]) {
        let entry = match read(core, key, asked.uri, get(core, &**store, key.as_bytes()).await?) {
            Some(Primary::Whole(entry)) => Some(entry),
            Some(Primary::Variants { names, generation }) => {
                let Some(selectors) = record::selectors(&names, &asked.headers) else { continue };
                let variant = get(core, &**store, &record::variant_key(key, generation, &selectors)).await;
                variant.and_then(|variant| whole(read(core, key, asked.uri, variant)?))
            }
            None => None,
        };
        if let Some(entry) = entry.and_then(|entry| admit(core, entry, &asked.headers)) {
            return Some(entry);
        }
    }
    None
}

fn whole(primary: Primary) -> Option<Entry> {
    match primary {
        Primary::Whole(entry) => Some(entry),
        Primary::Variants { .. } => None,
    }
}

/// Takes what the store had into memory, if it is for this request and has not been purged.
fn admit(core: &Core, entry: Entry, request: &HeaderMap) -> Option<Arc<Entry>> {
    let entry = Arc::new(entry);
    let is_asked = entry.head.selects(request) && entry.head.part.is_none();
    (is_asked && core.keep_in_memory(Arc::clone(&entry))).then_some(entry)
}

fn read(core: &Core, key: &Key, uri: u64, record: Bytes) -> Option<Primary> {
    let (now, wall) = (core.clock.now(), core.clock.wall());
    let reading = Reading { key, uri, marks: &core.marks, instance: core.marks.instance(), now, wall };
    record::read(record, &reading)
}

async fn get(core: &Core, store: &dyn Store, key: &[u8]) -> Option<Bytes> {
    within(core, store.get(key)).await.flatten()
}

/// What a store says in time; what it fails at or says later is reported. Outside of a runtime there is no timer.
async fn within<T>(core: &Core, mut asking: StoreFuture<'_, T>) -> Option<T> {
    let mut timeout = core.clock.sleep(core.settings.store_timeout);
    let said = poll_fn(|cx| {
        if let Poll::Ready(said) = asking.as_mut().poll(cx) {
            return Poll::Ready(said.ok());
        }
        match &mut timeout {
            Some(timeout) => Pin::new(timeout).poll(cx).map(|()| None),
            None => Poll::Pending,
        }
    })
    .await;
    if said.is_none() {
        event::store_failed(&core.sampler, &core.clock);
    }
    said
}

/// One of the writes that are under way, each of which holds a response.
struct Writing(Arc<Core>);

impl Writing {
    /// One more, if there may be.
    fn begin(core: &Arc<Core>) -> Option<Self> {
        let take = |writes: usize| (writes < MAX_WRITES).then_some(writes + 1);
        core.writes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).ok().map(|_| Self(Arc::clone(core)))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.writes.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands a response to the store, behind everybody's back.
pub(super) fn put(core: &Arc<Core>, entry: &Arc<Entry>) {
    let Some(store) = core.store.clone().filter(|_| wiring::can_spawn()) else { return };
    // What is not written now is written when it is fetched again.
    let Some(writing) = Writing::begin(core) else { return };
    let entry = Arc::clone(entry);
    wiring::detach(async move {
        let core = &writing.0;
        let head = &entry.head;
        let now = core.clock.now();
        let rules = &head.rules;
        let stale = if rules.forbids_stale { Duration::ZERO } else { core.settings.max_stale };
        let stale = stale.max(rules.stale_if_error).max(rules.stale_while_revalidate);
        // What can be validated is of use for longer; a store that is asked to keep it too long is asked for nothing.
        let keep = head.life.left(now).saturating_add(stale).max(Duration::from_secs(1));
        let record = record::write(&entry, core.marks.instance(), now, core.clock.wall());
        let key = &head.key;
        if head.selectors.is_empty() {
            within(core, store.put(key.as_bytes(), record, keep)).await;
        } else {
            put_variant(core, &*store, &entry, record, keep).await;
        }
    });
}

async fn put_variant(core: &Core, store: &dyn Store, entry: &Entry, record: Bytes, keep: Duration) -> Option<()> {
    let head = &entry.head;
    let held = within(core, store.get(head.key.as_bytes())).await?;
    let held = held.and_then(|held| read(core, &head.key, head.uri, held));
    let same = |names: &[http::HeaderName]| names.iter().eq(head.selectors.iter().map(super::vary::Selector::name));
    let generation = match held {
        Some(Primary::Variants { names, generation }) if same(&names) => generation,
        _ => core.marks.draw(),
    };
    let variant_key = record::variant_key(&head.key, generation, &head.selectors);
    within(core, store.put(&variant_key, record, keep)).await?;
    within(core, store.put(head.key.as_bytes(), record::variants(&head.selectors, generation), keep)).await
}

/// Takes a resource out of the store.
pub(super) fn remove(core: &Arc<Core>, key: Key) {
    let Some(store) = core.store.clone().filter(|_| wiring::can_spawn()) else { return };
    let core = Arc::clone(core);
    wiring::detach(async move {
        within(&core, store.remove(key.as_bytes())).await;
    });
}
