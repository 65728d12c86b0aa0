//! Counts for limiters.

mod apart;

use std::sync::LazyLock;
use std::time::Duration;

use super::Redis;
use super::fault::Fault;
use super::question::Code;
use crate::integration::spawn;
use crate::integration::timer::Timer;
use crate::layers::rate_limit::{Answer, Ask, Quota, Settlement, Store, StoreFuture, StoreVerdict};

/// The counts of limiters, in Redis. Made by [`Redis::limits`].
#[derive(Debug, Clone)]
pub struct RedisLimits {
    redis: Redis,
}

static TAKE: LazyLock<Code> = LazyLock::new(|| Code::new(include_str!("take.lua")));
static SETTLE: LazyLock<Code> = LazyLock::new(|| Code::new(include_str!("settle.lua")));

impl RedisLimits {
    pub(super) const fn of(redis: Redis) -> Self {
        Self { redis }
    }

    async fn take_all(&self, asks: &[Ask]) -> Result<Vec<Answer>, Fault> {
        let mut late = self.redis.servers.patience()?;
        let keys: Vec<_> = asks.iter().map(|ask| self.redis.names.limit(&ask.policy, &ask.key)).collect();
        let slots: Vec<_> = keys.iter().map(|key| self.redis.servers.slot(key)).collect();
        if slots.iter().any(|slot| slots.first() != Some(slot)) {
            return self.take_apart(asks, &keys, apart::by_slot(asks, &slots), &mut late).await;
        }
        let together: Vec<_> = asks.iter().collect();
        match self.take(&together, &keys, true, &mut late).await {
            Err(fault) if fault.is_moving() && asks.len() > 1 => {
                self.take_apart(asks, &keys, apart::one_by_one(asks), &mut late).await
            }
            answers => answers,
        }
    }

    /// What stands in one slot, in one script. Nothing is charged unless what was asked before agreed.
    async fn take(&self, asks: &[&Ask], keys: &[String], agreed: bool, late: &mut Timer) -> Result<Vec<Answer>, Fault> {
        let mut numbers: Vec<_> = asks.iter().flat_map(|ask| arguments(ask)).collect();
        numbers.push(agreed.into());
        let question = TAKE.on(keys, &numbers).in_parts(asks.len() > 1);
        let said: Vec<[i64; 7]> = self.redis.servers.ask_within(question, late).await?;
        Ok(said.into_iter().map(answer).collect())
    }

    /// Group by group. When one refuses, what the ones before took is given back.
    async fn take_apart(
        &self,
        asks: &[Ask],
        keys: &[String],
        groups: Vec<Vec<usize>>,
        late: &mut Timer,
    ) -> Result<Vec<Answer>, Fault> {
        let mut answers: Vec<Option<Answer>> = vec![None; asks.len()];
        let (mut agreed, mut charged) = (true, Vec::new());
        for group in groups {
            let of: Vec<_> = group.iter().filter_map(|at| asks.get(*at)).collect();
            let at: Vec<_> = group.iter().filter_map(|at| keys.get(*at).cloned()).collect();
            let said = match self.take(&of, &at, agreed, late).await {
                Ok(said) if said.len() == of.len() => said,
                failed => {
                    // Nobody waits for it: the request goes on without the store.
                    let (this, charged) = (self.clone(), apart::back(&charged));
                    spawn::detach(async move { this.give_back(&charged).await });
                    return Err(failed.err().unwrap_or(Fault::Nobody));
                }
            };
            let agrees = agreed && of.iter().zip(&said).all(|(ask, answer)| !ask.is_enforced || answer.is_admitted());
            if agreed && !agrees {
                self.give_back(&apart::back(&charged)).await;
                for (at, ask, answer) in charged.drain(..) {
                    if let Some(told) = answers.get_mut(at) {
                        *told = Some(apart::undone(ask, &answer));
                    }
                }
            }
            agreed = agrees;
            for ((at, ask), answer) in group.into_iter().zip(of).zip(said) {
                if agreed && answer.is_admitted() {
                    charged.push((at, ask, answer));
                }
                if let Some(told) = answers.get_mut(at) {
                    *told = Some(answer);
                }
            }
        }
        answers.into_iter().collect::<Option<_>>().ok_or(Fault::Nobody)
    }

    /// What does not come back stays charged.
    async fn give_back(&self, charged: &[Settlement]) {
        for settlement in charged {
            let _ = self.settle_one(settlement).await;
        }
    }

    async fn settle_one(&self, settlement: &Settlement) -> Result<(), Fault> {
        let Settlement { policy, key, quota, reserved, cost, mark, only_if_last, .. } = settlement;
        let keys = [self.redis.names.limit(policy, key)];
        let terms = Terms::of(quota);
        let back = terms.need(reserved.saturating_sub(*cost));
        let more = terms.need(cost.saturating_sub(*reserved));
        let debt = terms.full.saturating_mul(DEBT);
        let arguments = [terms.kind, terms.full, back, more, *mark, u64::from(*only_if_last), debt];
        self.redis.servers.ask(SETTLE.on(&keys, &arguments)).await
    }
}

/// Buckets that a key can be in debt.
const DEBT: u64 = 16;

/// A quota in the scripts' terms.
struct Terms {
    kind: u64,
    /// The time of one token, or a window's limit.
    one: u64,
    /// The time of all, or the window.
    full: u64,
}

impl Terms {
    fn of(quota: &Quota) -> Self {
        if quota.is_fixed_window() {
            return Self { kind: 1, one: quota.limit().into(), full: micros(quota.window()) };
        }
        // Rounded up: never a token too many.
        let nanos = quota.window().as_nanos().div_ceil(u128::from(quota.limit()));
        let one = u64::try_from(nanos.div_ceil(1000)).unwrap_or(MOST).clamp(1, MOST);
        Self { kind: 0, one, full: one.saturating_mul(quota.burst().into()).min(MOST) }
    }

    fn need(&self, tokens: u32) -> u64 {
        if self.kind == 1 { tokens.into() } else { self.one.saturating_mul(tokens.into()).min(MOST) }
    }
}

/// The longest time that scripts count with: 73 years, as everywhere. Their numbers are exact up to 285.
const MOST: u64 = (1 << 61) / 1000;

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1000)).unwrap_or(MOST).min(MOST)
}

fn arguments(ask: &Ask) -> [u64; 11] {
    let terms = Terms::of(&ask.quota);
    [
        terms.kind,
        terms.need(ask.cost),
        terms.one,
        terms.full,
        ask.cost.into(),
        ask.spare.into(),
        if terms.kind == 0 { micros(ask.keep_back) } else { 0 },
        if terms.kind == 0 { micros(ask.max_wait) } else { 0 },
        micros(ask.block_for),
        ask.is_enforced.into(),
        micros(ask.ahead),
    ]
}

fn answer([code, wait, full, left, more, spare, mark]: [i64; 7]) -> Answer {
    let time = |micros: i64| Duration::from_micros(micros.try_into().unwrap_or_default());
    let number = |number: i64| u32::try_from(number).unwrap_or_default();
    let wait = time(wait);
    let mut answer = Answer::new(match code {
        0 => StoreVerdict::Admitted { wait },
        2 => StoreVerdict::Blocked { wait },
        _ => StoreVerdict::Refused { wait },
    });
    (answer.full_in, answer.more_in) = (time(full), time(more));
    (answer.remaining, answer.spare) = (number(left), number(spare));
    answer.mark = mark.try_into().unwrap_or_default();
    answer
}

impl Store for RedisLimits {
    fn take<'a>(&'a self, asks: &'a [Ask]) -> StoreFuture<'a, Vec<Answer>> {
        Box::pin(async move { Ok(self.take_all(asks).await?) })
    }

    fn settle<'a>(&'a self, settlement: &'a Settlement) -> StoreFuture<'a, ()> {
        Box::pin(async move { Ok(self.settle_one(settlement).await?) })
    }
}
