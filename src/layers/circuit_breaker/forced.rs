//! What somebody forced last, for circuits that are yet to come.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::word::{NEVER, Phase, Word};

/// See the module.
#[derive(Debug)]
pub(super) struct Forced {
    /// The phase and its end, as in a circuit's word. Closed: nothing is forced.
    word: AtomicU64,
    /// Held by those who steer alone, until all circuits are as the last of them said. Newcomers ask without it.
    steering: Mutex<()>,
}

impl Default for Forced {
    fn default() -> Self {
        Self { word: AtomicU64::new(Word::new(Phase::Closed, 0, 0, 0).bits()), steering: Mutex::new(()) }
    }
}

impl Forced {
    /// Says how circuits begin from now on. Those that there are have to be told before the guard is dropped, and are found
    /// afterwards: one that is made meanwhile has begun so, or is among them.
    pub(super) fn say(&self, phase: Phase, until: u64) -> MutexGuard<'_, ()> {
        let steering = self.steering.lock().unwrap_or_else(PoisonError::into_inner);
        self.word.store(Word::new(phase, 0, 0, until).bits(), Ordering::Release);
        steering
    }

    /// The phase that a circuit begins in at this moment, and its end, where it is not closed.
    pub(super) fn at(&self, now: u64) -> Option<(Phase, u64)> {
        let word = Word::from_bits(self.word.load(Ordering::Acquire));
        let is_over = word.is_closed() || (word.time() != NEVER && now >= word.time());
        (!is_over).then(|| (word.phase(), word.time()))
    }
}
