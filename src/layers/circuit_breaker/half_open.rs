//! A circuit that lets a few calls through, which decide.

use super::machine::{Heard, Kind, Machine, Outcome, Shut, Ticket};
use super::state::{Change, Reason};
use super::terms::Terms;
use super::word::{Phase, Slot, Word};

impl Machine {
    /// `None`: look again.
    pub(super) fn admit_probe(
        &self,
        word: Word,
        now: u64,
        told: &mut impl FnMut(Change),
    ) -> Option<Result<Ticket, Shut>> {
        let generation = word.generation();
        if let Some(slot) = word.free_slot(self.terms.probes) {
            let taken = word.with_slot(slot, Slot::InFlight);
            if !self.exchange(word, taken) {
                return None;
            }
            self.leases.begin(generation, slot, now + self.terms.lease);
            return Some(Ok(Ticket { generation, kind: Kind::Probe(slot) }));
        }
        match self.leases.ended(word, now) {
            // A probe that hangs is a failure, unless its answer has begun and only goes on.
            Some((slot, answered)) => {
                let outcome = if answered { Outcome::Success } else { Outcome::Failure };
                self.settle(word, slot, outcome, Reason::ProbeExpired, now, told);
                None
            }
            None => Some(Err(Shut { wait: Some(self.probes_wait(word, now)) })),
        }
    }

    /// Whether a probe's lease is over that has not answered. The time is asked for only where it decides.
    pub(super) fn has_ended_probe(&self, now: impl FnOnce() -> u64) -> bool {
        let word = self.word();
        word.phase() == Phase::HalfOpen
            && word.free_slot(self.terms.probes).is_none()
            && self.leases.ended(word, now()).is_some()
    }

    /// Whether the lease of this call is over.
    pub(super) fn is_over(&self, ticket: Ticket, now: u64) -> bool {
        matches!(ticket.kind, Kind::Probe(slot) if self.leases.is_over(ticket.generation, slot, now))
    }

    /// How long until one of the probes hangs, if none answers before. A lease that nobody sees yet is beginning.
    pub(super) fn probes_wait(&self, word: Word, now: u64) -> u64 {
        self.leases.first_end(word).map_or(self.terms.lease, |end| end.saturating_sub(now))
    }

    /// A probe's answer has begun well.
    pub(super) fn answered(&self, ticket: Ticket) {
        if let Kind::Probe(slot) = ticket.kind {
            self.leases.answered(ticket.generation, slot);
        }
    }

    pub(super) fn hear_probe(
        &self,
        generation: u32,
        slot: u32,
        outcome: Outcome,
        slow: bool,
        now: impl Fn() -> u64,
        told: &mut impl FnMut(Change),
    ) -> Heard {
        let is_too_slow = slow && self.terms.counts_slow() && outcome == Outcome::Success;
        let outcome = if is_too_slow { Outcome::Failure } else { outcome };
        if outcome == Outcome::Neutral {
            // Before the slot is free, so that its next holder's lease is not taken for this one.
            self.leases.end(generation, slot);
        }
        loop {
            let word = self.word();
            let is_mine =
                word.generation() == generation && word.phase() == Phase::HalfOpen && word.slot(slot) == Slot::InFlight;
            if !is_mine {
                return Heard::Stale;
            }
            if self.settle(word, slot, outcome, Reason::ProbeFailed, now(), told) {
                return Heard::Counted;
            }
        }
    }

    /// Writes a probe's outcome, and with it what comes of it: one exchange. `false` when others were quicker.
    fn settle(
        &self,
        word: Word,
        slot: u32,
        outcome: Outcome,
        failure: Reason,
        now: u64,
        told: &mut impl FnMut(Change),
    ) -> bool {
        let Terms { probes, needed, ramp, .. } = self.terms;
        let settled = match outcome {
            Outcome::Success => word.with_slot(slot, Slot::Succeeded),
            Outcome::Failure | Outcome::Overload => word.with_slot(slot, Slot::Failed),
            Outcome::Neutral => word.with_returned(slot),
        };
        let (next, reason) = if settled.count(Slot::Succeeded) >= needed {
            let phase = if ramp > 0 { Phase::RampUp } else { Phase::Closed };
            (word.next(phase, word.attempts(), now), Some(Reason::ProbesSucceeded))
        } else if settled.count(Slot::Failed) > probes - needed {
            (self.open(word, word.attempts() + 1, now), Some(failure))
        } else {
            (settled, None)
        };
        let is_written = self.exchange(word, next);
        if let Some(reason) = reason.filter(|_| is_written) {
            told(Change::new(word, next, reason));
        }
        is_written
    }
}
