//! A request in flight.

use std::fmt;
use std::sync::Arc;
use std::thread;

use http::Response;

use super::judge::Judgement;
use super::layer::Core;
use super::sample::{Outcome, Sample};
use super::state::State;
use super::ticket::Ticket;
use crate::spine::classify::BodyEnd;
use crate::spine::event;
use crate::spine::outcome::ObserveEnd;

/// A request in flight. It is one until the body of its response has ended, or its head is there where that was said; and what
/// it came to is learnt from once.
pub struct InFlight {
    core: Arc<Core>,
    state: Arc<State>,
    started: u64,
    in_flight: usize,
    stage: Stage,
    /// Whether it is among those in flight.
    is_counted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Running,
    /// The head has come, and the trailers say what it is worth.
    AwaitsTrailers {
        answered: u64,
    },
    Settled,
}

impl InFlight {
    /// A request that has come in as one of so many.
    pub(super) fn new(core: &Arc<Core>, state: &Arc<State>, in_flight: usize) -> Self {
        let started = state.nanos(core.clock.now());
        let (core, state) = (Arc::clone(core), Arc::clone(state));
        Self { core, state, started, in_flight, stage: Stage::Running, is_counted: true }
    }

    fn leave(&mut self) {
        if std::mem::take(&mut self.is_counted) {
            self.state.leave();
        }
    }

    fn now(&self) -> u64 {
        self.state.nanos(self.core.clock.now())
    }

    fn record(&self, outcome: Outcome, answered: u64, now: u64) {
        let sample = Sample { started: self.started, answered, in_flight: self.in_flight, outcome };
        if let Some((from, to)) = self.state.record(&sample, now) {
            event::limit_moved(from, to);
        }
    }
}

impl super::ticket::sealed::Sealed for InFlight {}

impl Ticket for InFlight {
    fn responded<B>(&mut self, response: &Response<B>) {
        self.stage = match self.core.judge.head(response) {
            Judgement::AwaitsTrailers => Stage::AwaitsTrailers { answered: self.now() },
            Judgement::Settled(outcome) => {
                if let Some(outcome) = outcome {
                    let now = self.now();
                    self.record(outcome, now, now);
                }
                Stage::Settled
            }
        };
        if self.core.until_head {
            self.leave();
        }
    }

    fn failed(&mut self) {
        // How soon a connection fails says nothing about how long work takes.
        self.stage = Stage::Settled;
    }

    fn outlives_head(&self) -> bool {
        !self.core.until_head || matches!(self.stage, Stage::AwaitsTrailers { .. })
    }
}

impl ObserveEnd for InFlight {
    fn ended(mut self, end: BodyEnd<'_>) {
        let Stage::AwaitsTrailers { answered } = self.stage else { return };
        self.stage = Stage::Settled;
        if let Some(outcome) = self.core.judge.end(end) {
            // How long the body took is a matter of its reader too.
            self.record(outcome, answered, self.now());
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.leave();
        if self.stage == Stage::Running && !thread::panicking() {
            let now = self.now();
            self.record(Outcome::CutOff, now, now);
        }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("stage", &self.stage).finish_non_exhaustive()
    }
}
