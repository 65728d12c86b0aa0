//! What all services of a layer share: the limit, who is in flight, and what was shed.

use std::fmt;
use std::sync::PoisonError;
use std::time::Instant;

use super::criticality::Criticality;
use super::limit::{AdaptiveLimit, Algorithm, Range};
use super::sample::Sample;
use super::sync::{AtomicBool, AtomicU64, AtomicUsize, Mutex, MutexGuard, Ordering};

/// See the module.
pub(super) struct State {
    /// Where its nanoseconds begin.
    start: Instant,
    in_flight: AtomicUsize,
    /// The engine's limit, for those who come in.
    limit: AtomicUsize,
    engine: Mutex<AdaptiveLimit>,
    shed: [AtomicU64; Criticality::COUNT],
    /// Whether anybody was shed since the engine last asked.
    shed_lately: AtomicBool,
    /// Whether the limit is lower than it need be, for as long as a measurement lasts.
    is_measuring: AtomicBool,
}

impl State {
    pub(super) fn new(algorithm: Algorithm, range: Range, window_nanos: u64, start: Instant) -> Self {
        let engine = AdaptiveLimit::new(algorithm, range, window_nanos, 0);
        Self {
            start,
            in_flight: AtomicUsize::new(0),
            limit: AtomicUsize::new(engine.limit()),
            engine: Mutex::new(engine),
            shed: Default::default(),
            shed_lately: AtomicBool::new(false),
            is_measuring: AtomicBool::new(false),
        }
    }

    /// Nanoseconds of the state's own time.
    pub(super) fn nanos(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Lets a request in, if there is room for one that matters so much, and says how many are in flight then.
    pub(super) fn enter(&self, criticality: Criticality) -> Option<usize> {
        let allowed = criticality.share(self.limit());
        let entered = self.in_flight.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |in_flight| {
            (in_flight < allowed).then_some(in_flight + 1)
        });
        entered.ok().map(|before| before + 1)
    }

    /// A request was turned away.
    pub(super) fn count_shed(&self, criticality: Criticality) {
        if let Some(shed) = self.shed.get(criticality.index()) {
            shed.fetch_add(1, Ordering::Relaxed);
        }
        self.shed_lately.store(true, Ordering::Relaxed);
    }

    /// Ends a measurement whose time is up, for those that it keeps out: when nobody gets in, no sample ends it. Returns the
    /// limit before and after.
    pub(super) fn end_measurement(&self, now: impl FnOnce() -> Instant) -> Option<(usize, usize)> {
        if !self.is_measuring.load(Ordering::Relaxed) {
            return None;
        }
        let now = self.nanos(now());
        let mut engine = self.engine();
        if engine.end_measurement(now) { self.publish(&engine) } else { None }
    }

    /// A request is no longer in flight.
    pub(super) fn leave(&self) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    /// Learns from a sample; returns the limit before and after where it has changed.
    pub(super) fn record(&self, sample: &Sample, now: u64) -> Option<(usize, usize)> {
        let mut engine = self.engine();
        if !engine.record(sample, now, || self.shed_lately.swap(false, Ordering::Relaxed)) {
            return None;
        }
        // Under the lock, so that of two changes the later one stands.
        self.publish(&engine)
    }

    /// Goes on with other settings and what was learnt.
    pub(super) fn reconfigure(&self, algorithm: Algorithm, range: Range, window_nanos: u64) {
        let mut engine = self.engine();
        engine.reconfigure(algorithm, range, window_nanos);
        self.publish(&engine);
    }

    pub(super) fn set_range(&self, min: usize, max: usize) {
        let mut engine = self.engine();
        engine.set_range(min, max);
        self.publish(&engine);
    }

    fn publish(&self, engine: &AdaptiveLimit) -> Option<(usize, usize)> {
        let limit = engine.limit();
        self.is_measuring.store(engine.is_measuring(), Ordering::Relaxed);
        let before = self.limit.swap(limit, Ordering::Relaxed);
        (before != limit).then_some((before, limit))
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn range(&self) -> Range {
        self.engine().range()
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    pub(super) fn shed(&self, criticality: Criticality) -> u64 {
        self.shed.get(criticality.index()).map_or(0, |shed| shed.load(Ordering::Relaxed))
    }

    /// The latency that is expected, in nanoseconds.
    pub(super) fn expected(&self) -> Option<f64> {
        self.engine().expected()
    }

    fn engine(&self) -> MutexGuard<'_, AdaptiveLimit> {
        // Nothing panics under the lock.
        self.engine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("limit", &self.limit())
            .field("in_flight", &self.in_flight())
            .finish_non_exhaustive()
    }
}
