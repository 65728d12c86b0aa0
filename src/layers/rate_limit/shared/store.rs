//! What a store of counts is asked, and what it answers.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::super::quota::Quota;
pub use crate::spine::store::{StoreError, StoreFuture};

/// Counts that several instances share.
///
/// A store answers within a bounded time, or says that it cannot: a request waits for as long as it takes. It has a
/// clock of its own, so that instances need not agree about the time. The suite in
/// [`testing`](super::testing) (feature `test-util`) says whether one keeps what it promises; [`MemoryStore`](super::MemoryStore) is
/// the simplest that does.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no store of counts",
    label = "is not `tower_rampart::rate_limit::Store`",
    note = "implement `take` and `settle` for it, or use `MemoryStore::new()`, or `redis.limits()` with feature `redis`"
)]
pub trait Store: Send + Sync + 'static {
    /// Asks for all that one request needs, then charges all or none: when an enforced one is not admitted, nobody is
    /// charged. One answer for each ask, in their order. No two asks have the same policy.
    fn take<'a>(&'a self, asks: &'a [Ask]) -> StoreFuture<'a, Vec<Answer>>;

    /// Replaces what a charge took by what it turned out to cost. It takes back no more than is outstanding: what time
    /// has brought back meanwhile is not given twice.
    fn settle<'a>(&'a self, settlement: &'a Settlement) -> StoreFuture<'a, ()>;
}

impl<S: Store + ?Sized> Store for Arc<S> {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> StoreFuture<'a, Vec<Answer>> {
        S::take(self, asks)
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> StoreFuture<'a, ()> {
        S::settle(self, settlement)
    }
}

/// What one policy asks for one request.
#[derive(Clone)]
#[non_exhaustive]
pub struct Ask {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Whose requests count together, as its extractor wrote it: clients chose some of it, so it is for hashing, and
    /// not for logs.
    pub key: Arc<[u8]>,
    /// The quota that counts for this request.
    pub quota: Quota,
    /// Tokens that the request takes, no more than the quota ever holds. At 0 it is a look: refused only when nothing is
    /// left, and it takes nothing.
    pub cost: u32,
    /// Tokens beyond `cost` that the instance would take along. A store gives some of them, or none, and never makes
    /// a request fail for their sake; a good one gives no more than a quarter of what is left.
    pub spare: u32,
    /// The part of a bucket that is kept back, in time: what leases may be late by.
    pub keep_back: Duration,
    /// How long the request can wait for its tokens, instead of being refused. Buckets only.
    pub max_wait: Duration,
    /// How long a key is shut out that is refused; zero is not at all.
    pub block_for: Duration,
    /// How far beyond a full bucket's worth a charge can lie: what is found beyond it was written by somebody else, and
    /// is cut.
    pub ahead: Duration,
    /// Whether a refusal of it refuses the request. One that is not is charged when the request is admitted and it
    /// would be too.
    pub is_enforced: bool,
}

impl Ask {
    /// One token.
    pub fn new(policy: impl Into<Arc<str>>, key: impl Into<Arc<[u8]>>, quota: Quota) -> Self {
        Self {
            policy: policy.into(),
            key: key.into(),
            quota,
            cost: 1,
            spare: 0,
            keep_back: Duration::ZERO,
            max_wait: Duration::ZERO,
            block_for: Duration::ZERO,
            ahead: Duration::ZERO,
            is_enforced: true,
        }
    }
}

impl fmt::Debug for Ask {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("policy", &self.policy)
            .field("quota", &self.quota)
            .field("cost", &self.cost)
            .field("spare", &self.spare)
            .finish_non_exhaustive()
    }
}

/// What a store says to one [`Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreVerdict {
    /// It is admitted after this wait, which is zero unless it may wait.
    Admitted {
        /// How long the request waits.
        wait: Duration,
    },
    /// Not now.
    Refused {
        /// When as much will be there, if nobody else takes it.
        wait: Duration,
    },
    /// The key is shut out.
    Blocked {
        /// For how long, and until as much is there.
        wait: Duration,
    },
}

/// What a store says to one [`Ask`], and where the key stands afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Answer {
    /// Whether it is admitted.
    pub verdict: StoreVerdict,
    /// Tokens that are left.
    pub remaining: u32,
    /// How long until there is one more; zero when there are all.
    pub more_in: Duration,
    /// How long until there are all.
    pub full_in: Duration,
    /// Tokens that were taken along.
    pub spare: u32,
    /// What the store wants to be told when the charge is settled.
    pub mark: u64,
}

impl Answer {
    /// An answer about a key that has nothing left.
    #[must_use]
    pub const fn new(verdict: StoreVerdict) -> Self {
        Self { verdict, remaining: 0, more_in: Duration::ZERO, full_in: Duration::ZERO, spare: 0, mark: 0 }
    }

    /// Whether it is admitted, be it after a wait.
    #[must_use]
    pub const fn is_admitted(&self) -> bool {
        matches!(self.verdict, StoreVerdict::Admitted { .. })
    }
}

/// What became of a charge.
#[derive(Clone)]
#[non_exhaustive]
pub struct Settlement {
    /// The policy's name.
    pub policy: Arc<str>,
    /// Whose charge it is.
    pub key: Arc<[u8]>,
    /// The quota by which it was charged.
    pub quota: Quota,
    /// What was taken.
    pub reserved: u32,
    /// What it came to.
    pub cost: u32,
    /// What [`Answer::mark`] said.
    pub mark: u64,
    /// Whether it is taken back only if nobody was charged after it: others have their turns behind it.
    pub only_if_last: bool,
}

impl Settlement {
    /// The charge of an ask is taken back.
    #[must_use]
    pub fn of(ask: &Ask, mark: u64) -> Self {
        Self {
            policy: Arc::clone(&ask.policy),
            key: Arc::clone(&ask.key),
            quota: ask.quota,
            reserved: ask.cost,
            cost: 0,
            mark,
            only_if_last: false,
        }
    }
}

impl fmt::Debug for Settlement {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settlement")
            .field("policy", &self.policy)
            .field("reserved", &self.reserved)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}
