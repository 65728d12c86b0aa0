//! The limit that finds itself: samples go in, and after each window there is a new limit.

use super::aimd::Aimd;
use super::gradient2::{Gradient2, Next};
use super::sample::{Outcome, Sample, Window};

/// How a limit is found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Algorithm {
    Aimd(Aimd),
    Gradient2(Gradient2),
}

/// Where a limit begins, and between what it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) min: usize,
    pub(super) initial: usize,
    pub(super) max: usize,
}

/// See the module. Times are nanoseconds on one clock.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct AdaptiveLimit {
    algorithm: Algorithm,
    range: Range,
    limit: f64,
    window: Window,
    window_nanos: u64,
    measuring: Option<Measurement>,
}

/// While the expected latency is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measurement {
    limit: f64,
    /// Requests that come until then count.
    counts_until: u64,
    ends: u64,
}

/// Samples that a window has at least: the mean of fewer says little.
pub(super) const MIN_SAMPLES: u64 = 10;

/// A measurement ends after so many windows' time, however slow the requests are.
const MAX_MEASURED_WINDOWS: u64 = 100;

impl AdaptiveLimit {
    pub(super) fn new(algorithm: Algorithm, range: Range, window_nanos: u64, now: u64) -> Self {
        let limit = range.initial as f64;
        Self { algorithm, range, limit, window: Window::new(now), window_nanos, measuring: None }
    }

    /// How many requests may be in flight.
    pub(super) fn limit(&self) -> usize {
        (self.measuring.map_or(self.limit, |measurement| measurement.limit) as usize)
            .clamp(self.range.min, self.range.max)
    }

    pub(super) const fn is_measuring(&self) -> bool {
        self.measuring.is_some()
    }

    /// Between what the limit stays.
    pub(super) const fn range(&self) -> Range {
        self.range
    }

    /// The latency that is expected, in nanoseconds, where the algorithm has such a thing.
    pub(super) fn expected(&self) -> Option<f64> {
        match &self.algorithm {
            Algorithm::Aimd(_) => None,
            Algorithm::Gradient2(gradient) => gradient.expected(),
        }
    }

    /// Stays within another range from now on.
    pub(super) fn set_range(&mut self, min: usize, max: usize) {
        self.range = Range { min, max, ..self.range };
        self.limit = self.limit.clamp(min as f64, max as f64);
    }

    /// Goes on with other settings, from the limit that there is; and, by the same algorithm, with what it has learnt.
    pub(super) fn reconfigure(&mut self, algorithm: Algorithm, range: Range, window_nanos: u64) {
        if !matches!((&self.algorithm, &algorithm), (Algorithm::Gradient2(_), Algorithm::Gradient2(_))) {
            self.algorithm = algorithm;
            self.measuring = None;
        }
        self.range = range;
        self.window_nanos = window_nanos;
        self.limit = self.limit.clamp(range.min as f64, range.max as f64);
    }

    /// Takes a sample. `shed` tells, once a window is over, whether requests were turned away in it. Returns whether the
    /// limit may have changed.
    pub(super) fn record(&mut self, sample: &Sample, now: u64, shed: impl FnOnce() -> bool) -> bool {
        if sample.outcome == Outcome::CutOff && !self.is_slow(sample.latency()) {
            return false;
        }
        if let Some(measurement) = self.measuring {
            return self.measure(measurement, sample, now);
        }
        self.window.add(sample);
        let is_over =
            now.saturating_sub(self.window.began) >= self.window_nanos && self.window.samples() >= MIN_SAMPLES;
        if is_over {
            self.conclude_window(now, shed());
        }
        is_over
    }

    fn conclude_window(&mut self, now: u64, shed: bool) {
        let next = match &mut self.algorithm {
            Algorithm::Aimd(aimd) => Next::Limit(aimd.next(&self.window, self.limit)),
            Algorithm::Gradient2(gradient) => gradient.next(&self.window, self.limit, shed),
        };
        match next {
            Next::Limit(limit) => self.limit = limit.clamp(self.range.min as f64, self.range.max as f64),
            Next::Measure { limit, span } => {
                let span =
                    (span as u64).clamp(self.window_nanos, self.window_nanos.saturating_mul(MAX_MEASURED_WINDOWS));
                let (counts_until, ends) = (now.saturating_add(span / 2), now.saturating_add(span));
                self.measuring = Some(Measurement { limit, counts_until, ends });
            }
        }
        self.window = Window::new(now);
    }

    fn measure(&mut self, measurement: Measurement, sample: &Sample, now: u64) -> bool {
        // Who came before had to queue.
        if (self.window.began..=measurement.counts_until).contains(&sample.started) {
            self.window.add(sample);
        }
        self.end_measurement(now)
    }

    /// Ends a measurement whose time is up. Returns whether there was one.
    pub(super) fn end_measurement(&mut self, now: u64) -> bool {
        let is_over = self.measuring.is_some_and(|measurement| now >= measurement.ends);
        if is_over {
            let latency = self.window.mean_latency().filter(|_| self.window.samples() >= MIN_SAMPLES);
            if let (Algorithm::Gradient2(gradient), Some(latency)) = (&mut self.algorithm, latency) {
                gradient.measured(latency);
            }
            self.measuring = None;
            self.window = Window::new(now);
        }
        is_over
    }

    /// Whether a request that was cut off after so long says something: what has already taken longer than it should.
    fn is_slow(&self, latency: u64) -> bool {
        let longest = match &self.algorithm {
            Algorithm::Aimd(aimd) => Some(aimd.latency_limit),
            Algorithm::Gradient2(gradient) => gradient.expected().map(|expected| expected * 2.0),
        };
        longest.is_some_and(|longest| latency as f64 > longest)
    }
}
