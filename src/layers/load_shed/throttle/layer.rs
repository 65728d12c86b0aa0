//! The layer, and what makes it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tower_layer::Layer;

use super::ratio::{Answer, Epoch, Ratio};
use super::service::AdaptiveThrottleService;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::form::{AsError, AsResponse, Form};
use crate::spine::random::Random;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Makes an [`AdaptiveThrottleLayer`]. See the [module](super::super) for the manual.
///
/// ```
/// use tower_rampart::load_shed::AdaptiveThrottle;
///
/// // Around a client: twice as much is asked for as is accepted, and no more.
/// let layer = AdaptiveThrottle::new().build()?.client();
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is throttled until the layer is built"]
pub struct AdaptiveThrottle {
    k: f64,
    max_probability: f64,
    window: Duration,
    retry_after: Duration,
    clock: Clock,
    refuser: Refuser,
}

crate::spine::bounds::no_layer!(AdaptiveThrottle);

impl AdaptiveThrottle {
    /// By the book: K = 2 over two minutes.
    pub fn new() -> Self {
        Self {
            k: 2.0,
            max_probability: 0.95,
            window: Duration::from_secs(120),
            retry_after: Duration::from_secs(1),
            clock: Clock::system(),
            refuser: Refuser::new(),
        }
    }

    /// How many requests are made for each that is accepted: 2 unless it is said. A lower one spares the service more,
    /// a higher one finds out sooner that it is well again.
    pub const fn k(mut self, k: f64) -> Self {
        self.k = k;
        self
    }

    /// The most that may be refused: 0.95 unless it is said. The book has no such bound, so that a client which sees
    /// nothing but refusals makes a call every two minutes and is that late to see the end of them; say 1 for that.
    pub const fn max_probability(mut self, probability: f64) -> Self {
        self.max_probability = probability;
        self
    }

    /// How long a request counts; two minutes unless it is said. It should outlast the longest call.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// What a refused caller is told to wait; a second unless it is said.
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = wait;
        self
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.refuser = self.refuser.with_clock(clock.clone());
        self.clock = clock;
        self
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.refuser = self.refuser.with_renderer(renderer);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// A K below 1, which refuses what would be accepted, a probability that is none, a window below a second.
    pub fn build(self) -> Result<AdaptiveThrottleLayer, ConfigError> {
        if !(1.0..=1000.0).contains(&self.k) {
            const MEND: &str = "write 1 to 1000; 2 is common";
            return Err(ConfigError::new("k", self.k, "is no multiple of what is accepted", MEND));
        }
        if !(0.0..=1.0).contains(&self.max_probability) {
            const MEND: &str = "write 0 to 1, such as 0.95";
            return Err(ConfigError::new("max_probability", self.max_probability, "is no probability", MEND));
        }
        if self.window < Duration::from_secs(1) {
            let shown = format!("{}ms", self.window.as_millis());
            return Err(ConfigError::new("window", shown, "is too short to learn from", "write 1 s or more"));
        }
        let window_nanos = u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        let core = Core {
            start: self.clock.now(),
            ratio: Mutex::new(Ratio::new(self.k, self.max_probability, window_nanos)),
            throttled: AtomicU64::new(0),
            random: Random::new(),
            retry_after: self.retry_after,
            clock: self.clock,
            refuser: self.refuser,
        };
        Ok(AdaptiveThrottleLayer { core: Arc::new(core), form: PhantomData })
    }
}

impl Default for AdaptiveThrottle {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for AdaptiveThrottle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveThrottle").field("k", &self.k).field("window", &self.window).finish_non_exhaustive()
    }
}

/// What all services of a layer share.
pub(in super::super) struct Core {
    /// Where its nanoseconds begin.
    start: Instant,
    ratio: Mutex<Ratio>,
    pub(super) throttled: AtomicU64,
    random: Random,
    pub(super) retry_after: Duration,
    clock: Clock,
    pub(super) refuser: Refuser,
}

impl Core {
    pub(super) fn admit(&self) -> Option<Epoch> {
        let (now, draw) = (self.now(), self.random.unit());
        self.ratio().admit(now, draw)
    }

    pub(super) fn settle(&self, admitted: Epoch, answer: Answer) {
        if answer != Answer::Accepted {
            let now = self.now();
            self.ratio().settle(now, admitted, answer);
        }
    }

    pub(in super::super) fn describe(&self) -> String {
        self.ratio().describe()
    }

    fn now(&self) -> u64 {
        let since = self.clock.now().saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    fn ratio(&self) -> MutexGuard<'_, Ratio> {
        // Nothing panics under the lock.
        self.ratio.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Throttles a client by what its service accepts.
///
/// Made by [`AdaptiveThrottle`]. Clones, and all services that they make, count together: a layer for each service that is
/// called. `F` is how it refuses: by a response, or as [`client`](Self::client) does.
#[must_use = "a layer does nothing until it is put around a service"]
pub struct AdaptiveThrottleLayer<F = AsResponse> {
    pub(in super::super) core: Arc<Core>,
    form: PhantomData<F>,
}

impl AdaptiveThrottleLayer {
    /// The same layer with a typed error, [`ClientError`](crate::client::ClientError).
    pub fn client(self) -> AdaptiveThrottleLayer<AsError> {
        AdaptiveThrottleLayer { core: self.core, form: PhantomData }
    }
}

impl<F> AdaptiveThrottleLayer<F> {
    /// Watches the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> AdaptiveThrottleHandle {
        AdaptiveThrottleHandle { core: Arc::clone(&self.core) }
    }
}

impl<S, F: Form> Layer<S> for AdaptiveThrottleLayer<F> {
    type Service = AdaptiveThrottleService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        AdaptiveThrottleService::new(inner, Arc::clone(&self.core))
    }
}

impl<F> Clone for AdaptiveThrottleLayer<F> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), form: PhantomData }
    }
}

impl<F> fmt::Debug for AdaptiveThrottleLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdaptiveThrottleLayer").field("core", &self.core).finish_non_exhaustive()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("throttled", &self.throttled).finish_non_exhaustive()
    }
}

/// Watches a running [`AdaptiveThrottleLayer`], from anywhere. Clones are the same handle.
///
/// ```
/// use tower_rampart::load_shed::AdaptiveThrottle;
///
/// let handle = AdaptiveThrottle::new().build()?.handle();
/// assert_eq!(handle.snapshot().probability, 0.0);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
pub struct AdaptiveThrottleHandle {
    core: Arc<Core>,
}

impl AdaptiveThrottleHandle {
    /// How the throttle is doing.
    #[must_use]
    pub fn snapshot(&self) -> AdaptiveThrottleSnapshot {
        let now = self.core.now();
        let mut ratio = self.core.ratio();
        let (requests, accepted) = ratio.counts(now);
        let throttled = self.core.throttled.load(Ordering::Relaxed);
        AdaptiveThrottleSnapshot { probability: ratio.probability(now), requests, accepted, throttled }
    }
}

/// How a throttle was doing at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct AdaptiveThrottleSnapshot {
    /// The probability with which the next request is refused.
    pub probability: f64,
    /// Requests within the window, those that were throttled included.
    pub requests: u64,
    /// Those that were accepted, as far as it is known: requests under way are counted among them.
    pub accepted: u64,
    /// Requests that were throttled since the start.
    pub throttled: u64,
}
