//! Requests for the same resource that are on their way to the origin, and those that wait for them.
//!
//! One leads, the others follow. What comes of it is told once: a response to share, that there is nothing to share, or
//! that the leader failed, and then one of those who waited leads. A leader that is dropped has failed.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hash};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use super::sync::{Arc, AtomicUsize, Mutex, MutexGuard, Ordering};

/// Locks among which keys are spread.
const SHARDS: usize = 16;
/// Flights of one resource at a time: one for each variant that is fetched.
pub(super) const MAX_PER_KEY: usize = 64;

/// What is told to those who wait.
#[derive(Debug)]
pub(super) enum Outcome<T> {
    /// This answers you too, if you ask for the same variant.
    Shared(T),
    /// There is nothing to share: ask for yourself.
    Declined,
    /// The leader failed: one of you leads.
    Failed,
}

impl<T: Clone> Clone for Outcome<T> {
    fn clone(&self) -> Self {
        match self {
            Self::Shared(shared) => Self::Shared(shared.clone()),
            Self::Declined => Self::Declined,
            Self::Failed => Self::Failed,
        }
    }
}

struct Flight<T> {
    state: Mutex<State<T>>,
    begun: Instant,
    /// The number that stood when it began: a request that comes after a write does not join a fill begun before.
    number: u64,
}

struct State<T> {
    outcome: Option<(Outcome<T>, Instant)>,
    waiting: HashMap<u64, Waker>,
    next: u64,
}

impl<T> Flight<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

type ByKey<K, T> = HashMap<K, Vec<Arc<Flight<T>>>>;
type Shard<K, T> = Mutex<ByKey<K, T>>;

/// All flights of a cache.
pub(super) struct Flights<K, T> {
    shards: Box<[Shard<K, T>]>,
    hasher: RandomState,
    count: AtomicUsize,
    max: usize,
    max_waiting: usize,
}

/// What a request is among those for the same resource.
pub(super) enum Role<K: Hash + Eq + Clone, T: Clone> {
    Leader(Lead<K, T>),
    Follower(Follow<T>),
    /// There is no room to lead or to wait.
    Alone,
}

/// Whom a request may follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) now: Instant,
    /// A flight that has gone on for longer, or whose response has, is not joined.
    pub(super) patience: Duration,
    /// The number of the last write to the resource.
    pub(super) not_before: u64,
    /// The number of a flight that begins.
    pub(super) number: u64,
}

impl<K: Hash + Eq + Clone, T: Clone> Flights<K, T> {
    pub(super) fn new(max: usize, max_waiting: usize) -> Self {
        let shards = (0..SHARDS).map(|_| Shard::default()).collect();
        Self { shards, hasher: RandomState::new(), count: AtomicUsize::new(0), max, max_waiting }
    }

    /// How many fly.
    pub(super) fn len(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    fn shard(&self, key: &K) -> Option<MutexGuard<'_, ByKey<K, T>>> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).ok()?;
        Some(self.shards.get(at)?.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    /// Follows a flight that `suits`, else leads one. What is shared already is shown to `suits`; a flight that has
    /// nothing to show yet may turn out to suit.
    pub(super) fn join(self: &Arc<Self>, key: &K, terms: Terms, suits: impl Fn(&T) -> bool) -> Role<K, T> {
        let Some(mut shard) = self.shard(key) else { return Role::Alone };
        let flights = shard.get(key).map(Vec::as_slice).unwrap_or_default();
        for flight in flights.iter().filter(|flight| flight.number >= terms.not_before) {
            let mut state = flight.state();
            let is_open = |since: Instant| terms.now.saturating_duration_since(since) <= terms.patience;
            let may_join = match &state.outcome {
                None => is_open(flight.begun),
                Some((Outcome::Shared(shared), since)) => is_open(*since) && suits(shared),
                Some(_) => false,
            };
            if !may_join {
                continue;
            }
            if state.waiting.len() >= self.max_waiting {
                return Role::Alone;
            }
            let id = state.next;
            state.next += 1;
            return Role::Follower(Follow { flight: Arc::clone(flight), id });
        }
        if flights.len() >= MAX_PER_KEY || !self.take_place() {
            return Role::Alone;
        }
        let state = State { outcome: None, waiting: HashMap::new(), next: 0 };
        let flight = Arc::new(Flight { state: Mutex::new(state), begun: terms.now, number: terms.number });
        shard.entry(key.clone()).or_default().push(Arc::clone(&flight));
        Role::Leader(Lead { flights: Arc::clone(self), key: key.clone(), flight })
    }

    fn take_place(&self) -> bool {
        let take = |count: usize| (count < self.max).then_some(count + 1);
        self.count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take).is_ok()
    }

    /// Takes a flight out: by its identity, since another may stand under the same key.
    fn remove(&self, key: &K, flight: &Arc<Flight<T>>) {
        let Some(mut shard) = self.shard(key) else { return };
        if let Entry::Occupied(mut held) = shard.entry(key.clone()) {
            let before = held.get().len();
            held.get_mut().retain(|other| !Arc::ptr_eq(other, flight));
            self.count.fetch_sub(before - held.get().len(), Ordering::SeqCst);
            if held.get().is_empty() {
                held.remove();
            }
        }
    }
}

/// A request that others may follow. Dropped without a word, it has failed.
pub(super) struct Lead<K: Hash + Eq + Clone, T: Clone> {
    flights: Arc<Flights<K, T>>,
    key: K,
    flight: Arc<Flight<T>>,
}

impl<K: Hash + Eq + Clone, T: Clone> Lead<K, T> {
    /// Shares this with all who wait and with those who come while this lives.
    pub(super) fn share(&self, shared: T, now: Instant) {
        self.tell(Outcome::Shared(shared), now);
    }

    /// Tells all who wait that there is nothing to share.
    pub(super) fn decline(self, now: Instant) {
        self.tell(Outcome::Declined, now);
    }

    fn tell(&self, outcome: Outcome<T>, now: Instant) {
        let waiting = {
            let mut state = self.flight.state();
            if state.outcome.is_some() {
                return;
            }
            state.outcome = Some((outcome, now));
            std::mem::take(&mut state.waiting)
        };
        // Outside the lock, since a waker may run anything.
        waiting.into_values().for_each(Waker::wake);
    }
}

impl<K: Hash + Eq + Clone, T: Clone> Drop for Lead<K, T> {
    fn drop(&mut self) {
        self.flights.remove(&self.key, &self.flight);
        self.tell(Outcome::Failed, self.flight.begun);
    }
}

/// A request that waits for another's response.
pub(super) struct Follow<T> {
    flight: Arc<Flight<T>>,
    id: u64,
}

impl<T: Clone> Follow<T> {
    /// What came of it, once it is known.
    pub(super) fn poll(&self, waker: &Waker) -> Poll<Outcome<T>> {
        let mut state = self.flight.state();
        match &state.outcome {
            Some((outcome, _)) => Poll::Ready(outcome.clone()),
            None => {
                // Dropped outside the lock, since it may run anything.
                let before = state.waiting.insert(self.id, waker.clone());
                drop(state);
                drop(before);
                Poll::Pending
            }
        }
    }
}

impl<T> Drop for Follow<T> {
    fn drop(&mut self) {
        let waker = self.flight.state().waiting.remove(&self.id);
        drop(waker);
    }
}
