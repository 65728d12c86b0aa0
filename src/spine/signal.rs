//! Waiting for something that somebody else brings about, by as many as want to and no more than may.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::task::{Context, Poll, Waker};

use super::sync::{Mutex, MutexGuard};

/// Wakes all that wait, each time it is given. `tests/races` runs it under a model checker.
pub(crate) struct Signal {
    state: Mutex<State>,
    max_waiting: usize,
}

#[derive(Default)]
struct State {
    given: u64,
    /// Who waits, by the number of the wait; none until it is polled.
    waiting: BTreeMap<u64, Option<Waker>>,
    waits: u64,
}

impl Signal {
    /// A signal that so many may wait for at once.
    pub(crate) fn new(max_waiting: usize) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), max_waiting })
    }

    /// A wait for the next time; `None` when enough wait already.
    pub(crate) fn wait(self: &Arc<Self>) -> Option<Wait> {
        let mut state = self.state();
        if state.waiting.len() >= self.max_waiting {
            return None;
        }
        let id = state.waits;
        state.waits += 1;
        state.waiting.insert(id, None);
        Some(Wait { seen: state.given, id, signal: Arc::clone(self) })
    }

    /// Ends all waits there are, and returns who is to be woken: outside of all locks, since a waker may run anything.
    pub(crate) fn give(&self) -> Woken {
        let mut state = self.state();
        state.given += 1;
        Woken(state.waiting.values_mut().filter_map(Option::take).collect())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A waker that panicked left the list whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those whose waits have ended.
#[must_use = "nobody is woken before they are told to"]
pub(crate) struct Woken(Vec<Waker>);

impl Woken {
    pub(crate) fn wake(self) {
        self.0.into_iter().for_each(Waker::wake);
    }
}

/// Ends when the signal is given for the first time after the wait began.
pub(crate) struct Wait {
    signal: Arc<Signal>,
    seen: u64,
    id: u64,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // Wakers are cloned and dropped outside the lock: either may run anything, another wait's end too.
        let waker = cx.waker().clone();
        let mut state = self.signal.state();
        if state.given != self.seen {
            return Poll::Ready(());
        }
        let before = state.waiting.insert(self.id, Some(waker));
        drop(state);
        drop(before);
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let waker = self.signal.state().waiting.remove(&self.id);
        drop(waker);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("waiting", &self.state().waiting.len()).finish_non_exhaustive()
    }
}
