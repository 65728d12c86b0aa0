//! What every [`Store`] of counts must do, as a suite to be run against yours.
//!
//! ```
//! use std::sync::Arc;
//! use tower_rampart::Clock;
//! use tower_rampart::rate_limit::{MemoryStore, testing};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), String> {
//! let (clock, hand) = Clock::manual();
//! let store = MemoryStore::new().with_clock(clock);
//! // How time passes: by a clock's hand here, by sleeping for a server that has a clock of its own.
//! testing::check_store(&store, "run-1", async |time| hand.advance(time)).await
//! # }
//! ```

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use super::super::quota::{Quota, QuotaBuilder};
use super::store::{Answer, Ask, Settlement, Store, StoreFuture, StoreVerdict};

/// Times that are long beside a test's: nothing comes back while it runs.
const LONG: Duration = Duration::from_secs(3600);
/// A time to wait for.
const SHORT: Duration = Duration::from_millis(500);

/// Runs the suite. `run` is a name that no other run on the same counts has; `pass` lets time pass.
///
/// # Errors
///
/// What the store did, and should not have.
pub async fn check_store(store: &dyn Store, run: &str, pass: impl AsyncFn(Duration)) -> Result<(), String> {
    let suite = Suite { store, run, pass };
    suite.counts_exactly().await?;
    suite.keeps_apart().await?;
    suite.looks().await?;
    suite.charges_all_or_none().await?;
    suite.shadows().await?;
    suite.gives_along().await?;
    suite.keeps_back().await?;
    suite.settles().await?;
    suite.lets_wait().await?;
    suite.shuts_out().await?;
    suite.counts_windows().await?;
    suite.follows_quotas().await?;
    suite.counts_side_by_side().await?;
    suite.brings_back().await
}

struct Suite<'a, P> {
    store: &'a dyn Store,
    run: &'a str,
    pass: P,
}

fn quota(builder: QuotaBuilder) -> Result<Quota, String> {
    builder.build().map_err(|error| error.to_string())
}

fn demand(holds: bool, what: &str, seen: &dyn std::fmt::Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {seen:?}")) }
}

impl<P: AsyncFn(Duration)> Suite<'_, P> {
    /// A token of a bucket that no other case uses.
    fn ask(&self, case: &str, quota: Quota) -> Ask {
        Ask::new("suite", format!("{}/{case}", self.run).into_bytes(), quota)
    }

    async fn take(&self, asks: &[Ask]) -> Result<Vec<Answer>, String> {
        let answers = self.store.take(asks).await.map_err(|error| error.to_string())?;
        demand(answers.len() == asks.len(), "there is one answer for each ask", &answers)?;
        Ok(answers)
    }

    async fn take_one(&self, ask: &Ask) -> Result<Answer, String> {
        let answers = self.take(std::slice::from_ref(ask)).await?;
        answers.first().copied().ok_or_else(|| String::from("there is no answer"))
    }

    async fn settle(&self, ask: &Ask, mark: u64, cost: u32) -> Result<(), String> {
        let settlement = Settlement { cost, ..Settlement::of(ask, mark) };
        self.store.settle(&settlement).await.map_err(|error| error.to_string())
    }

    /// What a look says is left.
    async fn left(&self, ask: &Ask) -> Result<u32, String> {
        let look = Ask { cost: 0, spare: 0, ..ask.clone() };
        Ok(self.take_one(&look).await?.remaining)
    }

    async fn counts_exactly(&self) -> Result<(), String> {
        let ask = self.ask("counts", quota(Quota::new(10).per(LONG))?);
        for left in (0..10).rev() {
            let answer = self.take_one(&ask).await?;
            demand(
                answer.is_admitted() && answer.remaining == left,
                "ten requests are admitted, and told so",
                &answer,
            )?;
        }
        let answer = self.take_one(&ask).await?;
        let StoreVerdict::Refused { wait } = answer.verdict else {
            return Err(format!("the eleventh is refused: {answer:?}"));
        };
        let interval = LONG / 10;
        demand(!wait.is_zero() && wait <= interval, "it is told when one comes back", &answer)?;
        demand(answer.remaining == 0 && answer.full_in <= LONG, "nothing is left", &answer)?;
        demand(
            answer.more_in <= interval && answer.full_in > LONG - interval,
            "and it knows when there is more",
            &answer,
        )
    }

    async fn keeps_apart(&self) -> Result<(), String> {
        let one = self.ask("apart", quota(Quota::new(1).per(LONG))?);
        let other_key = self.ask("apart-too", one.quota);
        let other_policy = Ask { policy: "other".into(), ..one.clone() };
        for ask in [&one, &other_key, &other_policy] {
            let answer = self.take_one(ask).await?;
            demand(answer.is_admitted(), "keys and policies have counts of their own", &answer)?;
        }
        Ok(())
    }

    async fn looks(&self) -> Result<(), String> {
        let ask = self.ask("looks", quota(Quota::new(2).per(LONG))?);
        let look = Ask { cost: 0, ..ask.clone() };
        for left in [2, 2] {
            let answer = self.take_one(&look).await?;
            demand(answer.is_admitted() && answer.remaining == left, "a look takes nothing", &answer)?;
        }
        let dear = Ask { cost: 2, ..ask.clone() };
        self.take_one(&ask).await?;
        let answer = self.take_one(&dear).await?;
        demand(!answer.is_admitted(), "what costs more than is left is refused", &answer)?;
        let answer = self.take_one(&ask).await?;
        demand(answer.is_admitted(), "and takes nothing", &answer)?;
        let answer = self.take_one(&look).await?;
        demand(!answer.is_admitted(), "a look is refused when nothing is left", &answer)
    }

    async fn charges_all_or_none(&self) -> Result<(), String> {
        let wide = self.ask("all", quota(Quota::new(10).per(LONG))?);
        let narrow = Ask { policy: "narrow".into(), quota: quota(Quota::new(1).per(LONG))?, ..wide.clone() };
        let both = [wide.clone(), narrow];
        let first = self.take(&both).await?;
        demand(first.iter().all(Answer::is_admitted), "both have room", &first)?;
        let second = self.take(&both).await?;
        let refused: Vec<_> = second.iter().map(|answer| !answer.is_admitted()).collect();
        demand(refused == [false, true], "each says for itself whether it would admit", &second)?;
        let left = self.left(&wide).await?;
        demand(left == 9, "when one refuses none is charged", &left)
    }

    async fn shadows(&self) -> Result<(), String> {
        let wide = self.ask("shadow", quota(Quota::new(10).per(LONG))?);
        let narrow = quota(Quota::new(1).per(LONG))?;
        let shadow = Ask { policy: "shadow".into(), quota: narrow, is_enforced: false, ..wide.clone() };
        let both = [wide.clone(), shadow.clone()];
        self.take(&both).await?;
        let second = self.take(&both).await?;
        let refused: Vec<_> = second.iter().map(|answer| !answer.is_admitted()).collect();
        demand(refused == [false, true], "a shadow says that it would refuse", &second)?;
        let left = self.left(&wide).await?;
        demand(left == 8, "and does not", &left)
    }

    async fn gives_along(&self) -> Result<(), String> {
        let ask = Ask { spare: 1000, ..self.ask("spare", quota(Quota::new(100).per(LONG))?) };
        let (mut taken, mut left) = (0, 100);
        loop {
            let answer = self.take_one(&ask).await?;
            if !answer.is_admitted() {
                demand(answer.spare == 0, "a refusal gives nothing along", &answer)?;
                break;
            }
            demand(answer.spare <= left / 4, "no more than a quarter of what is left is given along", &answer)?;
            taken += 1 + answer.spare;
            demand(answer.remaining + taken == 100, "what is given along is taken", &answer)?;
            left = answer.remaining;
        }
        demand(taken == 100, "no more is given than there is", &taken)
    }

    async fn keeps_back(&self) -> Result<(), String> {
        let ask = Ask { keep_back: LONG / 20, ..self.ask("back", quota(Quota::new(100).per(LONG))?) };
        let mut taken = 0;
        while self.take_one(&ask).await?.is_admitted() {
            taken += 1;
            demand(taken <= 100, "it ends", &taken)?;
        }
        demand((94..=95).contains(&taken), "a twentieth is kept back", &taken)
    }

    async fn settles(&self) -> Result<(), String> {
        let ask = self.ask("settles", quota(Quota::new(10).per(LONG))?);
        let ask = Ask { cost: 4, ahead: 16 * LONG, ..ask };
        let answer = self.take_one(&ask).await?;
        self.settle(&ask, answer.mark, 1).await?;
        let left = self.left(&ask).await?;
        demand(left == 9, "what was not used comes back", &left)?;
        let answer = self.take_one(&ask).await?;
        self.settle(&ask, answer.mark, 12).await?;
        let answer = self.take_one(&ask).await?;
        demand(!answer.is_admitted() && answer.full_in > LONG, "what was dearer is owed", &answer)?;
        let unknown = self.ask("settles-nothing", ask.quota);
        self.settle(&unknown, 1, 0).await?;
        let left = self.left(&unknown).await?;
        demand(left == 10, "nothing comes of a charge that time has brought back", &left)
    }

    async fn lets_wait(&self) -> Result<(), String> {
        let ask = Ask { max_wait: LONG, ahead: LONG, ..self.ask("waits", quota(Quota::new(2).per(LONG))?) };
        let mut last = Answer::new(StoreVerdict::Admitted { wait: Duration::ZERO });
        for turn in 0..4_u32 {
            let before = last;
            last = self.take_one(&ask).await?;
            let StoreVerdict::Admitted { wait } = last.verdict else {
                return Err(format!("it may wait for an hour: {last:?}"));
            };
            let turns = turn.saturating_sub(1);
            let due = LONG / 2 * turns;
            demand(wait <= due && wait + LONG / 60 >= due, "each waits behind the one before", &last)?;
            if turn == 3 {
                self.leaves_its_turn(&ask, before, last).await?;
            }
        }
        let answer = self.take_one(&ask).await?;
        demand(answer.is_admitted(), "who leaves the end of the queue makes room", &answer)?;
        let answer = self.take_one(&ask).await?;
        demand(!answer.is_admitted(), "and there it ends", &answer)
    }

    async fn leaves_its_turn(&self, ask: &Ask, before: Answer, last: Answer) -> Result<(), String> {
        for answer in [before, last] {
            let settlement = Settlement { only_if_last: true, ..Settlement::of(ask, answer.mark) };
            self.store.settle(&settlement).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    async fn shuts_out(&self) -> Result<(), String> {
        for (case, builder) in
            [("blocks", Quota::new(1).per(LONG)), ("blocks-window", Quota::new(1).per(LONG).fixed_window())]
        {
            let ask = Ask { block_for: 3 * LONG, ..self.ask(case, quota(builder)?) };
            self.take_one(&ask).await?;
            for _ in 0..2 {
                let answer = self.take_one(&ask).await?;
                let StoreVerdict::Blocked { wait } = answer.verdict else {
                    return Err(format!("who is refused is shut out: {answer:?}"));
                };
                demand(wait > 2 * LONG && wait <= 3 * LONG, "for as long as was said", &answer)?;
            }
        }
        Ok(())
    }

    async fn counts_windows(&self) -> Result<(), String> {
        let ask = self.ask("window", quota(Quota::new(4).per(LONG).fixed_window())?);
        for left in (0..4).rev() {
            let answer = self.take_one(&ask).await?;
            demand(answer.is_admitted() && answer.remaining == left, "a window counts", &answer)?;
            if left == 0 {
                self.settle(&ask, answer.mark, 0).await?;
            }
        }
        let answer = self.take_one(&ask).await?;
        demand(answer.is_admitted(), "what is taken back is there again", &answer)?;
        let answer = self.take_one(&ask).await?;
        let StoreVerdict::Refused { wait } = answer.verdict else {
            return Err(format!("a window that is used up refuses: {answer:?}"));
        };
        demand(wait <= LONG && wait > LONG / 2, "until its end", &answer)
    }

    async fn follows_quotas(&self) -> Result<(), String> {
        let wide = self.ask("changes", quota(Quota::new(1000).per(1000 * LONG))?);
        let ask = Ask { cost: 1000, ..wide };
        self.take_one(&ask).await?;
        let narrow = Ask { cost: 1, quota: quota(Quota::new(1).per(SHORT))?, ..ask };
        let window =
            Ask { policy: "windows".into(), quota: quota(Quota::new(1).per(LONG).fixed_window())?, ..narrow.clone() };
        self.take_one(&window).await?;
        let narrow_window = Ask { quota: quota(Quota::new(1).per(SHORT).fixed_window())?, ..window };
        for ask in [&narrow, &narrow_window] {
            let answer = self.take_one(ask).await?;
            let StoreVerdict::Refused { wait } = answer.verdict else {
                return Err(format!("a smaller quota gives no credit: {answer:?}"));
            };
            demand(wait <= SHORT, "nobody waits longer than the new quota takes", &answer)?;
        }
        (self.pass)(SHORT + SHORT / 2).await;
        for ask in [&narrow, &narrow_window] {
            let answer = self.take_one(ask).await?;
            demand(answer.is_admitted(), "and then it is admitted", &answer)?;
        }
        Ok(())
    }

    async fn counts_side_by_side(&self) -> Result<(), String> {
        let ask = self.ask("side", quota(Quota::new(50).per(LONG))?);
        let asks = std::slice::from_ref(&ask);
        let mut running: Vec<StoreFuture<'_, Vec<Answer>>> = (0..200).map(|_| self.store.take(asks)).collect();
        let (mut admitted, mut fault) = (0, None);
        poll_fn(|cx| {
            running.retain_mut(|future| match Pin::new(future).poll(cx) {
                Poll::Pending => true,
                Poll::Ready(Ok(answers)) => {
                    admitted += answers.iter().filter(|answer| answer.is_admitted()).count();
                    false
                }
                Poll::Ready(Err(error)) => {
                    fault = Some(error.to_string());
                    false
                }
            });
            if running.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        demand(fault.is_none(), "two hundred at once are no fault", &fault)?;
        demand(admitted == 50, "of two hundred at once, fifty are admitted", &admitted)
    }

    async fn brings_back(&self) -> Result<(), String> {
        for (case, builder) in
            [("bucket-back", Quota::new(1).per(SHORT)), ("window-back", Quota::new(1).per(SHORT).fixed_window())]
        {
            let ask = self.ask(case, quota(builder)?);
            self.take_one(&ask).await?;
            (self.pass)(SHORT + SHORT / 2).await;
            let answer = self.take_one(&ask).await?;
            demand(answer.is_admitted(), "time brings tokens back", &answer)?;
        }
        Ok(())
    }
}
