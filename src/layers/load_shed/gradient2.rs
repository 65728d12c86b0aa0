//! Netflix's Gradient2: the limit follows the ratio of the latency that there should be to the one that there is.
//!
//! Three things are ours. While requests are shed, the latency that there is contains the queue that the limit makes, so
//! that the expected one must not follow it upwards: else the limit creeps up for as long as the overload lasts. Instead
//! it is measured anew from time to time, behind a limit that leaves no queue (which is how Envoy finds its `minRTT`). A
//! limit that is far too low grows by a share and not by a few, since the ratio may be above one. And verdicts count: an
//! overloaded window shrinks the limit whatever its latency is.

use super::aimd::BACKOFF;
use super::sample::Window;

/// A limit by how much slower than expected requests are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Gradient2 {
    /// The latency that is expected, in nanoseconds: that of work for which nobody waits.
    expected: f64,
    /// Windows that the expected latency was learnt from, up to [`WARM_UP`].
    learnt: u32,
    /// Windows that have shed in a queue of their own making, since one that has not shed.
    shedding: u32,
    /// How many of them there are before the next measurement.
    patience: u32,
}

/// What follows a window.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Next {
    Limit(f64),
    /// The limit is to be this for so many nanoseconds, to measure, and then what it was.
    Measure {
        limit: f64,
        span: f64,
    },
}

/// Latency may be so much above the expected one before the limit shrinks.
const TOLERANCE: f64 = 1.5;
/// How much of the way to the new limit is gone with each window.
const SMOOTHING: f64 = 0.3;
/// What the ratio may be.
const GRADIENTS: std::ops::RangeInclusive<f64> = 0.5..=1.5;
/// Windows whose plain mean is the expected latency at the start.
const WARM_UP: u32 = 10;
/// Windows that the expected latency is smoothed over afterwards.
const LONG_WINDOW: f64 = 600.0;
/// Room for a queue, at least; more under large limits.
const MIN_HEADROOM: f64 = 4.0;
/// Windows that shed before the first measurement, and at most.
const MIN_PATIENCE: u32 = 5;
const MAX_PATIENCE: u32 = 60;
/// What the limit is divided by for a measurement. It settles below twice the server's capacity, so a third leaves no queue.
const MEASURED_SHARE: f64 = 3.0;
/// A measurement lasts for so many latencies, longer behind a low limit, where fewer requests end. Those of its first half
/// count, so that the slow ones among them have ended too.
const MEASURED_LATENCIES: f64 = 6.0;
const MEASURED_LIMIT: f64 = 20.0;
/// Latency so much above the expected one is a queue.
const QUEUED: f64 = 1.2;
/// How much of the way to a measured latency is gone at once.
const MEASURED_SMOOTHING: f64 = 0.5;

impl Gradient2 {
    pub(super) const fn new() -> Self {
        Self { expected: 0.0, learnt: 0, shedding: 0, patience: MIN_PATIENCE }
    }

    /// The latency that is expected, in nanoseconds; `None` before anything was learnt.
    pub(super) fn expected(&self) -> Option<f64> {
        (self.learnt > 0).then_some(self.expected)
    }

    /// What follows a window. `shed`: whether requests were turned away in it.
    pub(super) fn next(&mut self, window: &Window, limit: f64, shed: bool) -> Next {
        if window.is_overloaded() {
            return Next::Limit(limit * BACKOFF);
        }
        let Some(latency) = window.mean_latency() else { return Next::Limit(limit) };
        self.learn(latency, shed);
        if !shed {
            (self.shedding, self.patience) = (0, MIN_PATIENCE);
        } else if latency > QUEUED * self.expected {
            self.shedding += 1;
        }
        if self.shedding >= self.patience {
            self.shedding = 0;
            self.patience = (self.patience * 2).min(MAX_PATIENCE);
            let span = latency * MEASURED_LATENCIES * (MEASURED_LIMIT / limit).max(1.0);
            return Next::Measure { limit: limit / MEASURED_SHARE, span };
        }
        if !window.used(limit) {
            return Next::Limit(limit);
        }
        let gradient = (TOLERANCE * self.expected / latency).clamp(*GRADIENTS.start(), *GRADIENTS.end());
        let target = limit * gradient + limit.sqrt().max(MIN_HEADROOM);
        Next::Limit(limit + (target - limit) * SMOOTHING)
    }

    /// The latency behind a limit that left no queue.
    pub(super) fn measured(&mut self, latency: f64) {
        self.expected += (latency - self.expected) * MEASURED_SMOOTHING;
        self.learnt = WARM_UP;
    }

    fn learn(&mut self, latency: f64, shed: bool) {
        if self.learnt < WARM_UP && !(shed && self.learnt > 0 && latency > self.expected) {
            self.learnt += 1;
            self.expected += (latency - self.expected) / f64::from(self.learnt);
        } else if !shed || latency < self.expected {
            self.expected += (latency - self.expected) / LONG_WINDOW;
        }
        // Work has become much lighter, or the start was under load: do not wait ten minutes to see it.
        if self.expected > 2.0 * latency {
            self.expected *= 0.95;
        }
    }
}
