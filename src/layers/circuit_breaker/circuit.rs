//! A circuit with a name, and all that its calls share.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;

use super::forced::Forced;
use super::layer::Time;
use super::machine::{Heard, Machine, Outcome, Shut, Ticket};
use super::settings::WhenOpen;
use super::stalls::Stalls;
use super::state::{Change, State};
use super::terms::Terms;
use crate::spine::classify::HeadVerdict;
use crate::spine::event::{self, CircuitEvent, Origin, Sampler};
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::{Refuser, Rejection};
use crate::spine::request::RequestView;
use crate::spine::response::ResponseView;
use crate::spine::signal::Signal;

/// Judges the head of a response.
pub(super) type JudgeHead = Arc<dyn Fn(ResponseView<'_>) -> HeadVerdict + Send + Sync>;
/// Answers in the stead of a refusal.
pub(super) type Fallback = Arc<dyn Fn(&Rejection, RequestView<'_>) -> Option<Response<Bytes>> + Send + Sync>;

/// Is told of changes.
pub(super) type OnChange = Arc<dyn Fn(&str, Change) + Send + Sync>;

/// What all circuits of a layer share.
pub(super) struct Shared {
    pub(super) time: Time,
    pub(super) refuser: Refuser,
    pub(super) judge_head: Option<JudgeHead>,
    pub(super) fallback: Option<Fallback>,
    pub(super) on_change: Option<OnChange>,
    /// Whether others report its changes.
    pub(super) is_quiet: bool,
    pub(super) when_open: WhenOpen,
    /// What is slow, in nanoseconds.
    pub(super) slow_after: Option<u64>,
    /// After what time a call that is left counts.
    pub(super) cancel_after: Option<u64>,
    pub(super) is_shadow: AtomicBool,
    /// Given at every change, and when a probe's slot is given back.
    pub(super) changed: Arc<Signal>,
    pub(super) sampler: Sampler,
    pub(super) said_no_key: AtomicBool,
    pub(super) forced: Forced,
}

impl Shared {
    #[inline]
    pub(super) fn now_ms(&self) -> u64 {
        self.time.now_nanos() / NANOS_PER_MS
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("when_open", &self.when_open).finish_non_exhaustive()
    }
}

pub(super) const NANOS_PER_MS: u64 = 1_000_000;

/// What has happened since the start.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) successes: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) overloads: AtomicU64,
    pub(super) neutral: AtomicU64,
    pub(super) stale: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) opened: AtomicU64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Circuit {
    pub(super) name: Arc<str>,
    pub(super) machine: Machine,
    pub(super) shared: Arc<Shared>,
    pub(super) tally: Tally,
    pub(super) stalls: Stalls,
    /// Whether it is one of many of that name.
    is_keyed: bool,
}

impl Circuit {
    pub(super) fn new(name: Arc<str>, terms: Terms, shared: Arc<Shared>, seed: u64, is_keyed: bool) -> Self {
        let now = shared.now_ms();
        let machine = Machine::new(terms, seed, now);
        if let Some((phase, until)) = shared.forced.at(now) {
            machine.begin_forced(phase, until);
        }
        if !is_keyed {
            event::circuit_is(&name, State::Closed.name());
        }
        Self { name, machine, shared, tally: Tally::default(), stalls: Stalls::default(), is_keyed }
    }

    /// One that lets everything through, and that nobody sees.
    pub(super) fn disabled(shared: Arc<Shared>) -> Self {
        let machine = Machine::disabled();
        let (tally, stalls) = (Tally::default(), Stalls::default());
        Self { name: Arc::from(""), machine, shared, tally, stalls, is_keyed: true }
    }

    /// Lets a call through, or not. In shadow mode what is shut says so too, and the call goes through uncounted.
    #[inline]
    pub(super) fn admit(&self) -> Result<Ticket, Shut> {
        if let Some(ticket) = self.machine.admit_closed() {
            return Ok(ticket);
        }
        self.take_back();
        self.machine.admit(|| self.shared.now_ms(), &mut |change| self.tell(change))
    }

    /// Whether a call of this moment would be refused.
    pub(super) fn would_refuse(&self) -> Option<Shut> {
        if self.is_shadow() {
            return None;
        }
        self.take_back();
        self.machine.would_refuse(|| self.shared.now_ms())
    }

    /// Returns the slots of probes that are held up at the end of their leases: before those are found to have failed.
    #[cold]
    fn take_back(&self) {
        let now = || self.shared.now_ms();
        if !self.machine.has_ended_probe(now) {
            return;
        }
        let now = now();
        let taken = self.stalls.take_back(|ticket| self.machine.is_over(ticket, now));
        let heard: Vec<_> = taken
            .into_iter()
            .map(|ticket| {
                self.machine.hear(ticket, Outcome::Neutral, false, None, || now, &mut |change| self.tell(change))
            })
            .collect();
        heard.into_iter().for_each(|heard| self.note(Outcome::Neutral, heard));
    }

    /// What is not a plain success is counted for metrics too.
    #[cold]
    pub(super) fn note(&self, outcome: Outcome, heard: Heard) {
        let tally = &self.tally;
        let (counter, event): (&AtomicU64, _) = match (heard, outcome) {
            (Heard::Stale, _) => (&tally.stale, CircuitEvent::Stale),
            (Heard::Counted, Outcome::Success) => return,
            (Heard::Counted, Outcome::Failure) => (&tally.failures, CircuitEvent::Failure),
            (Heard::Counted, Outcome::Overload) => (&tally.overloads, CircuitEvent::Overload),
            (Heard::Counted, Outcome::Neutral) => (&tally.neutral, CircuitEvent::Neutral),
        };
        counter.fetch_add(1, Ordering::Relaxed);
        event::circuit(event, &self.name, &self.shared.sampler, self.shared.time.clock());
        if outcome == Outcome::Neutral {
            // A probe's slot may be free again.
            self.shared.changed.give().wake();
        }
    }

    /// Says that a call was refused, or would have been.
    #[cold]
    pub(super) fn refused(&self) {
        let is_shadow = self.is_shadow();
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        let event = if is_shadow { CircuitEvent::Shadowed } else { CircuitEvent::Refused };
        event::circuit(event, &self.name, &self.shared.sampler, self.shared.time.clock());
    }

    #[inline]
    pub(super) fn is_shadow(&self) -> bool {
        self.shared.is_shadow.load(Ordering::Relaxed)
    }

    pub(super) fn tell(&self, change: Change) {
        if change.to == State::Open {
            self.tally.opened.fetch_add(1, Ordering::Relaxed);
        }
        let names = [change.from.name(), change.to.name(), change.reason.name()];
        if !self.shared.is_quiet {
            event::circuit_changed(&self.name, names, change.to == State::Open, self.is_keyed);
        }
        if let Some(on_change) = &self.shared.on_change {
            on_change(&self.name, change);
        }
        self.shared.changed.give().wake();
    }

    pub(super) fn state(&self) -> State {
        self.machine.state(self.shared.now_ms())
    }

    /// Whether nobody misses it.
    pub(super) fn may_go(&self) -> bool {
        self.machine.may_go(self.shared.now_ms())
    }
}

/// Reports a refusal that becomes an error.
#[inline]
pub(super) fn report(refuser: &Refuser) {
    refuser.report(Origin::CircuitBreaker, ProblemKind::Unavailable);
}

/// What a refused call is told.
#[inline]
pub(super) fn rejection(shut: Shut) -> Rejection {
    // Where others must answer first, they soon will.
    let wait = Duration::from_millis(shut.wait.unwrap_or(0).max(MIN_WAIT_MS));
    let problem = Problem::new(ProblemKind::Unavailable).with_detail(DETAIL);
    Rejection::new(Origin::CircuitBreaker, problem).with_retry_after(wait)
}

const MIN_WAIT_MS: u64 = 1000;
const DETAIL: &str = "A service that is needed for this is unwell, and is given time to recover.";
