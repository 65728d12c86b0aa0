//! The layer, and what makes its policy.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tower_layer::Layer;

use super::asked::Signs;
use super::backoff::Backoff;
use super::budget::Budget;
use super::decide::Bounds;
use super::errors::Typed;
use super::policy::{Core, RetryPolicy};
use super::repeat::Repeatable;
use super::room::Room;
use super::service::RetryService;
use crate::spine::bounds::CloneService;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::event::Sampler;
use crate::spine::problem::GrpcCode;
use crate::spine::random::Random;
use crate::spine::request::RequestView;

/// Makes a [`RetryPolicy`]. See the [module](super) for the manual.
#[derive(Clone)]
#[must_use = "nothing is tried again until a policy is built"]
pub struct Retries {
    attempts: u32,
    backoff: (Duration, Duration),
    max_wait: Duration,
    budget_percent: u32,
    budget_floor: u32,
    body_bytes: usize,
    buffer_bytes: usize,
    trailers_within: Duration,
    signs: Signs,
    repeatable: Repeatable,
    clock: Clock,
}

crate::spine::bounds::no_layer!(Retries);

/// Tries in all, where nothing is said.
const DEFAULT_ATTEMPTS: u32 = 3;
/// More tries of one call help nobody.
const MOST_ATTEMPTS: u32 = 16;
/// The longest wait that a server may ask for.
const DEFAULT_MAX_WAIT: Duration = Duration::from_secs(30);
/// A share of recent requests that is bearable as additional load.
const DEFAULT_BUDGET_PERCENT: u32 = 20;
/// For those who call so seldom that a share is nothing: in ten seconds.
const DEFAULT_BUDGET_FLOOR: u32 = 10;
const DEFAULT_BODY_BYTES: usize = 64 << 10;
/// What all calls together keep.
const DEFAULT_BUFFER_BYTES: usize = 64 << 20;
/// Long enough for trailers that were sent with the head, and short for a stream that has nothing to say yet.
const DEFAULT_TRAILERS_WITHIN: Duration = Duration::from_millis(100);

impl Retries {
    /// Three tries, within a budget of a fifth of recent requests and ten in ten seconds.
    pub fn new() -> Self {
        let millis = Duration::from_millis;
        Self {
            attempts: DEFAULT_ATTEMPTS,
            backoff: (millis(50), millis(2000)),
            max_wait: DEFAULT_MAX_WAIT,
            budget_percent: DEFAULT_BUDGET_PERCENT,
            budget_floor: DEFAULT_BUDGET_FLOOR,
            body_bytes: DEFAULT_BODY_BYTES,
            buffer_bytes: DEFAULT_BUFFER_BYTES,
            trailers_within: DEFAULT_TRAILERS_WITHIN,
            signs: Signs::default(),
            repeatable: Repeatable::default(),
            clock: Clock::system(),
        }
    }

    /// Tries in all, the first one included: 1 to 16.
    pub const fn max_attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts;
        self
    }

    /// The first wait and the longest one. Each is twice the one before, and any share of it is waited.
    pub const fn backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.backoff = (first, longest);
        self
    }

    /// The longest wait that a server may ask for by `Retry-After` or pushback; after a longer one its answer is passed on.
    pub const fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Retries as a share of the requests of the last ten seconds, in percent: 0 to 1000.
    pub const fn budget_percent(mut self, percent: u32) -> Self {
        self.budget_percent = percent;
        self
    }

    /// Retries in ten seconds that there may be in any case.
    pub const fn budget_floor(mut self, floor: u32) -> Self {
        self.budget_floor = floor;
        self
    }

    /// The longest body that is kept for another try; a longer one streams through and is sent once.
    pub const fn body_bytes(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// What bodies of all calls together may take; where it is used up, bodies are sent once.
    pub const fn buffer_bytes(mut self, bytes: usize) -> Self {
        self.buffer_bytes = bytes;
        self
    }

    /// Replaces the statuses after which a call is tried again: 502, 503 and 504. 429 with `Retry-After` is another matter,
    /// and stays.
    pub fn statuses(mut self, statuses: impl IntoIterator<Item = StatusCode>) -> Self {
        self.signs.statuses = statuses.into_iter().collect();
        self
    }

    /// Passes 429 on, whatever it says about a wait.
    pub const fn ignore_too_many_requests(mut self) -> Self {
        self.signs.too_many_requests = false;
        self
    }

    /// Replaces the gRPC codes after which a call is tried again: 14, unavailable.
    pub fn grpc_codes(mut self, codes: impl IntoIterator<Item = GrpcCode>) -> Self {
        self.signs.grpc_codes = codes.into_iter().map(GrpcCode::get).collect();
        self
    }

    /// Says that every gRPC call may be made twice. All of them are POST, so that nobody else can tell.
    pub const fn grpc_is_idempotent(mut self) -> Self {
        self.repeatable.grpc = true;
        self
    }

    /// How long the head of a gRPC answer is held back for trailers right behind it; 100 ms unless it is said, and only where a
    /// further try may take the answer's place. A stream that says nothing for so long goes on. With no time at all, what is
    /// there together with the head counts.
    pub const fn trailers_within(mut self, wait: Duration) -> Self {
        self.trailers_within = wait;
        self
    }

    /// Says which requests may be made twice, beside those of idempotent methods and with an `Idempotency-Key`.
    ///
    /// ```
    /// use tower_rampart::RequestView;
    /// use tower_rampart::retry::Retries;
    ///
    /// // A search that is a POST because its question is long.
    /// let policy = Retries::new().idempotent_when(|request: RequestView<'_>| request.uri().path() == "/search").build()?;
    /// # Ok::<(), tower_rampart::ConfigError>(())
    /// ```
    pub fn idempotent_when(mut self, is_idempotent: impl Fn(RequestView<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.repeatable.when = Some(Arc::new(is_idempotent));
        self
    }

    /// Replaces the clock: by the one that deadlines were made by.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The policy, for [`RetryLayer`].
    ///
    /// # Errors
    ///
    /// No try, or more than 16; a backoff that is none; a share above 1000 percent; a gRPC code that is none or stands for
    /// success.
    pub fn build(self) -> Result<RetryPolicy, ConfigError> {
        if self.attempts == 0 || self.attempts > MOST_ATTEMPTS {
            const MEND: &str = "write 1 to 16, the first try included";
            return Err(ConfigError::new("max_attempts", self.attempts, "is no number of tries", MEND));
        }
        if self.budget_percent > 1000 {
            const MEND: &str = "write 0 to 1000; 20 is a fifth";
            return Err(ConfigError::new("budget_percent", self.budget_percent, "is too large a share", MEND));
        }
        if self.signs.grpc_codes.contains(&GrpcCode::OK.get()) {
            return Err(ConfigError::new("grpc_codes", 0, "is no failure of gRPC's", "write codes of failures"));
        }
        let (first, longest) = self.backoff;
        let bounds =
            Bounds { attempts: self.attempts, backoff: Backoff::new(first, longest)?, max_wait: self.max_wait };
        let core = Core {
            bounds,
            signs: self.signs,
            repeatable: self.repeatable,
            budget: Budget::new(self.budget_percent, self.budget_floor),
            body_bytes: self.body_bytes,
            room: Room::of(self.buffer_bytes),
            trailers_within: self.trailers_within,
            random: Random::new(),
            begun: self.clock.now(),
            clock: self.clock,
            sampler: Sampler::default(),
            said_no_timer: false.into(),
        };
        Ok(RetryPolicy::of(Arc::new(core)))
    }
}

impl Default for Retries {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Retries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retries")
            .field("attempts", &self.attempts)
            .field("budget_percent", &self.budget_percent)
            .field("signs", &self.signs)
            .finish_non_exhaustive()
    }
}

/// Tries calls again as a [`RetryPolicy`] says: tower's own retry, and around it what keeps bodies. See the [module](super)
/// for the manual.
#[derive(Debug)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct RetryLayer<V = Typed> {
    pub(super) policy: RetryPolicy<V>,
}

impl<V> RetryLayer<V> {
    /// Tries again as this policy says. Layers with clones of one policy have one budget.
    pub const fn new(policy: RetryPolicy<V>) -> Self {
        Self { policy }
    }
}

impl<V> From<RetryPolicy<V>> for RetryLayer<V> {
    fn from(policy: RetryPolicy<V>) -> Self {
        Self::new(policy)
    }
}

impl<V> Clone for RetryLayer<V> {
    fn clone(&self) -> Self {
        Self::new(self.policy.clone())
    }
}

impl<S: CloneService, V> Layer<S> for RetryLayer<V> {
    type Service = RetryService<S, V>;

    fn layer(&self, inner: S) -> Self::Service {
        RetryService::new(inner, self.policy.clone())
    }
}
