//! A store in the memory of one process.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::future::{poll_fn, ready};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::purge::Purge;
use super::store::{Claim, Listener, Look, Looked, Moment, News, Put, Record, Store, StoreFuture, StorePurge, Turn};
use crate::spine::clock::Clock;

/// A second tier in the memory of one process: for tests, and for several caches that are to be one. Clones are the
/// same store.
#[derive(Clone)]
pub struct MemoryStore {
    shelf: Arc<Mutex<Shelf>>,
    clock: Clock,
    max_bytes: usize,
}

struct Shelf {
    records: HashMap<Box<[u8]>, Kept>,
    /// The oldest first; what was put anew since, or is gone, stands in it too.
    order: VecDeque<(u64, Box<[u8]>)>,
    bytes: usize,
    puts: u64,
    claims: HashMap<Box<[u8]>, (Option<u64>, Instant)>,
    now: Moment,
    /// Numbers of the last purges, hard and soft, by mark; `None` is for everything.
    purged: HashMap<Option<u64>, (u64, u64)>,
    ears: Vec<Weak<Ear>>,
}

struct Kept {
    record: Bytes,
    marks: Box<[u64]>,
    begun: u64,
    /// `None` for a time beyond all times.
    until: Option<Instant>,
    fresh_until: Option<Instant>,
    put: u64,
}

/// What somebody has not heard yet.
#[derive(Default)]
struct Ear(Mutex<(VecDeque<News>, Option<Waker>)>);

/// News that wait for one listener. Beyond, it is told that it has missed some.
const MAX_NEWS: usize = 4096;
/// How long it is known that what was fetched is for nobody else.
const DECLINED: Duration = Duration::from_secs(1);
/// Marks whose purges are known. Beyond, everything is purged.
const MAX_MARKS: usize = 65_536;
/// Claims that are known. Beyond, everybody fetches for itself.
const MAX_CLAIMS: usize = 65_536;

impl MemoryStore {
    /// One that holds records of so many bytes together. The oldest make room.
    #[must_use]
    pub fn new(max_bytes: usize) -> Self {
        Self { shelf: Arc::new(Mutex::new(Shelf::new())), clock: Clock::system(), max_bytes }
    }

    /// The same on another clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Forgets all, its purges too, as a server does that restarts with nothing. Nobody is told.
    pub fn lose_everything(&self) {
        let mut shelf = self.shelf();
        let ears = std::mem::take(&mut shelf.ears);
        *shelf = Shelf { ears, ..Shelf::new() };
    }

    /// The records that are there.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shelf().records.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn new() -> Self {
        Self {
            records: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            puts: 0,
            claims: HashMap::new(),
            now: Moment { era: RandomState::new().hash_one(0), number: 0 },
            purged: HashMap::new(),
            ears: Vec::new(),
        }
    }

    /// The last purges of what has these marks.
    fn purged(&self, marks: &[u64]) -> (u64, u64) {
        let named = marks.iter().map(|mark| Some(*mark)).chain([None]);
        let all = named.filter_map(|mark| self.purged.get(&mark));
        all.fold((0, 0), |(hard, soft), (h, s)| (hard.max(*h), soft.max(*s)))
    }

    fn get(&mut self, key: &[u8], max_bytes: usize, now: Instant) -> (Option<Record>, bool) {
        let Some(kept) = self.records.get(key) else { return (None, false) };
        let (hard, soft) = self.purged(&kept.marks);
        if hard > kept.begun || kept.until.is_some_and(|until| until <= now) {
            self.remove(key);
            return (None, false);
        }
        if kept.record.len() > max_bytes {
            return (None, false);
        }
        let is_stale = soft > kept.begun;
        let is_fresh = !is_stale && kept.fresh_until.is_none_or(|until| now < until);
        (Some(Record { bytes: kept.record.clone(), is_stale }), is_fresh)
    }

    fn claim(&mut self, key: &[u8], Claim { token, lease }: Claim, now: Instant) -> Turn {
        match self.claims.get(key) {
            Some((None, until)) if now < *until => return Turn::Declined,
            Some((Some(other), until)) if now < *until && *other != token => return Turn::Taken,
            _ => {}
        }
        if self.claims.len() >= MAX_CLAIMS {
            self.claims.retain(|_, (_, until)| now < *until);
        }
        match now.checked_add(lease) {
            Some(until) if self.claims.len() < MAX_CLAIMS => {
                self.claims.insert(key.into(), (Some(token), until));
                Turn::Yours
            }
            _ => Turn::Declined,
        }
    }

    fn put(&mut self, key: &[u8], put: Put, max_bytes: usize, now: Instant) -> bool {
        let Put { record, keep, fresh, marks, begun, .. } = put;
        if begun.era != self.now.era || self.purged(&marks).0 > begun.number || record.len() > max_bytes {
            return false;
        }
        self.remove(key);
        self.puts += 1;
        self.bytes += record.len();
        self.order.push_back((self.puts, key.into()));
        let (until, fresh_until) = (now.checked_add(keep), now.checked_add(fresh));
        let kept = Kept { record, marks, begun: begun.number, until, fresh_until, put: self.puts };
        self.records.insert(key.into(), kept);
        while self.bytes > max_bytes || self.order.len() > 2 * self.records.len() + 16 {
            let Some((put, oldest)) = self.order.pop_front() else { break };
            if self.records.get(&oldest).is_some_and(|kept| kept.put == put) {
                if self.bytes > max_bytes {
                    self.remove(&oldest);
                } else {
                    self.order.push_back((put, oldest));
                }
            }
        }
        true
    }

    fn remove(&mut self, key: &[u8]) {
        if let Some(gone) = self.records.remove(key) {
            self.bytes -= gone.record.len();
        }
    }

    fn purge(&mut self, purges: &[StorePurge], from: u64) -> Moment {
        self.now.number += 1;
        let number = self.now.number;
        for StorePurge { mark, how } in purges {
            let (hard, soft) = self.purged.entry(*mark).or_default();
            match how {
                Purge::Hard => *hard = number,
                Purge::Soft => *soft = number,
            }
        }
        if self.purged.len() > MAX_MARKS {
            self.purged = HashMap::from([(None, (number, 0))]);
        }
        let news = News::Purged { moment: self.now, from, purges: purges.to_vec() };
        self.ears.retain(|ear| ear.strong_count() > 0);
        self.ears.iter().filter_map(Weak::upgrade).for_each(|ear| ear.hear(news.clone(), self.now));
        self.now
    }
}

impl Ear {
    fn hear(&self, news: News, now: Moment) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.0.len() >= MAX_NEWS {
            heard.0 = VecDeque::from([News::Back(now)]);
        } else {
            heard.0.push_back(news);
        }
        let waker = heard.1.take();
        drop(heard);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

struct MemoryListener(Arc<Ear>);

impl Listener for MemoryListener {
    fn next(&mut self) -> StoreFuture<'_, News> {
        Box::pin(poll_fn(|cx| {
            let mut heard = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(news) = heard.0.pop_front() {
                return Poll::Ready(Ok(news));
            }
            let before = heard.1.replace(cx.waker().clone());
            drop(heard);
            drop(before);
            Poll::Pending
        }))
    }
}

impl Store for MemoryStore {
    fn get<'a>(&'a self, look: Look<'a>) -> StoreFuture<'a, Looked> {
        let Look { key, max_bytes, claim } = look;
        let now = self.clock.now();
        let mut shelf = self.shelf();
        let (record, is_fresh) = shelf.get(key, max_bytes, now);
        let turn = claim.filter(|_| !is_fresh).map(|claim| shelf.claim(key, claim, now));
        Box::pin(ready(Ok(Looked { record, moment: shelf.now, turn })))
    }

    fn put<'a>(&'a self, key: &'a [u8], put: Put) -> StoreFuture<'a, bool> {
        Box::pin(ready(Ok(self.shelf().put(key, put, self.max_bytes, self.clock.now()))))
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()> {
        self.shelf().remove(key);
        Box::pin(ready(Ok(())))
    }

    fn purge<'a>(&'a self, purges: &'a [StorePurge], from: u64) -> StoreFuture<'a, Moment> {
        Box::pin(ready(Ok(self.shelf().purge(purges, from))))
    }

    fn release<'a>(&'a self, key: &'a [u8], token: u64, is_declined: bool) -> StoreFuture<'a, ()> {
        let now = self.clock.now();
        let mut shelf = self.shelf();
        if let Some((held, until)) = shelf.claims.get(key)
            && *held == Some(token)
            && now < *until
        {
            shelf.claims.remove(key);
            if is_declined && let Some(until) = now.checked_add(DECLINED) {
                shelf.claims.insert(key.into(), (None, until));
            }
        }
        Box::pin(ready(Ok(())))
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        let mut shelf = self.shelf();
        let ear = Arc::new(Ear::default());
        ear.hear(News::Back(shelf.now), shelf.now);
        shelf.ears.push(Arc::downgrade(&ear));
        Some(Box::new(MemoryListener(ear)))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shelf = self.shelf();
        f.debug_struct("MemoryStore")
            .field("records", &shelf.records.len())
            .field("bytes", &shelf.bytes)
            .finish_non_exhaustive()
    }
}
