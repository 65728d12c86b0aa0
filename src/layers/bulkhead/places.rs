//! All places of a bulkhead, and the way of a request through them: first into its key's compartment, then into the one
//! for all. The other way round a key that is full would hold places that others need.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::task::{Poll, Waker};

use super::compartment::Entry;
use super::level::{EVERYBODY, Level};
use super::sync::{Arc, AtomicU64, AtomicUsize, Ordering};

/// How many there may be of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) max_concurrent: usize,
    pub(super) max_concurrent_per_key: usize,
    pub(super) max_queued: usize,
    pub(super) max_queued_per_key: usize,
}

/// What all services of a layer share.
pub(super) struct Places {
    secret: RandomState,
    all: Level,
    by_key: Level,
    queued: AtomicUsize,
    max_queued: AtomicUsize,
    pub(super) refused: AtomicU64,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// All places are taken.
    All,
    /// Those of the request's key are.
    Key,
}

impl Places {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            secret: RandomState::new(),
            all: Level::for_everybody(bounds.max_concurrent),
            by_key: Level::by_key(bounds.max_concurrent_per_key, bounds.max_queued_per_key),
            queued: AtomicUsize::new(0),
            max_queued: AtomicUsize::new(bounds.max_queued),
            refused: AtomicU64::new(0),
        }
    }

    /// Goes on with other bounds. Nobody is put out.
    pub(super) fn resize(&self, bounds: Bounds) {
        self.max_queued.store(bounds.max_queued, Ordering::Relaxed);
        self.by_key.resize(bounds.max_concurrent_per_key, Some(bounds.max_queued_per_key));
        self.all.set_places(bounds.max_concurrent);
    }

    pub(super) fn set_max_concurrent(&self, places: usize) {
        self.all.set_places(places);
    }

    pub(super) fn set_max_concurrent_per_key(&self, places: usize) {
        self.by_key.set_places(places);
    }

    /// Hashes a key with the secret; never to the key of everybody.
    pub(super) fn tag<E>(&self, write: impl FnOnce(&mut dyn Hasher) -> Result<(), E>) -> Result<u64, E> {
        let mut hasher = self.secret.build_hasher();
        write(&mut hasher)?;
        Ok(hasher.finish().max(EVERYBODY + 1))
    }

    pub(super) fn in_flight(&self) -> usize {
        self.all.taken()
    }

    pub(super) fn max_concurrent(&self) -> usize {
        self.all.places()
    }

    pub(super) fn max_concurrent_per_key(&self) -> usize {
        self.by_key.places()
    }

    pub(super) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }

    pub(super) fn max_queued(&self) -> usize {
        self.max_queued.load(Ordering::Relaxed)
    }

    /// Keys that have requests in flight or waiting.
    pub(super) fn keys(&self) -> usize {
        self.by_key.keys()
    }

    fn take_queue_place(&self) -> bool {
        let max_queued = self.max_queued();
        let taken = self
            .queued
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |queued| (queued < max_queued).then_some(queued + 1));
        taken.is_ok()
    }
}

/// What a request holds. Dropped, it gives all of it back, wherever the request has come to.
pub(super) struct Permit {
    places: Arc<Places>,
    key: Option<u64>,
    stage: Stage,
    /// Whether it holds one of the places in the queue.
    queues: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Outside,
    /// It waits for its key's compartment.
    AtKey(u64),
    /// It is in its key's, and not yet in that for all.
    WithinKey,
    /// It waits for that for all.
    AtAll(u64),
    Inside,
}

impl Permit {
    /// A permit that has come as far as it can at once.
    pub(super) fn new(places: &Arc<Places>, key: Option<u64>, may_wait: bool) -> Result<Self, Full> {
        let mut permit = Self { places: Arc::clone(places), key, stage: Stage::Outside, queues: false };
        permit.go_on(may_wait)?;
        Ok(permit)
    }

    pub(super) fn places(&self) -> &Places {
        &self.places
    }

    /// Whether the request may run.
    pub(super) fn is_inside(&self) -> bool {
        self.stage == Stage::Inside
    }

    /// Goes on where it waits. When it still does, the waker is woken for the next try.
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<Result<(), Full>> {
        loop {
            match (self.stage, self.key) {
                (Stage::Inside, _) => return Poll::Ready(Ok(())),
                (Stage::AtKey(ticket), Some(key)) => {
                    if !self.places.by_key.look(key, ticket, waker) {
                        return Poll::Pending;
                    }
                    self.stage = Stage::WithinKey;
                }
                (Stage::AtAll(ticket), _) => {
                    if !self.places.all.look(EVERYBODY, ticket, waker) {
                        return Poll::Pending;
                    }
                    self.arrive();
                }
                (Stage::Outside | Stage::WithinKey | Stage::AtKey(_), _) => {
                    if let Err(full) = self.go_on(true) {
                        return Poll::Ready(Err(full));
                    }
                }
            }
        }
    }

    fn go_on(&mut self, may_wait: bool) -> Result<(), Full> {
        if self.stage != Stage::WithinKey
            && let Some(key) = self.key
        {
            self.stage = if self.places.by_key.enter(key) {
                Stage::WithinKey
            } else {
                self.queue(may_wait).ok_or(Full::Key)?;
                match self.places.by_key.enter_or_wait(key) {
                    Entry::In => Stage::WithinKey,
                    Entry::Queued(ticket) => Stage::AtKey(ticket),
                    Entry::Full => return Err(Full::Key),
                }
            };
            if self.stage != Stage::WithinKey {
                return Ok(());
            }
        }
        if self.places.all.enter(EVERYBODY) {
            self.arrive();
            return Ok(());
        }
        self.queue(may_wait).ok_or(Full::All)?;
        match self.places.all.enter_or_wait(EVERYBODY) {
            Entry::In => self.arrive(),
            Entry::Queued(ticket) => self.stage = Stage::AtAll(ticket),
            Entry::Full => return Err(Full::All),
        }
        Ok(())
    }

    /// Takes a place in the queue, if it has none yet.
    fn queue(&mut self, may_wait: bool) -> Option<()> {
        self.queues = self.queues || (may_wait && self.places.take_queue_place());
        self.queues.then_some(())
    }

    fn arrive(&mut self) {
        self.stage = Stage::Inside;
        self.leave_queue();
    }

    fn leave_queue(&mut self) {
        if std::mem::take(&mut self.queues) {
            self.places.queued.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        match self.stage {
            Stage::Outside | Stage::AtKey(_) | Stage::WithinKey => {}
            Stage::AtAll(ticket) => self.places.all.give_up(EVERYBODY, ticket),
            Stage::Inside => self.places.all.leave(EVERYBODY),
        }
        match (self.stage, self.key) {
            (Stage::Outside, _) | (_, None) => {}
            (Stage::AtKey(ticket), Some(key)) => self.places.by_key.give_up(key, ticket),
            (Stage::WithinKey | Stage::AtAll(_) | Stage::Inside, Some(key)) => self.places.by_key.leave(key),
        }
        self.leave_queue();
    }
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("in_flight", &self.in_flight())
            .field("queued", &self.queued())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("stage", &self.stage).finish_non_exhaustive()
    }
}
