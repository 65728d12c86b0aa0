use proptest::prelude::*;

use super::aimd::Aimd;
use super::gradient2::Gradient2;
use super::limit::{AdaptiveLimit, Algorithm, Range};
use super::sample::{Outcome, Sample};

const MS: u64 = 1_000_000;
const WINDOW: u64 = 100 * MS;
const RANGE: Range = Range { min: 2, initial: 20, max: 200 };
const LATENCY_LIMIT: f64 = 80.0 * MS as f64;

/// The same from the papers: lists of samples, and every rule written out where it applies.
struct Naive {
    aimd: bool,
    limit: f64,
    began: u64,
    samples: Vec<Sample>,
    /// Every latency that the expected one was made of, in nanoseconds, while it is a plain mean.
    first_means: Vec<f64>,
    expected: f64,
    shedding: u32,
    patience: u32,
    /// Limit, last start that counts, end.
    measuring: Option<(f64, u64, u64)>,
}

impl Naive {
    fn new(aimd: bool) -> Self {
        Self {
            aimd,
            limit: 20.0,
            began: 0,
            samples: Vec::new(),
            first_means: Vec::new(),
            expected: 0.0,
            shedding: 0,
            patience: 5,
            measuring: None,
        }
    }

    fn limit(&self) -> usize {
        (self.measuring.map_or(self.limit, |(limit, ..)| limit) as usize).clamp(RANGE.min, RANGE.max)
    }

    fn mean(&self) -> Option<f64> {
        let answered = self.samples.iter().filter(|sample| sample.outcome != Outcome::Overloaded);
        let latencies: Vec<_> = answered.map(|sample| sample.answered - sample.started).collect();
        (!latencies.is_empty()).then(|| latencies.iter().sum::<u64>() as f64 / latencies.len() as f64)
    }

    fn record(&mut self, sample: &Sample, now: u64, shed: bool) {
        let latency = (sample.answered - sample.started) as f64;
        if sample.outcome == Outcome::CutOff {
            let knows = self.aimd || !self.first_means.is_empty();
            let longest = if self.aimd { LATENCY_LIMIT } else { self.expected * 2.0 };
            if !knows || latency <= longest {
                return;
            }
        }
        if let Some((_, counts_until, ends)) = self.measuring {
            if sample.started >= self.began && sample.started <= counts_until {
                self.samples.push(*sample);
            }
            if now >= ends {
                if self.samples.len() >= 10
                    && let Some(mean) = self.mean()
                {
                    self.expected += (mean - self.expected) / 2.0;
                    self.first_means = vec![0.0; 10];
                }
                self.measuring = None;
                (self.samples, self.began) = (Vec::new(), now);
            }
            return;
        }
        self.samples.push(*sample);
        if now - self.began < WINDOW || self.samples.len() < 10 {
            return;
        }
        self.step(now, shed);
        (self.samples, self.began) = (Vec::new(), now);
    }

    fn step(&mut self, now: u64, shed: bool) {
        let overloaded = self.samples.iter().filter(|sample| sample.outcome == Outcome::Overloaded).count();
        let used = self.samples.iter().any(|sample| sample.in_flight as f64 * 2.0 >= self.limit);
        let mean = self.mean();
        let next =
            if overloaded * 10 > self.samples.len() || (self.aimd && mean.is_some_and(|mean| mean > LATENCY_LIMIT)) {
                self.limit * 0.9
            } else if self.aimd {
                self.limit + if used { 1.0 } else { 0.0 }
            } else if let Some(mean) = mean {
                match self.gradient(mean, shed, used, now) {
                    Some(next) => next,
                    None => return,
                }
            } else {
                self.limit
            };
        self.limit = next.clamp(RANGE.min as f64, RANGE.max as f64);
    }

    fn gradient(&mut self, mean: f64, shed: bool, used: bool, now: u64) -> Option<f64> {
        let rises = mean > self.expected;
        if self.first_means.len() < 10 && !(shed && rises && !self.first_means.is_empty()) {
            self.first_means.push(mean);
            self.expected += (mean - self.expected) / self.first_means.len() as f64;
        } else if !(shed && rises) && mean != self.expected {
            self.expected += (mean - self.expected) / 600.0;
        }
        if self.expected > mean * 2.0 {
            self.expected *= 0.95;
        }
        if !shed {
            (self.shedding, self.patience) = (0, 5);
        } else if mean > self.expected * 1.2 {
            self.shedding += 1;
        }
        if self.shedding >= self.patience {
            let span = (mean * 6.0 * if self.limit < 20.0 { 20.0 / self.limit } else { 1.0 }) as u64;
            let span = span.clamp(WINDOW, WINDOW * 100);
            (self.shedding, self.patience) = (0, [10, 20, 40, 60, 60][(self.patience.ilog2() - 2) as usize]);
            self.measuring = Some((self.limit / 3.0, now + span / 2, now + span));
            return None;
        }
        if !used {
            return Some(self.limit);
        }
        let gradient = (1.5 * self.expected / mean).clamp(0.5, 1.5);
        let headroom = self.limit.sqrt().max(4.0);
        Some(self.limit * 0.7 + 0.3 * (self.limit * gradient + headroom))
    }
}

/// How much later it ends, what it took, how many were in flight, what it came to, and whether there was shedding.
type Step = (u64, u64, usize, u8, bool);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    // Runs of one kind, so that windows differ from each other and not only samples.
    let run = (1_u64..20, 1_u64..200, 1_usize..300, any::<bool>(), 1_usize..80).prop_flat_map(
        |(pause, latency, in_flight, shed, length)| {
            let step = (Just(pause), latency..=latency + latency / 4, 1..=in_flight, 0_u8..40, Just(shed));
            prop::collection::vec(step, length)
        },
    );
    prop::collection::vec(run, 1..60).prop_map(|runs| runs.concat())
}

fn agrees(aimd: bool, steps: &[Step]) -> Result<(), TestCaseError> {
    let algorithm = if aimd {
        Algorithm::Aimd(Aimd { latency_limit: LATENCY_LIMIT })
    } else {
        Algorithm::Gradient2(Gradient2::new())
    };
    let (mut real, mut naive) = (AdaptiveLimit::new(algorithm, RANGE, WINDOW, 0), Naive::new(aimd));
    let mut now = 1000 * MS;
    for (pause, latency, in_flight, kind, shed) in steps {
        now += pause * MS;
        let outcome = match kind {
            0 | 1 => Outcome::Overloaded,
            2 => Outcome::CutOff,
            _ => Outcome::Answered,
        };
        let sample = Sample { started: now - latency * MS, answered: now, in_flight: *in_flight, outcome };
        real.record(&sample, now, || *shed);
        naive.record(&sample, now, *shed);
        prop_assert!((RANGE.min..=RANGE.max).contains(&real.limit()));
        // Sums in another order differ in their last bits.
        prop_assert!(real.limit().abs_diff(naive.limit()) <= 1, "{} and {}", real.limit(), naive.limit());
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn aimd_is_what_it_is_called(steps in steps()) {
        agrees(true, &steps)?;
    }

    #[test]
    fn gradient2_follows_the_ratio(steps in steps()) {
        agrees(false, &steps)?;
    }
}

/// Whatever a service does, there is a way back: a limit at its floor rises again when all is well.
#[test]
fn the_floor_is_no_trap() {
    for algorithm in [Algorithm::Aimd(Aimd { latency_limit: LATENCY_LIMIT }), Algorithm::Gradient2(Gradient2::new())] {
        let mut limit = AdaptiveLimit::new(algorithm, RANGE, WINDOW, 0);
        let mut now = 0;
        let mut record = |limit: &mut AdaptiveLimit, outcome, samples: usize| {
            for _ in 0..samples {
                now += 10 * MS;
                let in_flight = limit.limit();
                limit.record(&Sample { started: now - 5 * MS, answered: now, in_flight, outcome }, now, || true);
            }
        };
        record(&mut limit, Outcome::Overloaded, 1000);
        assert_eq!(limit.limit(), RANGE.min);
        record(&mut limit, Outcome::Answered, 5000);
        assert!(limit.limit() > 40, "{}", limit.limit());
    }
}
