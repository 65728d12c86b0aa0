//! The circuit: it admits calls, hears what they came to, and opens and closes itself.
//!
//! It knows no time: whoever calls tells it, in milliseconds.

use super::probes::Leases;
use super::state::{Change, Reason, State};
use super::sync::{AtomicU64, Ordering};
use super::terms::{Span, Terms};
use super::window::{Buckets, Call, Ring, Row, Sliding, Totals};
use super::word::{NEVER, Phase, Slot, Word};

/// What a call was admitted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) generation: u32,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its result is counted.
    Counted,
    /// Its result decides, and it holds this slot until then.
    Probe(u32),
    /// Nobody waits for its result.
    Uncounted,
}

/// A refusal, and how long to wait; unknown where others must answer first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shut {
    pub(super) wait: Option<u64>,
}

/// What a call came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Success,
    Failure,
    /// It counts in the rates, but not in a row.
    Overload,
    /// It says nothing.
    Neutral,
}

/// What became of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Counted,
    /// It came from before a transition, or after its lease.
    Stale,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Machine {
    word: AtomicU64,
    pub(super) terms: Terms,
    row: Row,
    sliding: Option<Sliding>,
    pub(super) leases: Leases,
    /// Until when the other side asked to be left alone.
    asked: AtomicU64,
    dice: AtomicU64,
}

impl Machine {
    pub(super) fn new(terms: Terms, seed: u64, now: u64) -> Self {
        let sliding = terms.slides().then(|| match terms.span {
            Span::Calls(calls) => Sliding::Calls(Ring::new(calls, terms.counts_slow())),
            Span::Millis(millis) => Sliding::Time(Box::new(Buckets::new(millis))),
        });
        Self {
            word: AtomicU64::new(Word::new(Phase::Closed, 0, 0, now).bits()),
            row: Row::default(),
            sliding,
            leases: Leases::new(terms.probes),
            asked: AtomicU64::new(0),
            dice: AtomicU64::new(seed),
            terms,
        }
    }

    /// One that lets everything through, for ever.
    pub(super) fn disabled() -> Self {
        let machine = Self::new(Terms::NOTHING, 0, 0);
        machine.word.store(Word::new(Phase::Disabled, 0, 0, NEVER).bits(), Ordering::Relaxed);
        machine
    }

    /// Begins in a phase that was forced before it was made.
    pub(super) fn begin_forced(&self, phase: Phase, until: u64) {
        self.word.store(Word::new(phase, 0, 0, until).bits(), Ordering::Release);
    }

    #[inline]
    pub(super) fn word(&self) -> Word {
        Word::from_bits(self.word.load(Ordering::Acquire))
    }

    pub(super) fn exchange(&self, from: Word, to: Word) -> bool {
        self.word.compare_exchange(from.bits(), to.bits(), Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Lets a call through, or not. The time is asked for only where it decides.
    #[inline]
    pub(super) fn admit(&self, now: impl FnOnce() -> u64, told: &mut impl FnMut(Change)) -> Result<Ticket, Shut> {
        if let Some(ticket) = self.admit_closed() {
            return Ok(ticket);
        }
        let word = self.word();
        if word.is_for_ever() {
            let passes = word.phase() == Phase::Disabled;
            let ticket = Ticket { generation: word.generation(), kind: Kind::Uncounted };
            return if passes { Ok(ticket) } else { Err(Shut { wait: None }) };
        }
        self.admit_otherwise(now(), told)
    }

    /// Lets a call through a circuit that is closed.
    #[inline]
    pub(super) fn admit_closed(&self) -> Option<Ticket> {
        let word = self.word();
        word.is_closed().then(|| Ticket { generation: word.generation(), kind: Kind::Counted })
    }

    fn admit_otherwise(&self, now: u64, told: &mut impl FnMut(Change)) -> Result<Ticket, Shut> {
        loop {
            let word = self.word();
            let generation = word.generation();
            match word.phase() {
                Phase::Closed => return Ok(Ticket { generation, kind: Kind::Counted }),
                Phase::Open | Phase::ForcedOpen => {
                    if let Some(shut) = still_shut(word, now) {
                        return Err(shut);
                    }
                    let half_open = word.next(Phase::HalfOpen, word.attempts(), 0).with_slot(0, Slot::InFlight);
                    if self.exchange(word, half_open) {
                        self.leases.begin(half_open.generation(), 0, now + self.terms.lease);
                        told(Change::new(word, half_open, Reason::IntervalPassed));
                        return Ok(Ticket { generation: half_open.generation(), kind: Kind::Probe(0) });
                    }
                }
                Phase::HalfOpen => {
                    if let Some(admitted) = self.admit_probe(word, now, told) {
                        return admitted;
                    }
                }
                Phase::RampUp => {
                    let passed = now.saturating_sub(word.time());
                    if passed >= self.terms.ramp {
                        // The same generation: what the ramp has seen still counts.
                        let closed = Word::new(Phase::Closed, word.attempts(), generation, word.time());
                        if self.exchange(word, closed) {
                            told(Change::new(word, closed, Reason::RampedUp));
                        }
                    } else if self.terms.ramp_admits(passed, self.roll()) {
                        return Ok(Ticket { generation, kind: Kind::Counted });
                    } else {
                        return Err(Shut { wait: None });
                    }
                }
                Phase::Disabled => {
                    if word.time() == NEVER || now < word.time() {
                        return Ok(Ticket { generation, kind: Kind::Uncounted });
                    }
                    let closed = word.next(Phase::Closed, 0, now);
                    if self.exchange(word, closed) {
                        told(Change::new(word, closed, Reason::IntervalPassed));
                    }
                }
            }
        }
    }

    /// Whether a call of this moment would be refused, without admitting one. A ramp is not asked: it rolls dice.
    pub(super) fn would_refuse(&self, now: impl FnOnce() -> u64) -> Option<Shut> {
        let word = self.word();
        match word.phase() {
            Phase::Closed | Phase::RampUp | Phase::Disabled => None,
            Phase::ForcedOpen if word.is_for_ever() => Some(Shut { wait: None }),
            Phase::Open | Phase::ForcedOpen => still_shut(word, now()),
            Phase::HalfOpen => {
                let now = now();
                let is_free = word.free_slot(self.terms.probes).is_some();
                let wait = self.probes_wait(word, now);
                (!is_free && wait != 0).then_some(Shut { wait: Some(wait) })
            }
        }
    }

    /// Hears what a call came to. `asked` is how long the other side wants to be left alone.
    #[inline]
    pub(super) fn hear(
        &self,
        ticket: Ticket,
        outcome: Outcome,
        slow: bool,
        asked: Option<u64>,
        now: impl Fn() -> u64,
        told: &mut impl FnMut(Change),
    ) -> Heard {
        if let Some(asked) = asked {
            // No longer than it could be open for it: what was asked for once does not lengthen what comes much later.
            let until = now().saturating_add(asked.min(self.terms.max_open));
            self.asked.fetch_max(until, Ordering::Relaxed);
        }
        match ticket.kind {
            Kind::Counted => self.hear_counted(ticket.generation, outcome, slow, now, told),
            Kind::Probe(slot) => self.hear_probe(ticket.generation, slot, outcome, slow, now, told),
            Kind::Uncounted => Heard::Counted,
        }
    }

    #[inline]
    fn hear_counted(
        &self,
        generation: u32,
        outcome: Outcome,
        slow: bool,
        now: impl Fn() -> u64,
        told: &mut impl FnMut(Change),
    ) -> Heard {
        let word = self.word();
        if word.generation() != generation {
            return Heard::Stale;
        }
        let call = Call { failed: matches!(outcome, Outcome::Failure | Outcome::Overload), slow };
        let mut reason = None;
        match outcome {
            Outcome::Neutral => return Heard::Counted,
            Outcome::Success => {
                if self.terms.consecutive.is_some() {
                    self.row.succeeded(generation);
                }
            }
            Outcome::Failure => {
                if let Some(most) = self.terms.consecutive {
                    reason = (self.row.failed(generation) >= most).then_some(Reason::ConsecutiveFailures);
                }
            }
            Outcome::Overload => {}
        }
        if let Some(sliding) = &self.sliding {
            let totals = sliding.add(generation, call, self.terms.min_calls, &now);
            reason = reason.or_else(|| totals.and_then(|totals| self.judge(totals)));
        }
        if let Some(reason) = reason {
            self.trip(generation, reason, now(), told);
        }
        Heard::Counted
    }

    #[cold]
    fn judge(&self, totals: Totals) -> Option<Reason> {
        let Terms { min_calls, failure_rate, slow_rate, .. } = self.terms;
        if totals.calls < min_calls {
            return None;
        }
        if failure_rate.is_some_and(|rate| rate.is_reached(totals.failures, totals.calls)) {
            return Some(Reason::FailureRate);
        }
        slow_rate.is_some_and(|rate| rate.is_reached(totals.slow, totals.calls)).then_some(Reason::SlowRate)
    }

    #[cold]
    fn trip(&self, generation: u32, reason: Reason, now: u64, told: &mut impl FnMut(Change)) {
        loop {
            let word = self.word();
            if word.generation() != generation {
                return;
            }
            let attempts = match word.phase() {
                Phase::Closed => self.remembered(word, now) + 1,
                Phase::RampUp => word.attempts() + 1,
                _ => return,
            };
            let open = self.open(word, attempts, now);
            if self.exchange(word, open) {
                told(Change::new(word, open, reason));
                return;
            }
        }
    }

    /// The word of a circuit that opens now.
    pub(super) fn open(&self, word: Word, attempts: u32, now: u64) -> Word {
        let attempts = attempts.max(1);
        let until = now.saturating_add(self.terms.interval(attempts, self.roll()));
        // The other side may have asked for more.
        let asked = self.asked.load(Ordering::Relaxed).min(now.saturating_add(self.terms.max_open));
        word.next(Phase::Open, attempts, until.max(asked).min(NEVER - 1))
    }

    /// Opens, closes or disables by hand, until some time.
    pub(super) fn force(&self, phase: Phase, until: u64, reason: Reason, now: u64, told: &mut impl FnMut(Change)) {
        loop {
            let word = self.word();
            let forced = match phase {
                Phase::Closed => word.next(Phase::Closed, 0, now),
                phase => word.next(phase, word.attempts(), until),
            };
            if self.exchange(word, forced) {
                if phase == Phase::Closed {
                    self.asked.store(0, Ordering::Relaxed);
                }
                told(Change::new(word, forced, reason));
                return;
            }
        }
    }

    fn roll(&self) -> u64 {
        // SplitMix64: each number that the counter comes to is spread over all bits.
        let mut bits = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// What is counted at this moment.
    pub(super) fn totals(&self, now: u64) -> Totals {
        let generation = self.word().generation();
        self.sliding.as_ref().map_or_else(Totals::default, |sliding| sliding.totals(generation, now))
    }

    /// The openings in a row that count at this moment.
    pub(super) fn openings(&self, now: u64) -> u32 {
        let word = self.word();
        let is_over = |length: u64| now.saturating_sub(word.time()) >= length;
        match word.phase() {
            Phase::Closed => self.remembered(word, now),
            Phase::RampUp if is_over(self.terms.ramp) => self.remembered(word, now),
            Phase::Disabled if !word.is_for_ever() && now >= word.time() => 0,
            _ => word.attempts(),
        }
    }

    /// The openings that a closed circuit has not forgotten yet.
    fn remembered(&self, word: Word, now: u64) -> u32 {
        self.terms.remembered(word.attempts(), now.saturating_sub(word.time()))
    }

    /// Whether it may be forgotten: it is closed and remembers no opening, or it has been free to be tried for as long as
    /// it could have been open, and nobody came. One that is only forced has nothing to remember: whoever comes again by
    /// its key is forced anew as long as that lasts.
    pub(super) fn may_go(&self, now: u64) -> bool {
        let word = self.word();
        let is_long_over = |end: u64| now >= end.saturating_add(self.terms.max_open);
        match word.phase() {
            Phase::Closed => self.remembered(word, now) == 0,
            Phase::RampUp => is_long_over(word.time().saturating_add(self.terms.ramp)),
            Phase::ForcedOpen if word.attempts() == 0 => true,
            Phase::Disabled => true,
            Phase::Open | Phase::ForcedOpen => !word.is_for_ever() && is_long_over(word.time()),
            Phase::HalfOpen => self.leases.last_end(word.generation()).is_none_or(is_long_over),
        }
    }

    /// What a call of this moment would meet.
    pub(super) fn state(&self, now: u64) -> State {
        let word = self.word();
        match word.phase() {
            Phase::Open | Phase::ForcedOpen if still_shut(word, now).is_none() => State::HalfOpen,
            Phase::RampUp if now.saturating_sub(word.time()) >= self.terms.ramp => State::Closed,
            Phase::Disabled if word.time() != NEVER && now >= word.time() => State::Closed,
            phase => State::of(phase),
        }
    }
}

/// What an open circuit says.
fn still_shut(word: Word, now: u64) -> Option<Shut> {
    match word.time() {
        NEVER => Some(Shut { wait: None }),
        until => (now < until).then(|| Shut { wait: Some(until - now) }),
    }
}
