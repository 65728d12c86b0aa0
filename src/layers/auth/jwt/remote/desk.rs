//! What requests and tasks share of the fetches: who begins one, who waits for it, who goes on. The time comes in, and
//! `tests/races` runs it under a model checker.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use super::refresh::{Need, Plan, Progress, Rules};
use crate::spine::signal::{Signal, Wait};
use crate::spine::sync::{Mutex, MutexGuard};

/// The fetches of one set of keys. At most one runs.
pub(crate) struct Desk {
    rules: Rules,
    progress: Mutex<Progress>,
    fetched: Arc<Signal>,
}

/// What a token that needs keys is told.
pub(crate) enum Turn {
    GoOn,
    Unavailable(Duration),
    Wait(Wait),
}

/// What whoever fetches ahead does next.
pub(crate) enum Ahead {
    /// Run the fetch that has begun, and wait for its end.
    Fetch(Option<Wait>),
    Sleep(Duration),
    /// One runs: wait for its end.
    Wait(Option<Wait>),
}

/// A fetch that has begun. Dropped before it has succeeded, it has failed; either way those who wait are told.
#[must_use = "a fetch that nobody runs has failed"]
pub(crate) struct Fetching {
    desk: Arc<Desk>,
    succeeded: Option<Instant>,
}

/// What clients are told that cannot wait for a fetch.
const RETRY: Duration = Duration::from_secs(5);

impl Desk {
    pub(crate) fn new(rules: Rules, max_waiting: usize) -> Self {
        Self { rules, progress: Mutex::default(), fetched: Signal::new(max_waiting) }
    }

    /// What to do for a token, and the fetch that is to be run for it. Where nobody can fetch, none begins; who `waited`
    /// does not wait again.
    pub(crate) fn ask(
        self: &Arc<Self>,
        now: Instant,
        need: Need,
        waited: bool,
        can_fetch: bool,
    ) -> (Turn, Option<Fetching>) {
        let mut progress = self.progress();
        let plan = progress.plan(&self.rules, now, need);
        let begins = matches!(plan, Plan::Fetch | Plan::GoOnAndFetch) && can_fetch;
        if begins {
            progress.begun(now);
        }
        // Under the lock: a fetch that runs cannot end before somebody waits for it.
        let wait = if matches!(plan, Plan::Fetch | Plan::Wait) && !waited { self.fetched.wait() } else { None };
        drop(progress);
        let fetching = begins.then(|| self.fetching());
        let turn = match plan {
            Plan::GoOn | Plan::GoOnAndFetch => Turn::GoOn,
            Plan::Unavailable(left) => Turn::Unavailable(left),
            Plan::Fetch if !begins => Turn::Unavailable(RETRY),
            Plan::Fetch | Plan::Wait => wait.map_or(Turn::Unavailable(RETRY), Turn::Wait),
        };
        (turn, fetching)
    }

    /// What is next for whoever fetches ahead, and the fetch that is to be run.
    pub(crate) fn ahead(self: &Arc<Self>, now: Instant) -> (Ahead, Option<Fetching>) {
        let mut progress = self.progress();
        match progress.due_in(&self.rules, now) {
            Some(due) if due.is_zero() => {
                progress.begun(now);
                let wait = self.fetched.wait();
                drop(progress);
                (Ahead::Fetch(wait), Some(self.fetching()))
            }
            Some(due) => (Ahead::Sleep(due), None),
            None => (Ahead::Wait(self.fetched.wait()), None),
        }
    }

    pub(crate) fn are_usable(&self, now: Instant) -> bool {
        self.progress().are_usable(&self.rules, now)
    }

    /// Goes on from where another one is, unless this one has brought something already; `take` takes what it brought.
    pub(crate) fn go_on_from(&self, other: &Self, take: impl FnOnce()) {
        // One lock after the other, so that two that go on from each other do not wait for each other.
        let before = *other.progress();
        let mut progress = self.progress();
        if progress.goes_on_from(&before) {
            take();
        }
    }

    fn fetching(self: &Arc<Self>) -> Fetching {
        Fetching { desk: Arc::clone(self), succeeded: None }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fetching {
    /// What was fetched is there.
    pub(crate) fn succeeded(mut self, now: Instant) {
        self.succeeded = Some(now);
    }
}

impl Drop for Fetching {
    fn drop(&mut self) {
        let mut progress = self.desk.progress();
        match self.succeeded {
            Some(now) => progress.succeeded(now),
            None => progress.failed(),
        }
        // Under the lock: whoever begins another fetch after this one waits for that one's end, not for this one's.
        let woken = self.desk.fetched.give();
        drop(progress);
        woken.wake();
    }
}
