//! The second tier at work. It is never waited for when it is written to, and what it fails at is a miss.

mod claim;
mod news;
mod owed;
mod task;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use http::HeaderMap;

pub(super) use self::claim::Claimed;
use self::news::Hearing;
use self::owed::Owed;
use super::compressible;
use super::core::Core;
use super::entry::Entry;
use super::key::Key;
use super::purge::Begun;
use super::record::{self, Primary, Reading};
use super::seal::Seal;
use super::storable::Asked;
use super::store::{Claim, Look, Moment, Put, Record, Store, StoreFuture, StorePurge, Turn};
use crate::spine::event;
use crate::wiring;

/// Writes that are under way at a time: a store that is slow is not to hold whatever has been fetched since.
const MAX_WRITES: usize = 256;
/// Claims that are being given back at a time. Others are nobody's when their lease is over.
const MAX_RELEASES: usize = 1024;
/// A claim that the store did not take back is given back again after so long, and then after twice as long, and so on.
const FIRST_AGAIN: Duration = Duration::from_millis(50);
const SLOWEST_AGAIN: Duration = Duration::from_secs(1);
/// What another instance fetches is looked for after so long, and then after twice as long, and so on.
const FIRST_LOOK: Duration = Duration::from_millis(5);
const SLOWEST_LOOK: Duration = Duration::from_millis(100);
/// What an entry's keys and lengths may add to its fields and its body in a record.
const RECORD_OVERHEAD_BYTES: usize = 16 << 10;

/// A store, and what is known of it.
pub(super) struct Tier {
    store: Arc<dyn Store>,
    seal: Seal,
    /// By which others know this instance's purges.
    name: u64,
    owed: Owed,
    is_delivering: AtomicBool,
    hearing: Hearing,
    ear: Mutex<Option<wiring::Task>>,
    /// Writes that are under way, each of which holds a response.
    writes: Arc<AtomicUsize>,
    /// Claims that are being given back.
    releases: Arc<AtomicUsize>,
}

impl Tier {
    pub(super) fn new(store: Arc<dyn Store>, seal: Seal, name: u64) -> Self {
        Self {
            store,
            seal,
            name,
            owed: Owed::default(),
            is_delivering: AtomicBool::new(false),
            hearing: Hearing::default(),
            ear: Mutex::default(),
            writes: Arc::default(),
            releases: Arc::default(),
        }
    }

    /// The last that was heard of the store, for a fill that begins.
    pub(super) fn begin(&self) -> Option<Moment> {
        self.hearing.begin()
    }
}

/// Has the store told of a purge that is about to be noted here.
pub(super) fn owe(core: &Arc<Core>, purge: StorePurge) {
    let Some(tier) = &core.tier else { return };
    // First it is owed and then it is noted: whoever looks in the store between holds what it finds for purged.
    tier.owed.push(purge, || core.purges.begin() + 1);
    task::deliver(core);
}

/// What stood when the store is asked: what it has was purged by whatever it has not heard of.
fn begin(core: &Core, tier: &Tier) -> Begun {
    let number = core.purges.begin();
    let number = tier.owed.oldest().map_or(number, |oldest| number.min(oldest.saturating_sub(1)));
    Begun { number, moment: None }
}

/// What a store has at hand for this request.
pub(super) fn at_hand(core: &Core, key: &Key, uri: u64, request: &HeaderMap) -> Option<Arc<Entry>> {
    let tier = core.tier.as_ref()?;
    let begun = begin(core, tier);
    let get = |name: &[u8]| {
        let key = tier.seal.key(name);
        Some((tier.store.get_now(&key)?, key))
    };
    let (found, at) = get(key.as_bytes())?;
    let entry = match read(core, (key, &at), uri, begun, found)? {
        Primary::Whole(entry) => entry,
        Primary::Variants { names, generation } => {
            let selectors = record::selectors(&names, request)?;
            let (variant, at) = get(&record::variant_key(key, generation, &selectors))?;
            whole(read(core, (key, &at), uri, begun, variant)?)?
        }
    };
    admit(core, entry, request, None)
}

/// What came of looking in a store.
#[derive(Default)]
pub(super) struct Fetched {
    pub(super) entry: Option<Arc<Entry>>,
    /// Held while what is not there is fetched, where others are to wait for it.
    pub(super) claim: Option<Claimed>,
}

/// What a store has for this request. Where this one would fetch it for others, and another instance does so already, it
/// is waited for, for a while. What is older than what is `held` is of no use.
pub(super) async fn fetch(core: &Arc<Core>, asked: &Asked, held: Option<&Arc<Entry>>, leads: bool) -> Fetched {
    let Some(tier) = &core.tier else { return Fetched::default() };
    task::listen(core);
    task::deliver(core);
    let lease = core.settings.fill_lease;
    // Those who are known wait for themselves alone.
    let claims = leads && !lease.is_zero() && asked.own_key.is_none() && asked.flight_key == asked.shared_key;
    let claim = claims.then(|| Claim { token: core.marks.draw(), lease });
    let until = core.clock.now().checked_add(lease.min(core.settings.wait));
    let mut pause = FIRST_LOOK;
    loop {
        let (entry, turn) = look(core, tier, asked, held, claim).await;
        let mut fetched = Fetched { entry, claim: None };
        match turn {
            Some((Turn::Yours, key)) => {
                fetched.claim = claim.map(|claim| Claimed::new(Arc::clone(core), key, claim.token));
                return fetched;
            }
            Some((Turn::Taken, _)) => {}
            Some((Turn::Declined, _)) | None => return fetched,
        }
        let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(core.clock.now()));
        if left.is_zero() {
            return fetched;
        }
        match core.clock.sleep(pause.min(left)) {
            Some(sleep) => sleep.await,
            None => return fetched,
        }
        pause = SLOWEST_LOOK.min(pause * 2);
    }
}

type Claiming = Option<(Turn, [u8; 32])>;

/// One look.
async fn look(
    core: &Core,
    tier: &Tier,
    asked: &Asked,
    held: Option<&Arc<Entry>>,
    claim: Option<Claim>,
) -> (Option<Arc<Entry>>, Claiming) {
    let mut turn = None;
    for key in asked.own_key.iter().chain([&asked.shared_key]) {
        let begun = begin(core, tier);
        let (found, at, told) = match get(core, tier, key.as_bytes(), claim).await {
            Ok(got) => got,
            Err(turn) => return (None, turn),
        };
        turn = told.map(|told| (told, at));
        let entry = match found.and_then(|found| read(core, (key, &at), asked.uri, begun, found)) {
            Some(Primary::Whole(entry)) => Some(entry),
            Some(Primary::Variants { names, generation }) => {
                let Some(selectors) = record::selectors(&names, &asked.headers) else { continue };
                let name = record::variant_key(key, generation, &selectors);
                let (found, at, told) = match get(core, tier, &name, claim).await {
                    Ok(got) => got,
                    Err(turn) => return (None, turn),
                };
                turn = told.map(|told| (told, at));
                found.and_then(|found| whole(read(core, (key, &at), asked.uri, begun, found)?))
            }
            None => None,
        };
        if let Some(entry) = entry.and_then(|entry| admit(core, entry, &asked.headers, held)) {
            return (Some(entry), turn);
        }
    }
    (None, turn)
}

fn whole(primary: Primary) -> Option<Entry> {
    match primary {
        Primary::Whole(entry) => Some(entry),
        Primary::Variants { .. } => None,
    }
}

/// Takes what the store had into memory, if it is for this request, not older than what is there, and not purged.
fn admit(core: &Core, entry: Entry, request: &HeaderMap, held: Option<&Arc<Entry>>) -> Option<Arc<Entry>> {
    let entry = Arc::new(entry);
    let is_asked = entry.head.selects(request) && entry.head.part.is_none();
    let is_newer = held.is_none_or(|held| entry.head.date >= held.head.date);
    (is_asked && is_newer && core.keep_in_memory(Arc::clone(&entry), None)).then_some(entry)
}

fn read(core: &Core, (key, at): (&Key, &[u8; 32]), uri: u64, begun: Begun, found: Record) -> Option<Primary> {
    let tier = core.tier.as_ref()?;
    let (now, wall) = (core.clock.now(), core.clock.wall());
    let primary = record::read(tier.seal.open(at, found.bytes)?, &Reading { key, uri, begun, now, wall })?;
    if let Primary::Whole(entry) = &primary
        && found.is_stale
    {
        entry.head.expire();
    }
    Some(primary)
}

type Got = (Option<Record>, [u8; 32], Option<Turn>);

/// What the store has. One that fails may have noted the claim all the same: then it is held, to be given back.
async fn get(core: &Core, tier: &Tier, name: &[u8], claim: Option<Claim>) -> Result<Got, Claiming> {
    let key = tier.seal.key(name);
    let max_bytes = core.settings.store_entry_bytes.saturating_add(RECORD_OVERHEAD_BYTES);
    let looked = within(core, tier.store.get(Look { key: &key, max_bytes, claim })).await;
    let looked = looked.ok_or_else(|| claim.map(|_| (Turn::Yours, key)))?;
    tier.hearing.answered(looked.moment);
    Ok((looked.record, key, looked.turn))
}

/// What a store says in time; what it fails at or says later is reported. Outside of a runtime there is no timer.
async fn within<T>(core: &Core, mut asking: StoreFuture<'_, T>) -> Option<T> {
    let mut timeout = core.clock.sleep(core.settings.store_timeout);
    let said = poll_fn(|cx| {
        if let Poll::Ready(said) = asking.as_mut().poll(cx) {
            return Poll::Ready(said.map_err(|error| error.reason()));
        }
        match &mut timeout {
            Some(timeout) => Pin::new(timeout).poll(cx).map(|()| Err("it did not answer in time")),
            None => Poll::Pending,
        }
    })
    .await;
    said.inspect_err(|cause| event::store_failed(cause, &core.sampler, &core.clock)).ok()
}

/// Something that is under way beside requests.
struct Under {
    core: Arc<Core>,
    count: Arc<AtomicUsize>,
}

impl Under {
    /// One more, if there may be.
    fn way(core: &Arc<Core>, count: &Arc<AtomicUsize>, most: usize) -> Option<Self> {
        let take = |running: usize| (running < most).then_some(running + 1);
        let taken = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok();
        taken.then(|| Self { core: Arc::clone(core), count: Arc::clone(count) })
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Hands a response to the store, behind everybody's back. The claim is held until then.
pub(super) fn put(core: &Arc<Core>, entry: &Arc<Entry>, claim: Option<Claimed>) {
    let Some(tier) = core.tier.as_ref().filter(|_| wiring::can_spawn()) else { return };
    // Who has not heard of the store does not know what was purged since.
    let Some(begun) = entry.head.begun.moment else { return };
    if entry.record_bytes() > core.settings.store_entry_bytes {
        return;
    }
    // What is not written now is written when it is fetched again.
    let Some(writing) = Under::way(core, &tier.writes, MAX_WRITES) else { return };
    let entry = Arc::clone(entry);
    wiring::detach(async move {
        let core = &writing.core;
        if let Some(tier) = &core.tier {
            put_now(core, tier, &entry, begun).await;
        }
        drop(claim);
    });
}

async fn put_now(core: &Core, tier: &Tier, entry: &Entry, begun: Moment) -> Option<()> {
    let head = &entry.head;
    let now = core.clock.now();
    let rules = &head.rules;
    let stale = if rules.forbids_stale { Duration::ZERO } else { core.settings.max_stale };
    let stale = stale.max(rules.stale_if_error.unwrap_or_default()).max(rules.stale_while_revalidate);
    let left = if head.is_expired() || rules.no_cache { Duration::ZERO } else { head.life.left(head.life.age(now)) };
    // What can be validated is of use for longer; a store that is asked to keep it too long is asked for nothing.
    let keep = head.life.left(head.life.age(now)).saturating_add(stale).max(Duration::from_secs(1));
    let record = record::write(entry, now, core.clock.wall());
    let compresses = compressible::compresses(&head.headers);
    let put = |name: &[u8], record, fresh, marks| {
        let key = tier.seal.key(name);
        let put = Put { record: tier.seal.close(&key, record), keep, fresh, marks, begun, compresses };
        async move { within(core, tier.store.put(&key, put)).await }
    };
    if head.selectors.is_empty() {
        return put(head.key.as_bytes(), record, left, head.marks.clone()).await.map(drop);
    }
    let at = begin(core, tier);
    let (held, key, _) = get(core, tier, head.key.as_bytes(), None).await.ok()?;
    let held = held.and_then(|held| read(core, (&head.key, &key), head.uri, at, held));
    let same = |names: &[http::HeaderName]| names.iter().eq(head.selectors.iter().map(super::vary::Selector::name));
    let generation = match held {
        Some(Primary::Variants { names, generation }) if same(&names) => generation,
        _ => core.marks.draw(),
    };
    let variant = record::variant_key(&head.key, generation, &head.selectors);
    if !put(&variant, record, left, head.marks.clone()).await? {
        return None;
    }
    // What chooses is never stale, and nobody fetches it.
    put(head.key.as_bytes(), record::variants(&head.selectors, generation), keep, Box::default()).await.map(drop)
}

/// Takes a resource out of the store.
pub(super) fn remove(core: &Arc<Core>, key: Key) {
    if core.tier.is_none() || !wiring::can_spawn() {
        return;
    }
    let core = Arc::clone(core);
    wiring::detach(async move {
        if let Some(tier) = &core.tier {
            within(&core, tier.store.remove(&tier.seal.key(key.as_bytes()))).await;
        }
    });
}

/// Gives a claim back: others wait for it. A store that fails is told again until it is nobody's by itself.
fn release(core: &Arc<Core>, key: [u8; 32], token: u64, is_declined: bool) {
    let Some(tier) = core.tier.as_ref().filter(|_| wiring::can_spawn()) else { return };
    let Some(releasing) = Under::way(core, &tier.releases, MAX_RELEASES) else { return };
    let until = core.clock.now().checked_add(core.settings.fill_lease);
    wiring::detach(async move {
        let core = &releasing.core;
        let Some(tier) = &core.tier else { return };
        let mut pause = FIRST_AGAIN;
        while within(core, tier.store.release(&key, token, is_declined)).await.is_none() {
            let left = until.map_or(Duration::ZERO, |until| until.saturating_duration_since(core.clock.now()));
            let Some(sleep) = core.clock.sleep(pause.min(left)).filter(|_| !left.is_zero()) else { return };
            sleep.await;
            pause = SLOWEST_AGAIN.min(pause * 2);
        }
    });
}

/// Waits until the store has heard of everything that was purged here before, for as long as one answer may take.
pub(super) async fn settle(core: &Arc<Core>) -> bool {
    let Some(tier) = &core.tier else { return true };
    let until = tier.owed.end();
    task::deliver(core);
    let mut timeout = core.clock.sleep(core.settings.store_timeout);
    poll_fn(|cx| {
        if tier.owed.is_told(until, cx.waker()) {
            return Poll::Ready(true);
        }
        match &mut timeout {
            Some(timeout) => Pin::new(timeout).poll(cx).map(|()| tier.owed.has_told(until)),
            None => Poll::Ready(false),
        }
    })
    .await
}
