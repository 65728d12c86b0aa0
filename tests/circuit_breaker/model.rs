//! The engine against a naive model of it: a list of calls, and the rules written out.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use tower_rampart::circuit_breaker::{CircuitBreaker, CircuitBreakerHandle, OnAbandoned, Permit, State, Window};
use tower_rampart::classify::Verdict;
use tower_rampart::{Clock, ClockHand};

use crate::support::ms;

#[derive(Debug, Clone, Copy)]
enum Span {
    Calls(usize),
    /// Ten buckets of so many milliseconds, in which all steps of time are made.
    Buckets(u64),
}

#[derive(Debug, Clone, Copy)]
struct Terms {
    span: Span,
    min_calls: usize,
    rate: f64,
    row: Option<u32>,
    open_ms: u64,
    max_ms: u64,
    probes: usize,
    needed: usize,
    lease_ms: u64,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Admit,
    /// The oldest or the newest call that is running ends so.
    End {
        oldest: bool,
        verdict: Verdict,
    },
    Drop {
        oldest: bool,
    },
    /// Calls that begin and end at once.
    Run {
        calls: u32,
        verdict: Verdict,
    },
    Pass {
        steps: u64,
    },
    ForceOpen {
        steps: u64,
    },
    ForceClosed {
        steps: u64,
    },
    Reset,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Slot {
    Free,
    Running { end: u64 },
    Good,
    Bad,
}

#[derive(Debug, Clone, PartialEq)]
enum Phase {
    Closed { since: u64 },
    Open { until: u64 },
    HalfOpen { slots: Vec<Slot> },
    ForcedOpen { until: u64 },
    Disabled { until: u64 },
}

#[derive(Debug, Clone, Copy)]
enum Held {
    Counted(u64),
    Probe(u64, usize),
    Uncounted,
}

struct Model {
    terms: Terms,
    now: u64,
    phase: Phase,
    /// Which of the phases it is.
    age: u64,
    attempts: u32,
    /// When each call ended, and whether it failed.
    calls: Vec<(u64, bool)>,
    row: u32,
    asked: u64,
}

impl Model {
    fn new(terms: Terms) -> Self {
        let phase = Phase::Closed { since: 0 };
        Self { terms, now: 0, phase, age: 0, attempts: 0, calls: Vec::new(), row: 0, asked: 0 }
    }

    fn go(&mut self, phase: Phase) {
        self.phase = phase;
        self.age += 1;
        self.calls.clear();
        self.row = 0;
    }

    fn open(&mut self, attempts: u32) {
        self.attempts = attempts.min(31);
        let interval = (0..self.attempts - 1).fold(self.terms.open_ms, |ms, _| (ms * 2).min(self.terms.max_ms));
        self.go(Phase::Open { until: (self.now + interval).max(self.asked) });
    }

    fn admit(&mut self) -> Option<Held> {
        loop {
            let now = self.now;
            match &mut self.phase {
                Phase::Closed { .. } => return Some(Held::Counted(self.age)),
                Phase::Open { until } | Phase::ForcedOpen { until } => {
                    if now < *until {
                        return None;
                    }
                    self.go(Phase::HalfOpen { slots: vec![Slot::Free; self.terms.probes] });
                }
                Phase::Disabled { until } => {
                    if now < *until {
                        return Some(Held::Uncounted);
                    }
                    self.attempts = 0;
                    self.go(Phase::Closed { since: now });
                }
                Phase::HalfOpen { slots } => {
                    if let Some(free) = slots.iter().position(|slot| *slot == Slot::Free) {
                        slots[free] = Slot::Running { end: now + self.terms.lease_ms };
                        return Some(Held::Probe(self.age, free));
                    }
                    let over = |slot: &Slot| matches!(slot, Slot::Running { end } if *end <= now);
                    let over = slots.iter().position(over)?;
                    self.settle(over, Slot::Bad);
                }
            }
        }
    }

    fn settle(&mut self, slot: usize, to: Slot) {
        let Phase::HalfOpen { slots } = &mut self.phase else { unreachable!() };
        slots[slot] = to;
        let count = |of: Slot| slots.iter().filter(|slot| **slot == of).count();
        let (good, bad) = (count(Slot::Good), count(Slot::Bad));
        if good >= self.terms.needed {
            self.go(Phase::Closed { since: self.now });
        } else if self.terms.probes - bad < self.terms.needed {
            self.open(self.attempts + 1);
        }
    }

    fn end(&mut self, held: Held, verdict: Verdict) {
        if let Verdict::Overload { retry_after: Some(wait) } = verdict {
            let wait = (wait.as_millis() as u64).min(self.terms.max_ms);
            self.asked = self.asked.max(self.now + wait);
        }
        match held {
            Held::Uncounted => {}
            Held::Probe(age, slot) => {
                let Phase::HalfOpen { slots } = &self.phase else { return };
                if age == self.age && matches!(slots[slot], Slot::Running { .. }) {
                    self.settle(
                        slot,
                        match verdict {
                            Verdict::Success => Slot::Good,
                            Verdict::Failure | Verdict::TimedOut | Verdict::Overload { .. } => Slot::Bad,
                            Verdict::Neutral => Slot::Free,
                        },
                    );
                }
            }
            Held::Counted(age) => {
                if age == self.age && verdict != Verdict::Neutral {
                    self.count(verdict);
                }
            }
        }
    }

    /// Every call is judged; what an engine may leave out it has to leave out unseen.
    fn count(&mut self, verdict: Verdict) {
        let failed = verdict != Verdict::Success;
        self.calls.push((self.now, failed));
        match verdict {
            Verdict::Success => self.row = 0,
            Verdict::Failure => self.row += 1,
            _ => {}
        }
        let (calls, failures) = self.window();
        let by_rate = calls >= self.terms.min_calls && failures as f64 >= self.terms.rate * calls as f64;
        let by_row = verdict == Verdict::Failure && self.terms.row.is_some_and(|most| self.row >= most);
        if by_rate || by_row {
            self.open(self.remembered() + 1);
        }
    }

    /// The openings that are not forgotten.
    fn remembered(&self) -> u32 {
        match self.phase {
            Phase::Closed { since } => {
                self.attempts.saturating_sub(((self.now - since) / self.terms.max_ms).min(99) as u32)
            }
            Phase::Disabled { until } if self.now >= until => 0,
            _ => self.attempts,
        }
    }

    /// The calls in the window, and the failures among them.
    fn window(&self) -> (usize, usize) {
        let inside = match self.terms.span {
            Span::Calls(most) => &self.calls[self.calls.len().saturating_sub(most)..],
            Span::Buckets(width) => &self.calls[self.calls.partition_point(|(at, _)| self.now - at >= 10 * width)..],
        };
        (inside.len(), inside.iter().filter(|(_, failed)| *failed).count())
    }

    fn state(&self) -> State {
        match self.phase {
            Phase::Closed { .. } => State::Closed,
            Phase::Open { until } if self.now < until => State::Open,
            Phase::ForcedOpen { until } if self.now < until => State::ForcedOpen,
            Phase::Open { .. } | Phase::ForcedOpen { .. } | Phase::HalfOpen { .. } => State::HalfOpen,
            Phase::Disabled { until } if self.now < until => State::Disabled,
            Phase::Disabled { .. } => State::Closed,
        }
    }
}

struct Pair {
    model: Model,
    breaker: CircuitBreakerHandle,
    hand: ClockHand,
    step_ms: u64,
    running: Vec<(Permit, Held)>,
    steps: u64,
}

impl Pair {
    fn new(terms: Terms) -> Self {
        let (clock, hand) = Clock::manual();
        let (window, step_ms) = match terms.span {
            Span::Calls(calls) => (Window::calls(calls as u32), 250),
            Span::Buckets(width) => (Window::time(ms(10 * width)), width),
        };
        let breaker = CircuitBreaker::new("model")
            .window(window)
            .failure_rate(terms.rate)
            .min_calls(terms.min_calls as u32)
            .consecutive_failures(terms.row)
            .slow_call(None)
            .on_abandoned(OnAbandoned::Ignore)
            .open_for(ms(terms.open_ms))
            .max_open(ms(terms.max_ms))
            .jitter(0.0)
            .probes(terms.probes as u32)
            .probes_needed(terms.needed as u32)
            .probe_lease(ms(terms.lease_ms))
            .with_clock(clock)
            .build()
            .unwrap()
            .handle();
        Self { model: Model::new(terms), breaker, hand, step_ms, running: Vec::new(), steps: 0 }
    }

    fn admit(&mut self) {
        self.steps += 1;
        match (self.breaker.admit(), self.model.admit()) {
            (Ok(permit), Some(held)) => self.running.push((permit, held)),
            (Err(_), None) => {}
            (real, model) => panic!("the breaker said {real:?}, the model {model:?}"),
        }
    }

    fn take(&mut self, oldest: bool) -> Option<(Permit, Held)> {
        if self.running.is_empty() {
            return None;
        }
        let at = if oldest { 0 } else { self.running.len() - 1 };
        Some(self.running.remove(at))
    }

    fn end(&mut self, oldest: bool, verdict: Verdict) {
        self.steps += 1;
        if let Some((permit, held)) = self.take(oldest) {
            permit.verdict(verdict);
            self.model.end(held, verdict);
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Admit => self.admit(),
            Step::End { oldest, verdict } => self.end(oldest, verdict),
            Step::Drop { oldest } => {
                if let Some((permit, held)) = self.take(oldest) {
                    drop(permit);
                    self.model.end(held, Verdict::Neutral);
                }
            }
            Step::Run { calls, verdict } => {
                for _ in 0..calls {
                    let before = self.running.len();
                    self.admit();
                    if self.running.len() > before {
                        self.end(false, verdict);
                    }
                }
            }
            Step::Pass { steps } => {
                self.hand.advance(ms(steps * self.step_ms));
                self.model.now += steps * self.step_ms;
            }
            Step::ForceOpen { steps } => {
                self.breaker.force_open(ms(steps * self.step_ms));
                self.model.go(Phase::ForcedOpen { until: self.model.now + steps * self.step_ms });
            }
            Step::ForceClosed { steps } => {
                self.breaker.disable_for(ms(steps * self.step_ms));
                self.model.go(Phase::Disabled { until: self.model.now + steps * self.step_ms });
            }
            Step::Reset => {
                self.breaker.reset();
                self.model.attempts = 0;
                self.model.asked = 0;
                self.model.go(Phase::Closed { since: self.model.now });
            }
        }
        self.steps += 1;
        self.compare();
    }

    fn compare(&self) {
        let (snapshot, model) = (self.breaker.snapshot(), &self.model);
        assert_eq!(snapshot.state, model.state());
        assert_eq!(snapshot.openings_in_a_row, model.remembered());
        let (calls, failures) = model.window();
        assert_eq!((snapshot.calls as usize, snapshot.failures as usize), (calls, failures));
        let open_for = match model.phase {
            Phase::Open { until } | Phase::ForcedOpen { until } => {
                until.checked_sub(model.now).filter(|wait| *wait > 0)
            }
            _ => None,
        };
        if !matches!(model.phase, Phase::HalfOpen { .. }) {
            assert_eq!(snapshot.open_for, open_for.map(Duration::from_millis));
        }
    }
}

fn verdicts() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        4 => Just(Verdict::Success),
        4 => Just(Verdict::Failure),
        1 => (0_u64..20).prop_map(|s| Verdict::Overload { retry_after: (s > 9).then(|| Duration::from_secs(s)) }),
        1 => Just(Verdict::Neutral),
    ]
}

fn steps() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Admit),
        8 => (any::<bool>(), verdicts()).prop_map(|(oldest, verdict)| Step::End { oldest, verdict }),
        1 => any::<bool>().prop_map(|oldest| Step::Drop { oldest }),
        2 => (1_u32..300, verdicts()).prop_map(|(calls, verdict)| Step::Run { calls, verdict }),
        4 => (1_u64..8).prop_map(|steps| Step::Pass { steps }),
        1 => (1_u64..200).prop_map(|steps| Step::Pass { steps }),
        1 => prop_oneof![
            (1_u64..20).prop_map(|steps| Step::ForceOpen { steps }),
            (1_u64..20).prop_map(|steps| Step::ForceClosed { steps }),
            Just(Step::Reset),
        ],
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    let span = prop_oneof![
        (1_usize..150).prop_map(Span::Calls),
        prop_oneof![Just(10_u64), Just(100), Just(1000)].prop_map(Span::Buckets),
    ];
    let rates = prop_oneof![Just(0.1), Just(0.5), Just(0.75), Just(1.0)];
    let probes = (1_usize..6).prop_flat_map(|probes| (Just(probes), 1..=probes));
    (span, 1_usize..30, rates, prop::option::of(1_u32..8), probes, 1_u64..40).prop_map(
        |(span, min_calls, rate, row, (probes, needed), lease)| {
            let min_calls = match span {
                Span::Calls(calls) => min_calls.min(calls),
                Span::Buckets(_) => min_calls,
            };
            let lease_ms = lease * 250;
            Terms { span, min_calls, rate, row, open_ms: 1000, max_ms: 8000, probes, needed, lease_ms }
        },
    )
}

/// A long quiet life before anything happens: windows that only seem to slide are found here.
fn prefixes() -> impl Strategy<Value = u32> {
    prop_oneof![Just(0), 1_u32..200, 1000_u32..10_000]
}

#[test]
fn it_does_what_the_model_does() {
    let mut all_steps = 0;
    let mut runner = TestRunner::new(Config { cases: 120, failure_persistence: None, ..Config::default() });
    let strategy = (terms(), prefixes(), prop::collection::vec(steps(), 1..200));
    let counted = std::cell::Cell::new(0_u64);
    runner
        .run(&strategy, |(terms, prefix, steps)| {
            let mut pair = Pair::new(terms);
            pair.apply(Step::Run { calls: prefix, verdict: Verdict::Success });
            steps.into_iter().for_each(|step| pair.apply(step));
            counted.set(counted.get() + pair.steps);
            Ok(())
        })
        .unwrap();
    all_steps += counted.get();
    assert!(all_steps > 100_000, "only {all_steps} steps were made");
}

/// Few calls, most of which are well, and time in which others leave: what is left may be enough to judge by, or too little.
#[test]
fn it_judges_what_others_leave_behind() {
    let verdict = prop_oneof![3 => Just(Verdict::Success), 1 => Just(Verdict::Failure)];
    let step = prop_oneof![
        2 => (1_u32..6, verdict).prop_map(|(calls, verdict)| Step::Run { calls, verdict }),
        1 => (1_u64..10).prop_map(|steps| Step::Pass { steps }),
    ];
    let rates = prop_oneof![Just(0.3), Just(0.5)];
    let strategy = (terms(), rates, 3_usize..8, prop::collection::vec(step, 1..100));
    let mut runner = TestRunner::new(Config { cases: 500, failure_persistence: None, ..Config::default() });
    runner
        .run(&strategy, |(terms, rate, min_calls, steps)| {
            let mut pair = Pair::new(Terms { span: Span::Buckets(100), rate, min_calls, row: None, ..terms });
            steps.into_iter().for_each(|step| pair.apply(step));
            Ok(())
        })
        .unwrap();
}
