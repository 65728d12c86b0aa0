//! Waiting for something that somebody else brings about, by as many as want to and no more than may.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Wakes all that wait, each time it is given.
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

    /// Wakes everybody; outside the lock, since a waker may run anything.
    pub(crate) fn give(&self) {
        let mut state = self.state();
        state.given += 1;
        let wakers: Vec<_> = state.waiting.values_mut().filter_map(Option::take).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A waker that panicked left the list whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut state = self.signal.state();
        if state.given != self.seen {
            return Poll::Ready(());
        }
        state.waiting.insert(self.id, Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.signal.state().waiting.remove(&self.id);
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signal").field("waiting", &self.state().waiting.len()).finish_non_exhaustive()
    }
}
