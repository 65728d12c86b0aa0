//! Watching and steering circuits.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::circuit::{Circuit, rejection};
use super::circuits::Circuits;
use super::permit::Permit;
use super::settings::Mode;
use super::state::{Reason, State};
use super::word::{NEVER, Phase};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestView;
use crate::spine::signal::Wait;

/// Watches and steers a layer's circuits, from anywhere and without waiting. Clones are the same handle.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::circuit_breaker::{CircuitBreaker, State};
///
/// let layer = CircuitBreaker::new("payments").build()?;
/// let handle = layer.handle();
/// assert_eq!(handle.snapshot().state, State::Closed);
/// // Maintenance: nobody is to call for ten minutes.
/// handle.force_open(Duration::from_secs(600));
/// assert_eq!(handle.snapshot().state, State::ForcedOpen);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct CircuitBreakerHandle {
    circuits: Arc<Circuits>,
}

/// How a circuit is at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct CircuitBreakerSnapshot {
    /// What a call of this moment would meet.
    pub state: State,
    /// How long it will yet be open; `None` when it is not, or nobody knows.
    pub open_for: Option<Duration>,
    /// How often in a row it has opened; in health, one less for each [`forget_after`](super::CircuitBreaker::forget_after).
    pub openings_in_a_row: u32,
    /// The calls in its window.
    pub calls: u32,
    /// The failures among them, overload included.
    pub failures: u32,
    /// The slow ones among them.
    pub slow: u32,
    /// What its calls came to, since the start.
    pub totals: Counts,
    /// Whether it refuses at all.
    pub mode: Mode,
}

/// What calls came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Calls that did what they should.
    pub successes: u64,
    /// Calls that failed.
    pub failures: u64,
    /// Calls that were told that there are too many.
    pub overloads: u64,
    /// Calls that said nothing: left early, refused by layers further in, or held up as probes until their leases ended, whose
    /// results are stale then.
    pub neutral: u64,
    /// Results that came after the circuit had moved on.
    pub stale: u64,
    /// Calls that were refused, or would have been.
    pub refused: u64,
    /// How often it opened.
    pub opened: u64,
}

impl CircuitBreakerHandle {
    pub(super) const fn of(circuits: Arc<Circuits>) -> Self {
        Self { circuits }
    }

    /// The circuit's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.circuits.common.name
    }

    /// How the circuit is. Of circuits by key, the one of requests that have none or found no room.
    #[must_use]
    pub fn snapshot(&self) -> CircuitBreakerSnapshot {
        snapshot(&self.circuits.common)
    }

    /// How the circuit of a request like this one is; `None` when there is none yet.
    #[must_use]
    pub fn snapshot_of(&self, request: RequestView<'_>) -> Option<CircuitBreakerSnapshot> {
        self.circuits.find(request).map(|circuit| snapshot(&circuit))
    }

    /// How all circuits are, in no order: more than one only where they are by key.
    #[must_use]
    pub fn snapshots(&self) -> Vec<CircuitBreakerSnapshot> {
        self.circuits.all().iter().map(|circuit| snapshot(circuit)).collect()
    }

    /// How often a request's key found no room.
    #[must_use]
    pub fn overflowed(&self) -> u64 {
        self.circuits.keyed.as_ref().map_or(0, |keyed| keyed.registry.overflowed())
    }

    /// Refuses all calls for so long, all circuits by key alike; then probes decide. [`Duration::MAX`] is for ever.
    ///
    /// Keys that are seen for the first time meanwhile are refused too; those that are seen only after it begin closed.
    pub fn force_open(&self, time: Duration) {
        self.force(Phase::ForcedOpen, Some(time), Reason::Forced);
    }

    /// Lets all calls through and counts none, for so long, also those of keys that are seen for the first time meanwhile;
    /// then the circuit is closed and begins anew. [`Duration::MAX`] is for ever.
    pub fn disable_for(&self, time: Duration) {
        self.force(Phase::Disabled, Some(time), Reason::Forced);
    }

    /// Lets all calls through and counts none, those of keys to come too, until [`reset`](Self::reset).
    pub fn disable(&self) {
        self.force(Phase::Disabled, None, Reason::Forced);
    }

    /// Closed, with nothing counted and no opening remembered. It ends whatever was forced.
    pub fn reset(&self) {
        self.force(Phase::Closed, None, Reason::Reset);
    }

    /// Lets the circuits refuse, or only say what they would refuse.
    pub fn set_mode(&self, mode: Mode) {
        self.circuits.shared.is_shadow.store(mode == Mode::Shadow, Ordering::Relaxed);
    }

    fn force(&self, phase: Phase, time: Option<Duration>, reason: Reason) {
        let now = self.circuits.shared.now_ms();
        let until = match time {
            None | Some(Duration::MAX) => NEVER,
            Some(time) => now.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)).min(NEVER),
        };
        let steering = self.circuits.shared.forced.say(phase, until);
        let circuits = self.circuits.all();
        let mut changes = Vec::with_capacity(circuits.len());
        for circuit in &circuits {
            circuit.machine.force(phase, until, reason, now, &mut |change| changes.push((circuit, change)));
        }
        drop(steering);
        // Whoever is told may steer.
        for (circuit, change) in changes {
            circuit.tell(change);
        }
    }

    /// Asks for leave to make one call that no service makes: with another client, say, or to a database.
    ///
    /// ```
    /// # use tower_rampart::circuit_breaker::CircuitBreaker;
    /// # fn query() -> Result<u32, std::io::Error> { Ok(1) }
    /// let breaker = CircuitBreaker::new("database").build()?.handle();
    /// let permit = breaker.admit()?;
    /// match query() {
    ///     Ok(_) => permit.success(),
    ///     Err(_) => permit.failure(),
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// The rejection, when the circuit is open.
    pub fn admit(&self) -> Result<Permit, Rejection> {
        let circuit = Arc::clone(&self.circuits.common);
        let mut permit = super::service::admit(circuit).map_err(rejection)?;
        permit.waits();
        Ok(permit)
    }

    /// Sees every change of the circuit from now on, or the last of several.
    #[must_use]
    pub fn watch(&self) -> Watch {
        let circuit = Arc::clone(&self.circuits.common);
        Watch { seen: circuit.machine.word().generation(), state: circuit.state(), circuit }
    }
}

fn snapshot(circuit: &Circuit) -> CircuitBreakerSnapshot {
    let (shared, machine, tally) = (&circuit.shared, &circuit.machine, &circuit.tally);
    let now = shared.now_ms();
    let totals = machine.totals(now);
    let shut = machine.would_refuse(|| now);
    CircuitBreakerSnapshot {
        state: machine.state(now),
        open_for: shut.and_then(|shut| shut.wait).map(Duration::from_millis),
        openings_in_a_row: machine.openings(now),
        calls: totals.calls,
        failures: totals.failures,
        slow: totals.slow,
        totals: Counts {
            successes: tally.successes.load(Ordering::Relaxed),
            failures: tally.failures.load(Ordering::Relaxed),
            overloads: tally.overloads.load(Ordering::Relaxed),
            neutral: tally.neutral.load(Ordering::Relaxed),
            stale: tally.stale.load(Ordering::Relaxed),
            refused: tally.refused.load(Ordering::Relaxed),
            opened: tally.opened.load(Ordering::Relaxed),
        },
        mode: if circuit.is_shadow() { Mode::Shadow } else { Mode::Enforce },
    }
}

/// Sees a circuit change. Made by [`CircuitBreakerHandle::watch`].
///
/// A circuit moves when calls meet it: one that is open goes half-open with the first call after its time.
pub struct Watch {
    circuit: Arc<Circuit>,
    seen: u32,
    state: State,
}

impl Watch {
    /// Waits for the next change, and says how the circuit is then. A change that is over by the time somebody looks is
    /// seen with the one after it.
    pub fn changed(&mut self) -> Changed<'_> {
        let wait = self.circuit.shared.changed.wait();
        Changed { watch: self, wait }
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("circuit", &self.circuit.name).field("state", &self.state).finish()
    }
}

/// The next change of a circuit.
#[must_use = "futures do nothing unless they are polled"]
pub struct Changed<'a> {
    watch: &'a mut Watch,
    wait: Option<Wait>,
}

impl Future for Changed<'_> {
    type Output = CircuitBreakerSnapshot;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<CircuitBreakerSnapshot> {
        loop {
            let generation = self.watch.circuit.machine.word().generation();
            let state = self.watch.circuit.state();
            if generation != self.watch.seen || state != self.watch.state {
                (self.watch.seen, self.watch.state) = (generation, state);
                return Poll::Ready(snapshot(&self.watch.circuit));
            }
            let Some(wait) = &mut self.wait else {
                // Too many wait: look again, at the expense of this task.
                self.wait = self.watch.circuit.shared.changed.wait();
                cx.waker().wake_by_ref();
                return Poll::Pending;
            };
            if Pin::new(wait).poll(cx).is_pending() {
                return Poll::Pending;
            }
            // Waited for anew before it is looked again, so that no change falls in between.
            self.wait = self.watch.circuit.shared.changed.wait();
        }
    }
}

impl fmt::Debug for Changed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changed").field("watch", &self.watch).finish_non_exhaustive()
    }
}
