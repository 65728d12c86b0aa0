//! What requests came to, gathered over a window of time.

/// What a request says about load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done, and took as long as it took.
    Answered,
    /// It was turned away further in for want of capacity.
    Overloaded,
    /// It was cut off before its answer, by its client or by a deadline: it would have taken longer than it did.
    CutOff,
}

/// One request. Times are nanoseconds on one clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub(super) started: u64,
    pub(super) answered: u64,
    /// Requests in flight when it came, itself included.
    pub(super) in_flight: usize,
    pub(super) outcome: Outcome,
}

impl Sample {
    pub(super) const fn latency(&self) -> u64 {
        self.answered.saturating_sub(self.started)
    }
}

/// Sums over the samples of a window.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) began: u64,
    answered: u64,
    overloaded: u64,
    latency_sum: u64,
    max_in_flight: usize,
}

/// Of a hundred samples more than so many must be overloaded for the window to be. A single one is an accident.
const OVERLOADED_PERCENT: u64 = 10;

impl Window {
    pub(super) fn new(began: u64) -> Self {
        Self { began, ..Self::default() }
    }

    pub(super) fn add(&mut self, sample: &Sample) {
        self.max_in_flight = self.max_in_flight.max(sample.in_flight);
        if sample.outcome == Outcome::Overloaded {
            // How quickly somebody is turned away says nothing about how long work takes.
            self.overloaded += 1;
        } else {
            self.answered += 1;
            self.latency_sum = self.latency_sum.saturating_add(sample.latency());
        }
    }

    pub(super) const fn samples(&self) -> u64 {
        self.answered + self.overloaded
    }

    /// The mean latency; `None` when nothing was answered. It is never nothing, whatever a coarse clock says: it divides.
    pub(super) fn mean_latency(&self) -> Option<f64> {
        (self.answered > 0).then(|| (self.latency_sum as f64 / self.answered as f64).max(1.0))
    }

    pub(super) const fn is_overloaded(&self) -> bool {
        self.overloaded * 100 > self.samples() * OVERLOADED_PERCENT
    }

    /// Whether the limit was made use of. Of one that was not, nobody knows whether more would do.
    pub(super) fn used(&self, limit: f64) -> bool {
        self.max_in_flight as f64 * 2.0 >= limit
    }
}
