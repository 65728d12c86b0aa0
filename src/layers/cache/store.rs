//! The second tier, as the cache sees it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::purge::Purge;
pub use crate::spine::store::{StoreError, StoreFuture};

/// Where a store is in the row of purges that it was told of. All instances hear the same from it.
///
/// Fills and purges are told apart by it: a response whose fill began at one moment is good for nothing when what it
/// stands under was purged at a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_structs, reason = "stores make them, and compare all of it")]
pub struct Moment {
    /// Drawn when the store begins with nothing. One that has lost its purges draws another, and nothing from before is
    /// good.
    pub era: u64,
    /// Grows by one with each [`Store::purge`].
    pub number: u64,
}

/// What is asked of [`Store::get`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Look<'a> {
    /// 32 bytes, a hash.
    pub key: &'a [u8],
    /// A longer record is as good as none.
    pub max_bytes: usize,
    /// Who would fetch what is not there, or not fresh.
    pub claim: Option<Claim>,
}

impl<'a> Look<'a> {
    /// For a record of any length, which nobody would fetch.
    #[must_use]
    pub const fn new(key: &'a [u8]) -> Self {
        Self { key, max_bytes: usize::MAX, claim: None }
    }
}

/// Who would fetch what a store does not have, so that other instances wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a name and a time, and stores make none")]
pub struct Claim {
    /// By whom it is held: drawn, and nobody else's.
    pub token: u64,
    /// After so long it is nobody's.
    pub lease: Duration,
}

/// What becomes of a [`Claim`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "whoever asks goes, waits, or goes by itself")]
pub enum Turn {
    /// It is yours to fetch.
    Yours,
    /// Somebody else fetches it.
    Taken,
    /// Somebody did, and it was not for others: fetch for yourself.
    Declined,
}

/// What a store answers to a [`Look`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Looked {
    /// What is there, and was not purged.
    pub record: Option<Record>,
    /// When that was so.
    pub moment: Moment,
    /// What became of the claim; `None` where there was none, or what is there is fresh.
    pub turn: Option<Turn>,
}

impl Looked {
    /// Nothing is there.
    #[must_use]
    pub const fn nothing(moment: Moment) -> Self {
        Self { record: None, moment, turn: None }
    }
}

/// What a store has.
#[derive(Clone)]
#[non_exhaustive]
pub struct Record {
    /// As they were put.
    pub bytes: Bytes,
    /// Whether a soft purge has made it stale.
    pub is_stale: bool,
}

impl Record {
    /// One that was not purged.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Self {
        Self { bytes, is_stale: false }
    }
}

impl fmt::Debug for Record {
    /// Its length, and nothing of what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("bytes", &self.bytes.len()).field("is_stale", &self.is_stale).finish()
    }
}

/// What a store is given to keep.
#[derive(Clone)]
#[non_exhaustive]
pub struct Put {
    /// Bytes that mean nothing to the store.
    pub record: Bytes,
    /// It is of no use afterwards.
    pub keep: Duration,
    /// For so long nobody needs to fetch it.
    pub fresh: Duration,
    /// What a purge may name.
    pub marks: Box<[u64]>,
    /// The last that was heard of the store when its fill began.
    pub begun: Moment,
    /// Whether the record may become much shorter when it is compressed: it is text, and in no coding yet.
    pub compresses: bool,
}

impl Put {
    /// A record that nothing can purge but its key and everything, and that is not fresh for any time.
    #[must_use]
    pub fn new(record: Bytes, keep: Duration, begun: Moment) -> Self {
        Self { record, keep, fresh: Duration::ZERO, marks: Box::default(), begun, compresses: false }
    }
}

impl fmt::Debug for Put {
    /// The record's length, and nothing of what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Put")
            .field("record", &self.record.len())
            .field("keep", &self.keep)
            .field("fresh", &self.fresh)
            .field("marks", &self.marks.len())
            .field("begun", &self.begun)
            .finish()
    }
}

/// What is purged: what has this mark, or everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "stores tell each other, and say all of it")]
pub struct StorePurge {
    /// `None` is for everything.
    pub mark: Option<u64>,
    /// How it is meant.
    pub how: Purge,
}

/// What an instance hears of the others.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "stores make them, and the cache heeds all")]
pub enum News {
    /// It is listened from here on. First of all, and again whenever something may have been missed.
    Back(Moment),
    /// Somebody purged.
    Purged {
        /// Which this one is in the row.
        moment: Moment,
        /// Who it was.
        from: u64,
        /// What was purged.
        purges: Vec<StorePurge>,
    },
}

/// Hears what instances purge.
pub trait Listener: Send {
    /// The next. An error is a connection that was lost: it is asked again a little later, and says [`News::Back`] first.
    fn next(&mut self) -> StoreFuture<'_, News>;
}

/// A second tier, behind the cache's own memory: shared by several instances, or outliving them.
///
/// It keeps records: bytes that mean nothing to it, under keys and marks that mean nothing to it. A record is a response
/// with all that the cache must know of it, sealed; keys and marks are hashes. What a store says late or not at all is a
/// miss, and what it fails to write is written again when it is fetched again: a cache never fails because its store does.
///
/// What it must do is keep purges: what was put before a purge, or was being fetched when it came, is never found
/// afterwards. A store that loses its purges begins another era, in which nothing from before is found. The suite
/// `testing::check_store` (feature `test-util`) says whether one of your own does all of it. [`MemoryStore`](super::MemoryStore)
/// is one in memory:
///
/// ```
/// use std::sync::Arc;
/// use tower_rampart::cache::{Cache, MemoryStore};
///
/// // Two caches that are one, as two instances are with a store that both reach.
/// let store = Arc::new(MemoryStore::new(64 << 20));
/// let one = Cache::builder().with_store(store.clone()).build()?;
/// let other = Cache::builder().with_store(store).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no second tier of a cache",
    label = "is not `tower_rampart::cache::Store`",
    note = "implement it, or use `redis.cache()` with feature `redis`"
)]
pub trait Store: Send + Sync + 'static {
    /// What all instances hash keys and marks with, and seal records with, and nobody else knows. It is asked once.
    /// Without one, whoever reads the store can try URIs and tags, and whoever writes to it can make responses.
    fn secret(&self) -> Vec<u8> {
        Vec::new()
    }

    /// The record under a key, if it is at hand without waiting. It is asked on the way of every miss in memory.
    fn get_now(&self, key: &[u8]) -> Option<Record> {
        let _ = key;
        None
    }

    /// The record under a key, if it was not purged; and whether it is the asker's to fetch it, where it is not there or not
    /// fresh.
    fn get<'a>(&'a self, look: Look<'a>) -> StoreFuture<'a, Looked>;

    /// Keeps a record, unless something that it stands under was purged hard since its fill began, or its era is over.
    /// Says whether it is kept.
    fn put<'a>(&'a self, key: &'a [u8], put: Put) -> StoreFuture<'a, bool>;

    /// Forgets a record.
    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()>;

    /// Purges what stands under these, and tells all who listen that `from` did. Says when that was.
    fn purge<'a>(&'a self, purges: &'a [StorePurge], from: u64) -> StoreFuture<'a, Moment>;

    /// Gives a claim back, if it is still the token's. Where what was fetched is for nobody else, others are told so for
    /// a little while.
    fn release<'a>(&'a self, key: &'a [u8], token: u64, is_declined: bool) -> StoreFuture<'a, ()>;

    /// Somebody who hears what is purged; `None` for a store of a single instance.
    fn listen(&self) -> Option<Box<dyn Listener>>;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn secret(&self) -> Vec<u8> {
        S::secret(self)
    }

    fn get_now(&self, key: &[u8]) -> Option<Record> {
        S::get_now(self, key)
    }

    fn get<'a>(&'a self, look: Look<'a>) -> StoreFuture<'a, Looked> {
        S::get(self, look)
    }

    fn put<'a>(&'a self, key: &'a [u8], put: Put) -> StoreFuture<'a, bool> {
        S::put(self, key, put)
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()> {
        S::remove(self, key)
    }

    fn purge<'a>(&'a self, purges: &'a [StorePurge], from: u64) -> StoreFuture<'a, Moment> {
        S::purge(self, purges, from)
    }

    fn release<'a>(&'a self, key: &'a [u8], token: u64, is_declined: bool) -> StoreFuture<'a, ()> {
        S::release(self, key, token, is_declined)
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        S::listen(self)
    }
}
