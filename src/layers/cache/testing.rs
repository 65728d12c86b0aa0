//! What every [`Store`] of responses must do, as a suite to be run against yours.
//!
//! ```
//! use std::sync::Arc;
//! use tower_rampart::Clock;
//! use tower_rampart::cache::MemoryStore;
//! use tower_rampart::cache::testing::check_store;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), String> {
//! let (clock, hand) = Clock::manual();
//! let store = MemoryStore::new(1 << 20).with_clock(clock);
//! // How time passes: by a clock's hand here, by sleeping for a server that has a clock of its own.
//! check_store(&store, "run-1", async |time| hand.advance(time)).await
//! # }
//! ```

use std::time::Duration;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use super::purge::Purge;
use super::store::{Claim, Look, Looked, Moment, News, Put, Store, StorePurge, Turn};

/// Times that are long beside a test's.
const LONG: Duration = Duration::from_secs(3600);
/// A time to wait for.
const SHORT: Duration = Duration::from_millis(500);
const ROOM: usize = 1 << 20;

/// Runs the suite. `run` is a name that no other run on the same store has; `pass` lets time pass. Nobody else uses the
/// store meanwhile: everything in it is purged.
///
/// # Errors
///
/// What the store did, and should not have.
pub async fn check_store(store: &dyn Store, run: &str, pass: impl AsyncFn(Duration)) -> Result<(), String> {
    let suite = Suite { store, run, pass };
    suite.keeps().await?;
    suite.forgets().await?;
    suite.purges_by_mark().await?;
    suite.refuses_what_was_purged_meanwhile().await?;
    suite.makes_stale().await?;
    suite.purges_everything().await?;
    suite.knows_eras().await?;
    suite.gives_claims().await?;
    suite.declines().await?;
    suite.ends_claims().await?;
    suite.tells().await
}

struct Suite<'a, P> {
    store: &'a dyn Store,
    run: &'a str,
    pass: P,
}

fn demand(holds: bool, what: &str, seen: &dyn std::fmt::Debug) -> Result<(), String> {
    if holds { Ok(()) } else { Err(format!("{what}: {seen:?}")) }
}

const fn purge(mark: Option<u64>, how: Purge) -> StorePurge {
    StorePurge { mark, how }
}

const fn claim(token: u64) -> Option<Claim> {
    Some(Claim { token, lease: LONG })
}

impl<P: AsyncFn(Duration)> Suite<'_, P> {
    /// A key that no other case uses.
    fn key(&self, case: &str) -> [u8; 32] {
        Sha256::digest(format!("{}/{case}", self.run)).into()
    }

    fn mark(&self, case: &str) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.key(&format!("mark/{case}"));
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    async fn look(&self, case: &str, claim: Option<Claim>) -> Result<Looked, String> {
        let key = self.key(case);
        self.store.get(Look { key: &key, max_bytes: ROOM, claim }).await.map_err(|error| error.to_string())
    }

    async fn has(&self, case: &str) -> Result<bool, String> {
        Ok(self.look(case, None).await?.record.is_some())
    }

    async fn is_stale(&self, case: &str) -> Result<Option<bool>, String> {
        Ok(self.look(case, None).await?.record.map(|record| record.is_stale))
    }

    async fn now(&self) -> Result<Moment, String> {
        Ok(self.look("nothing", None).await?.moment)
    }

    async fn put(&self, case: &str, marks: &[u64], begun: Moment) -> Result<bool, String> {
        self.put_for(case, marks, begun, LONG, LONG).await
    }

    async fn put_for(
        &self,
        case: &str,
        marks: &[u64],
        begun: Moment,
        keep: Duration,
        fresh: Duration,
    ) -> Result<bool, String> {
        let record = Bytes::from(case.to_owned());
        let put = Put { record, keep, fresh, marks: marks.into(), begun, compresses: false };
        self.store.put(&self.key(case), put).await.map_err(|error| error.to_string())
    }

    async fn purge(&self, purges: &[StorePurge]) -> Result<Moment, String> {
        self.store.purge(purges, 1).await.map_err(|error| error.to_string())
    }

    async fn release(&self, case: &str, token: u64, is_declined: bool) -> Result<(), String> {
        self.store.release(&self.key(case), token, is_declined).await.map_err(|error| error.to_string())
    }

    async fn keeps(&self) -> Result<(), String> {
        let now = self.now().await?;
        let looked = self.look("keeps", None).await?;
        demand(looked.record.is_none() && looked.turn.is_none(), "nothing is there yet", &looked)?;
        demand(self.put("keeps", &[], now).await?, "a record is kept", &())?;
        let many: Vec<_> = (0..300).map(|at| self.mark(&at.to_string())).collect();
        demand(self.put("keeps-too", &many, now).await?, "one with many marks too", &())?;
        for case in ["keeps", "keeps-too"] {
            let looked = self.look(case, None).await?;
            let is_it = looked.record.as_ref().is_some_and(|record| record.bytes == case.as_bytes());
            demand(is_it, "each is found as it was put", &looked)?;
        }
        let key = self.key("keeps");
        // Any bytes, and those that become fewer on their way.
        for (compresses, step) in [(false, 1), (true, 64)] {
            let record = Bytes::from((0..=255).step_by(step).cycle().take(4096).collect::<Vec<u8>>());
            let put =
                Put { record: record.clone(), keep: LONG, fresh: LONG, marks: Box::default(), begun: now, compresses };
            let is_kept = self.store.put(&key, put).await.map_err(|error| error.to_string())?;
            let looked = self.look("keeps", None).await?;
            let is_it = looked.record.as_ref().is_some_and(|found| found.bytes == record);
            demand(is_kept && is_it, "it is what it was", &looked)?;
            let small = self.store.get(Look { key: &key, max_bytes: 4095, claim: None }).await;
            let small = small.map_err(|error| error.to_string())?;
            demand(small.record.is_none(), "one that is too long is as good as none", &small)?;
        }
        self.store.remove(&key).await.map_err(|error| error.to_string())?;
        demand(!self.has("keeps").await?, "what is removed is gone", &())?;
        demand(self.has("keeps-too").await?, "and nothing else", &())
    }

    async fn forgets(&self) -> Result<(), String> {
        let now = self.now().await?;
        self.put_for("forgets", &[], now, SHORT, SHORT).await?;
        self.put_for("forgets-never", &[], now, Duration::MAX, Duration::MAX).await?;
        demand(self.has("forgets").await?, "a record is there for its time", &())?;
        (self.pass)(SHORT + SHORT / 2).await;
        demand(!self.has("forgets").await?, "and not beyond", &())?;
        demand(self.has("forgets-never").await?, "a time beyond all times is a long one", &())
    }

    async fn purges_by_mark(&self) -> Result<(), String> {
        let [a, b, c] = ["a", "b", "c"].map(|name| self.mark(name));
        let before = self.now().await?;
        for (case, marks) in [("ab", &[a, b][..]), ("b", &[b]), ("c", &[c])] {
            self.put(case, marks, before).await?;
        }
        let after = self.purge(&[purge(Some(a), Purge::Hard)]).await?;
        demand(after.era == before.era && after.number > before.number, "a purge is a moment", &(before, after))?;
        let there = [self.has("ab").await?, self.has("b").await?, self.has("c").await?];
        demand(there == [false, true, true], "what has the mark is gone, and nothing else", &there)?;
        self.purge(&[purge(Some(c), Purge::Hard), purge(Some(b), Purge::Hard)]).await?;
        let there = [self.has("b").await?, self.has("c").await?];
        demand(there == [false, false], "several at once", &there)?;
        let now = self.now().await?;
        demand(self.put("ab", &[a, b], now).await? && self.has("ab").await?, "what is fetched since is kept", &now)
    }

    async fn refuses_what_was_purged_meanwhile(&self) -> Result<(), String> {
        let [a, b] = ["meanwhile", "meanwhile-too"].map(|name| self.mark(name));
        let begun = self.now().await?;
        self.purge(&[purge(Some(a), Purge::Hard)]).await?;
        let kept = [self.put("meanwhile", &[b, a], begun).await?, self.put("meanwhile-too", &[b], begun).await?];
        demand(kept == [false, true], "what was purged while it was fetched is not kept", &kept)?;
        let there = [self.has("meanwhile").await?, self.has("meanwhile-too").await?];
        demand(there == kept, "nor found", &there)
    }

    async fn makes_stale(&self) -> Result<(), String> {
        let mark = self.mark("stale");
        let begun = self.now().await?;
        self.put("stale", &[mark], begun).await?;
        demand(self.is_stale("stale").await? == Some(false), "it is good", &())?;
        self.purge(&[purge(Some(mark), Purge::Soft)]).await?;
        demand(self.is_stale("stale").await? == Some(true), "a soft purge makes it stale", &())?;
        let turn = self.look("stale", claim(1)).await?.turn;
        demand(turn == Some(Turn::Yours), "and somebody fetches it anew", &turn)?;
        self.release("stale", 1, false).await?;
        self.put("stale-too", &[mark], begun).await?;
        demand(self.is_stale("stale-too").await? == Some(true), "also what was being fetched", &())?;
        let now = self.now().await?;
        self.put("stale", &[mark], now).await?;
        demand(self.is_stale("stale").await? == Some(false), "not what is fetched since", &())?;
        self.purge(&[purge(Some(mark), Purge::Hard), purge(Some(mark), Purge::Soft)]).await?;
        demand(!self.has("stale").await?, "the worst counts", &())
    }

    async fn purges_everything(&self) -> Result<(), String> {
        let begun = self.now().await?;
        self.put("all", &[], begun).await?;
        self.purge(&[purge(None, Purge::Soft)]).await?;
        demand(self.is_stale("all").await? == Some(true), "everything is stale", &())?;
        self.purge(&[purge(None, Purge::Hard)]).await?;
        demand(!self.has("all").await?, "everything is gone", &())?;
        demand(!self.put("all", &[], begun).await?, "and what was being fetched is not kept", &())?;
        let now = self.now().await?;
        let is_kept = self.put("all", &[], now).await?;
        demand(is_kept && self.is_stale("all").await? == Some(false), "what is fetched since is good", &())
    }

    async fn knows_eras(&self) -> Result<(), String> {
        let now = self.now().await?;
        let other = Moment { era: now.era ^ 1, number: now.number };
        demand(!self.put("era", &[], other).await?, "what was begun in another era is not kept", &other)?;
        demand(!self.has("era").await?, "nor found", &other)
    }

    async fn gives_claims(&self) -> Result<(), String> {
        let turn = self.look("claims", claim(1)).await?.turn;
        demand(turn == Some(Turn::Yours), "the first fetches", &turn)?;
        let turn = self.look("claims", claim(2)).await?.turn;
        demand(turn == Some(Turn::Taken), "the second waits", &turn)?;
        let turn = self.look("claims", None).await?.turn;
        demand(turn.is_none(), "who does not ask is told nothing", &turn)?;
        self.release("claims", 2, false).await?;
        let turn = self.look("claims", claim(2)).await?.turn;
        demand(turn == Some(Turn::Taken), "only who has it gives it back", &turn)?;
        let now = self.now().await?;
        self.put("claims", &[], now).await?;
        let looked = self.look("claims", claim(2)).await?;
        demand(looked.record.is_some() && looked.turn.is_none(), "what is fresh needs nobody", &looked)?;
        self.release("claims", 1, false).await?;
        self.put_for("claims", &[], now, LONG, Duration::ZERO).await?;
        let looked = self.look("claims", claim(3)).await?;
        let is_right = looked.record.is_some() && looked.turn == Some(Turn::Yours);
        demand(is_right, "what is not fresh is there, and is fetched by one", &looked)?;
        let turn = self.look("claims", claim(4)).await?.turn;
        demand(turn == Some(Turn::Taken), "by one", &turn)
    }

    async fn declines(&self) -> Result<(), String> {
        self.look("declines", claim(1)).await?;
        self.release("declines", 1, true).await?;
        for token in [2, 3] {
            let turn = self.look("declines", claim(token)).await?.turn;
            demand(turn == Some(Turn::Declined), "what is for nobody else is waited for by nobody", &turn)?;
        }
        Ok(())
    }

    async fn ends_claims(&self) -> Result<(), String> {
        self.look("lease", Some(Claim { token: 1, lease: SHORT })).await?;
        (self.pass)(SHORT + SHORT / 2).await;
        let turn = self.look("lease", claim(2)).await?.turn;
        demand(turn == Some(Turn::Yours), "a lease ends", &turn)?;
        self.release("lease", 1, true).await?;
        let turn = self.look("lease", claim(3)).await?.turn;
        demand(turn == Some(Turn::Taken), "who comes late gives nothing back", &turn)
    }

    async fn tells(&self) -> Result<(), String> {
        let Some(mut listener) = self.store.listen() else { return Ok(()) };
        let mut next = async || listener.next().await.map_err(|error| error.to_string());
        let now = self.now().await?;
        let news = next().await?;
        demand(news == News::Back(now), "it is listened from here on", &news)?;
        let mark = self.mark("tells");
        for purges in [vec![purge(Some(mark), Purge::Hard), purge(None, Purge::Soft)], vec![purge(None, Purge::Hard)]] {
            let moment = self.store.purge(&purges, 7).await.map_err(|error| error.to_string())?;
            let news = next().await?;
            demand(news == News::Purged { moment, from: 7, purges }, "purges are told in a row", &news)?;
        }
        let after = self.now().await?;
        demand(after == Moment { number: now.number + 2, ..now }, "each is one further", &after)
    }
}
