//! The layer, and what makes it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use tower_layer::Layer;

use super::circuit::{Fallback, JudgeHead, OnChange, Shared};
use super::circuits::Circuits;
use super::client::CircuitBreakerClientLayer;
use super::errors::AllErrors;
use super::forced::Forced;
use super::handle::CircuitBreakerHandle;
use super::service::CircuitBreakerService;
use super::settings::{Mode, OnAbandoned, Settings, WhenOpen, Window};
use super::state::Change;
use crate::spine::classify::HeadVerdict;
use crate::spine::clock::{Clock, Sleep};
use crate::spine::config::ConfigError;
use crate::spine::key::KeyExtractor;
use crate::spine::rejection::{Refuser, Rejection, RenderRejection};
use crate::spine::request::RequestView;
use crate::spine::response::ResponseView;
use crate::spine::signal::Signal;

/// Makes a [`CircuitBreakerLayer`]. See the [module](super) for the manual.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::circuit_breaker::{CircuitBreaker, Window};
///
/// let layer = CircuitBreaker::new("payments")
///     .window(Window::time(Duration::from_secs(10)))
///     .failure_rate(0.5)
///     .consecutive_failures(5)
///     .build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is guarded until the layer is built"]
pub struct CircuitBreaker<C = AllErrors> {
    name: Arc<str>,
    settings: Settings,
    mode: Mode,
    when_open: WhenOpen,
    keys: Option<Keys>,
    judge_head: Option<JudgeHead>,
    fallback: Option<Fallback>,
    on_change: Option<OnChange>,
    is_quiet: bool,
    errors: C,
    clock: Clock,
    refuser: Refuser,
}

crate::spine::bounds::no_layer!(CircuitBreaker<C>);

/// What finds the key of a request, and how many there are at most.
pub(super) type Keys = (Arc<dyn KeyExtractor>, usize);

/// Services and handles that wait for a change at a time; more look again without being woken.
const MAX_WAITING: usize = 65_536;
const MAX_NAME_BYTES: usize = 128;

impl CircuitBreaker {
    /// A circuit of this name, which stands in events and metrics: the dependency's, and never input.
    ///
    /// It opens when half of the last 100 calls failed, or 80 % of them took 2 s, once there were 20; stays open for a
    /// second, then twice as long each time up to a minute; and closes when three probes succeed.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            settings: Settings::default(),
            mode: Mode::default(),
            when_open: WhenOpen::default(),
            keys: None,
            judge_head: None,
            fallback: None,
            on_change: None,
            is_quiet: false,
            errors: AllErrors,
            clock: Clock::system(),
            refuser: Refuser::new(),
        }
    }
}

impl<C> CircuitBreaker<C> {
    /// What is judged by: the last 100 calls unless it is said.
    pub const fn window(mut self, window: Window) -> Self {
        self.settings.window = Some(window);
        self
    }

    /// The share of failures in the window at which it opens; `None` for never.
    pub fn failure_rate(mut self, rate: impl Into<Option<f64>>) -> Self {
        self.settings.failure_rate = rate.into();
        self
    }

    /// The calls in the window below which no rate is judged. The window need not be full: 20 unless it is said, or all
    /// of a smaller one.
    pub const fn min_calls(mut self, calls: u32) -> Self {
        self.settings.min_calls = Some(calls);
        self
    }

    /// So many failures in a row open it too, however few there were.
    pub fn consecutive_failures(mut self, failures: impl Into<Option<u32>>) -> Self {
        self.settings.consecutive = failures.into();
        self
    }

    /// From when on a call is slow, up to the head of its response; `None` for never.
    pub fn slow_call(mut self, after: impl Into<Option<Duration>>) -> Self {
        self.settings.slow_call = after.into();
        self
    }

    /// The share of slow calls in the window at which it opens.
    pub const fn slow_rate(mut self, rate: f64) -> Self {
        self.settings.slow_rate = rate;
        self
    }

    /// How long it is open for the first time.
    pub const fn open_for(mut self, time: Duration) -> Self {
        self.settings.open_for = Some(time);
        self
    }

    /// How long it is open at most: each time in a row is twice as long as the one before, and what the dependency asks
    /// for (`Retry-After`, gRPC's pushback) makes it longer, up to this.
    pub const fn max_open(mut self, time: Duration) -> Self {
        self.settings.max_open = Some(time);
        self
    }

    /// The share by which an interval is longer or shorter by chance, so that many breakers do not probe as one.
    pub const fn jitter(mut self, share: f64) -> Self {
        self.settings.jitter = share;
        self
    }

    /// The time of health after which one opening is forgotten; `max_open` unless it is said.
    pub const fn forget_after(mut self, time: Duration) -> Self {
        self.settings.decay = Some(time);
        self
    }

    /// How many calls decide when it is half-open: up to 16, and never more than that many.
    pub const fn probes(mut self, probes: u32) -> Self {
        self.settings.probes = Some(probes);
        self
    }

    /// How many of the probes must succeed; all of them unless it is said.
    pub const fn probes_needed(mut self, probes: u32) -> Self {
        self.settings.needed = Some(probes);
        self
    }

    /// How long a probe may take. One that has not been answered by then has failed; one whose answer has begun well and
    /// goes on has succeeded, and one that its caller holds up ([`Holdup`](crate::Holdup)) counts as nothing.
    pub const fn probe_lease(mut self, time: Duration) -> Self {
        self.settings.lease = time;
        self
    }

    /// The time over which the share of calls that pass grows after recovery. Zero, which it is unless it is said: all
    /// pass at once.
    pub const fn ramp_up(mut self, time: Duration) -> Self {
        self.settings.ramp = time;
        self
    }

    /// What a call counts as that its caller leaves: a failure once it was slow, unless it is said.
    pub const fn on_abandoned(mut self, policy: OnAbandoned) -> Self {
        self.settings.on_abandoned = Some(policy);
        self
    }

    /// Whether it refuses, or only says what it would refuse.
    pub const fn mode(mut self, mode: Mode) -> Self {
        self.mode = mode;
        self
    }

    /// What it does when it is polled ready while it is open.
    pub const fn when_open(mut self, when_open: WhenOpen) -> Self {
        self.when_open = when_open;
        self
    }

    /// A circuit for each key, and so many at most: by [`AuthorityKey`](crate::key::AuthorityKey), route, tenant, or a
    /// closure.
    ///
    /// At the bound, the one that was not used lately makes room, if it is closed and idle, or could have been tried for
    /// [`max_open`](Self::max_open) and was not; where there is none, newcomers share one circuit.
    pub fn per_key(mut self, key: impl KeyExtractor, max_keys: usize) -> Self {
        self.keys = Some((Arc::new(key), max_keys));
        self
    }

    /// Judges responses by their heads, instead of by status and gRPC status. What it does not know better it can leave to
    /// [`classify_head`](crate::classify::classify_head).
    pub fn classify_responses(
        mut self,
        judge: impl Fn(ResponseView<'_>) -> HeadVerdict + Send + Sync + 'static,
    ) -> Self {
        self.judge_head = Some(Arc::new(judge));
        self
    }

    /// Judges errors, which are all failures unless it is said: by [`RefusalsAside`](super::RefusalsAside), or an
    /// [`ErrorsBy`](super::ErrorsBy).
    pub fn classify_errors<D>(self, errors: D) -> CircuitBreaker<D> {
        let Self { name, settings, mode, when_open, keys, judge_head, fallback, on_change, is_quiet, .. } = self;
        let (clock, refuser) = (self.clock, self.refuser);
        CircuitBreaker {
            name,
            settings,
            mode,
            when_open,
            keys,
            judge_head,
            fallback,
            on_change,
            is_quiet,
            errors,
            clock,
            refuser,
        }
    }

    /// May answer a refused request: with something stale, partial, or a default. `None` refuses it after all.
    ///
    /// The answer carries the [`Rejection`] in its extensions, as a refusal does. The client form does not ask it.
    pub fn on_refused(
        mut self,
        answer: impl Fn(&Rejection, RequestView<'_>) -> Option<Response<Bytes>> + Send + Sync + 'static,
    ) -> Self {
        self.fallback = Some(Arc::new(answer));
        self
    }

    /// Is told of each change, with the circuit's name, by the call that brought it about; so be brief.
    pub fn on_change(mut self, told: impl Fn(&str, Change) + Send + Sync + 'static) -> Self {
        self.on_change = Some(Arc::new(told));
        self
    }

    /// Leaves reports of its changes to whoever uses it.
    #[cfg(feature = "redis")]
    pub(crate) const fn quiet(mut self) -> Self {
        self.is_quiet = true;
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

    /// Finds what [`build`](Self::build) would, and makes nothing.
    #[cfg(feature = "config")]
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        self.settings.terms().map(drop)
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// A setting that is out of its range, or all that could open it turned off.
    pub fn build(self) -> Result<CircuitBreakerLayer<C>, ConfigError> {
        if self.name.is_empty() || self.name.len() > MAX_NAME_BYTES {
            return Err(ConfigError::new("circuit breaker.name", &self.name, "is no name", "write 1 to 128 bytes"));
        }
        let name = Arc::clone(&self.name);
        // Which of them it is, where there are several.
        let blame = |error: ConfigError| error.within(format_args!("circuit breaker \"{name}\""));
        if self.keys.as_ref().is_some_and(|(_, most)| *most == 0) {
            return Err(blame(ConfigError::new("max_keys", 0, "has room for nobody", "write 1 or more")));
        }
        let terms = self.settings.terms().map_err(blame)?;
        let (shared, keys, errors) = self.shared();
        let circuits = Arc::new(Circuits::new(&name, terms, Arc::new(shared), keys));
        Ok(CircuitBreakerLayer { circuits, errors })
    }

    fn shared(self) -> (Shared, Option<Keys>, C) {
        let shared = Shared {
            time: Time(self.clock),
            refuser: self.refuser,
            judge_head: self.judge_head,
            fallback: self.fallback,
            on_change: self.on_change,
            is_quiet: self.is_quiet,
            when_open: self.when_open,
            slow_after: self.settings.slow_after(),
            cancel_after: self.settings.cancel_after(),
            is_shadow: AtomicBool::new(self.mode == Mode::Shadow),
            changed: Signal::new(MAX_WAITING),
            sampler: Default::default(),
            said_no_key: AtomicBool::new(false),
            forced: Forced::default(),
        };
        (shared, self.keys, self.errors)
    }
}

impl<C> fmt::Debug for CircuitBreaker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CircuitBreaker")
            .field("name", &self.name)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// Where circuits take the time from.
#[derive(Debug)]
pub(super) struct Time(Clock);

impl Time {
    #[inline]
    pub(super) fn now_nanos(&self) -> u64 {
        self.0.ticks()
    }

    pub(super) fn sleep_ms(&self, ms: u64) -> Option<Sleep> {
        self.0.sleep(Duration::from_millis(ms))
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.0
    }
}

/// Guards a dependency. See the [module](super) for the manual.
///
/// Made by [`CircuitBreaker::build`]. Clones, and all services that they make, share their circuits.
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct CircuitBreakerLayer<C = AllErrors> {
    pub(super) circuits: Arc<Circuits>,
    errors: C,
}

impl CircuitBreakerLayer {
    /// Guards nothing: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self::empty_judging(AllErrors)
    }
}

impl<C> CircuitBreakerLayer<C> {
    /// Guards nothing, as [`empty`](CircuitBreakerLayer::empty), in the place of one that judges errors so.
    pub fn empty_judging(errors: C) -> Self {
        let silent = CircuitBreaker::new("").slow_call(None).on_abandoned(OnAbandoned::Ignore);
        let (shared, ..) = silent.shared();
        Self { circuits: Arc::new(Circuits::disabled(Arc::new(shared))), errors }
    }

    /// Watches and steers the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> CircuitBreakerHandle {
        CircuitBreakerHandle::of(Arc::clone(&self.circuits))
    }

    /// The form for clients whose code wants to tell a refusal from a failure by its type: the error is a
    /// [`ClientError`](crate::client::ClientError), and a refusal allocates nothing.
    pub fn client(self) -> CircuitBreakerClientLayer<C> {
        CircuitBreakerClientLayer::new(self.circuits, self.errors)
    }
}

impl<S, C: Clone> Layer<S> for CircuitBreakerLayer<C> {
    type Service = CircuitBreakerService<S, C>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService::new(inner, Arc::clone(&self.circuits), self.errors.clone())
    }
}
