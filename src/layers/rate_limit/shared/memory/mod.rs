//! A store in the memory of one process.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::super::meter::{Decision, Meter, Verdict};
use super::super::rule::nanos;
use super::store::{Answer, Ask, Settlement, Store, StoreError, StoreFuture, StoreVerdict};
use crate::spine::clock::Clock;

/// Shared counts in the memory of one process: for tests, and for several limiters that count as one. Clones are the
/// same store.
///
/// It holds a million keys. What says nothing any more makes room; when all count, newcomers are an error, and the
/// layer goes on as when a store fails.
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
/// use tower_rampart::rate_limit::{MemoryStore, Quota, RateLimit, SharedCounts};
///
/// let store = Arc::new(MemoryStore::new());
/// let limit = || RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60)));
/// // A hundred for both together.
/// let one = limit().shared_counts(SharedCounts::new(store.clone())).build_throttle()?;
/// let other = limit().shared_counts(SharedCounts::new(store)).build_throttle()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    cells: Arc<Mutex<Cells>>,
    clock: Clock,
}

#[derive(Default)]
struct Cells {
    by_key: HashMap<Name, (Meter, u64)>,
    /// How many there may be before somebody looks which of them still count.
    sweep_at: usize,
}

type Name = (Arc<str>, Arc<[u8]>);

const MAX_KEYS: usize = 1_000_000;
const FIRST_SWEEP: usize = 1024;

impl MemoryStore {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces the clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    fn cells(&self) -> MutexGuard<'_, Cells> {
        // A cell is one word, so what was left is whole.
        self.cells.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_now(&self, asks: &[Ask]) -> Result<Vec<Answer>, StoreError> {
        let mut cells = self.cells();
        let now = self.clock.ticks();
        if !cells.has_room_for(asks.len(), now) {
            return Err(StoreError::new("there is no room for another key"));
        }
        // What is cut stays cut: else it would be further ahead for ever.
        let cut = |ask: &Ask, cells: &Cells| {
            Meter::new(&ask.quota).cut(cells.get(&ask.policy, &ask.key), nanos(ask.ahead), now)
        };
        let judged: Vec<_> = asks.iter().map(|ask| judge(ask, cut(ask, &cells), now)).collect();
        let is_admitted = |judged: &Judged| judged.decision.verdict == Verdict::Admitted;
        let agreed = asks.iter().zip(&judged).all(|(ask, judged)| is_admitted(judged) || !ask.is_enforced);
        let answers = asks.iter().zip(judged).map(|(ask, judged)| {
            let writes = if is_admitted(&judged) { agreed } else { judged.shuts };
            let next = if writes { judged.decision.next } else { cut(ask, &cells) };
            if next != cells.get(&ask.policy, &ask.key) {
                cells.by_key.insert((Arc::clone(&ask.policy), Arc::clone(&ask.key)), (Meter::new(&ask.quota), next));
            }
            answer(ask, &judged, next, agreed, now)
        });
        Ok(answers.collect())
    }

    fn settle_now(&self, settlement: &Settlement) {
        let Settlement { policy, key, quota, reserved, cost, mark, only_if_last } = settlement;
        let mut cells = self.cells();
        let now = self.clock.ticks();
        let (meter, held) = (Meter::new(quota), cells.get(policy, key));
        if *only_if_last && held != *mark {
            return;
        }
        let next = meter.settle(held, *reserved, *cost, Some(*mark), now);
        cells.by_key.insert((Arc::clone(policy), Arc::clone(key)), (meter, next));
    }
}

/// What an ask comes to by itself.
struct Judged {
    decision: Decision,
    wait_nanos: u64,
    spare: u32,
    /// Whether a refusal is written, since it shuts the key out.
    shuts: bool,
}

fn judge(ask: &Ask, cell: u64, now: u64) -> Judged {
    let meter = Meter::new(&ask.quota);
    // Whoever keeps something back decides as if so much more were used.
    let back = if meter.paces() { nanos(ask.keep_back) } else { 0 };
    let held = if back == 0 { cell } else { cell.max(now).saturating_add(back) };
    let decide = |cost: u32| {
        let decision = meter.decide(held, cost, now);
        match decision.verdict {
            Verdict::Admitted if decision.next != held => Decision { next: decision.next - back, ..decision },
            _ => Decision { next: cell, ..decision },
        }
    };
    let mut judged = Judged { decision: decide(ask.cost), wait_nanos: 0, spare: 0, shuts: false };
    match judged.decision.verdict {
        Verdict::Admitted if ask.spare > 0 => {
            let left = meter.standing(judged.decision.next.saturating_add(back), now).remaining;
            let spare = ask.spare.min(left / 4);
            let with_spare = decide(ask.cost.saturating_add(spare));
            if with_spare.verdict == Verdict::Admitted {
                (judged.decision, judged.spare) = (with_spare, spare);
            }
        }
        Verdict::Refused { wait_nanos: Some(wait) } if wait <= nanos(ask.max_wait) && meter.paces() => {
            judged.decision = meter.decide(cell, ask.cost, now.saturating_add(wait));
            judged.wait_nanos = wait;
        }
        Verdict::Refused { .. } if !ask.block_for.is_zero() => {
            if let Some(blocked) = meter.block(cell, ask.cost, nanos(ask.block_for), now) {
                (judged.decision, judged.shuts) = (blocked, true);
            }
        }
        _ => {}
    }
    judged
}

fn answer(ask: &Ask, judged: &Judged, cell: u64, agreed: bool, now: u64) -> Answer {
    let standing = Meter::new(&ask.quota).standing(cell, now);
    let wait = |wait_nanos: Option<u64>| Duration::from_nanos(wait_nanos.unwrap_or(u64::MAX));
    Answer {
        verdict: match judged.decision.verdict {
            Verdict::Admitted => StoreVerdict::Admitted { wait: Duration::from_nanos(judged.wait_nanos) },
            Verdict::Blocked { wait_nanos } => StoreVerdict::Blocked { wait: Duration::from_nanos(wait_nanos) },
            Verdict::Refused { wait_nanos } => StoreVerdict::Refused { wait: wait(wait_nanos) },
            Verdict::TooCostly | Verdict::NoRoom => StoreVerdict::Refused { wait: wait(None) },
        },
        remaining: standing.remaining,
        more_in: Duration::from_nanos(standing.next_nanos),
        full_in: Duration::from_nanos(standing.full_nanos),
        spare: if agreed { judged.spare } else { 0 },
        mark: cell,
    }
}

impl Cells {
    fn get(&self, policy: &Arc<str>, key: &Arc<[u8]>) -> u64 {
        self.by_key.get(&(Arc::clone(policy), Arc::clone(key))).map_or(0, |(_, cell)| *cell)
    }

    fn has_room_for(&mut self, more: usize, now: u64) -> bool {
        if self.by_key.len() + more > self.sweep_at.max(FIRST_SWEEP) {
            self.by_key.retain(|_, (meter, cell)| meter.expiry(*cell) > now);
            self.sweep_at = (2 * self.by_key.len()).min(MAX_KEYS);
        }
        self.by_key.len() + more <= MAX_KEYS
    }
}

impl Store for MemoryStore {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> StoreFuture<'a, Vec<Answer>> {
        Box::pin(ready(self.take_now(asks)))
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> StoreFuture<'a, ()> {
        self.settle_now(settlement);
        Box::pin(ready(Ok(())))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("keys", &self.cells().by_key.len()).finish_non_exhaustive()
    }
}
