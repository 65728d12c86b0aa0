//! The layer, and what makes it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use tower_layer::Layer;

use super::aimd::Aimd;
use super::criticality::Criticality;
use super::gradient2::Gradient2;
use super::handle::LoadShedHandle;
use super::judge::Judge;
use super::limit::{Algorithm, Range};
use super::service::LoadShedService;
use super::state::State;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::form::{AsError, AsResponse, Form};
use crate::spine::path::{PathPattern, PathReadings};
use crate::spine::rejection::{Refuser, RenderRejection};
use crate::spine::request::RequestView;

/// Makes a [`LoadShedLayer`]. See the [module](super) for the manual.
///
/// ```
/// use tower_rampart::load_shed::LoadShed;
///
/// let layer = LoadShed::gradient2().never_shed(["/healthz"]).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is shed until the layer is built"]
pub struct LoadShed {
    algorithm: Algorithm,
    range: Range,
    initial_limit: Option<usize>,
    window: Duration,
    spared: Spared,
    criticality: Option<Arc<CriticalityOf>>,
    judge: Judge,
    until_head: bool,
    retry_after: Duration,
    clock: Clock,
    refuser: Refuser,
    fault: Option<ConfigError>,
}

crate::spine::bounds::no_layer!(LoadShed);

type CriticalityOf = dyn Fn(RequestView<'_>) -> Criticality + Send + Sync;
type Spare = dyn Fn(RequestView<'_>) -> bool + Send + Sync;

/// The most that a limit may be: what is beyond is none.
const MAX_LIMIT: usize = 1 << 31;
const DEFAULT_RANGE: Range = Range { min: 4, initial: 20, max: 1000 };
/// Long enough for the mean of a few requests, short enough to answer a burst.
const DEFAULT_WINDOW: Duration = Duration::from_millis(250);
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

impl LoadShed {
    /// Finds the limit by how much slower requests are than they should be. Nothing need be known of the service.
    pub fn gradient2() -> Self {
        Self::new(Algorithm::Gradient2(Gradient2::new()))
    }

    /// Finds the limit by a mean latency that must not be exceeded: one more as long as it is not, a tenth less when it is.
    pub fn aimd(latency_limit: Duration) -> Self {
        let new = Self::new(Algorithm::Aimd(Aimd { latency_limit: latency_limit.as_nanos() as f64 }));
        if !latency_limit.is_zero() {
            return new;
        }
        const MEND: &str = "write what an answer may take, such as 500 ms";
        Self { fault: Some(ConfigError::new("latency_limit", "0s", "is exceeded by everything", MEND)), ..new }
    }

    fn new(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            range: DEFAULT_RANGE,
            initial_limit: None,
            window: DEFAULT_WINDOW,
            spared: Spared::default(),
            criticality: None,
            judge: Judge { latency_only: false, throttled_is_overload: false },
            until_head: false,
            retry_after: DEFAULT_RETRY_AFTER,
            clock: Clock::system(),
            refuser: Refuser::new(),
            fault: None,
        }
    }

    /// The limit before anything is known; 20 unless it is said, or as near to it as floor and cap allow.
    pub const fn initial_limit(mut self, requests: usize) -> Self {
        self.initial_limit = Some(requests);
        self
    }

    /// The floor; 4 unless it is said. So many are always let in, since nothing is learnt from those that are not.
    pub const fn min_limit(mut self, requests: usize) -> Self {
        self.range.min = requests;
        self
    }

    /// The cap; 1000 unless it is said: what memory and descriptors allow, however quick the answers are.
    pub const fn max_limit(mut self, requests: usize) -> Self {
        self.range.max = requests;
        self
    }

    /// How long samples are gathered for each step; 250 ms unless it is said, and ten requests at least.
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// Paths that are never shed nor counted: health checks. A path that servers may read in several ways is spared only
    /// when every reading is. They replace those that were said before.
    pub fn never_shed<T: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = T>) -> Self {
        self.spared.paths.clear();
        for pattern in patterns {
            match pattern.as_ref().parse::<PathPattern>() {
                Ok(pattern) => self.spared.paths.push(pattern),
                Err(error) => self.fault = self.fault.or_else(|| Some(error.for_setting("never_shed"))),
            }
        }
        self
    }

    /// Further requests that are never shed nor counted: by method, by peer, by whatever an outer layer found.
    pub fn never_shed_when(mut self, spare: impl Fn(RequestView<'_>) -> bool + Send + Sync + 'static) -> Self {
        self.spared.when = Some(Arc::new(spare));
        self
    }

    /// How much it matters that a request is answered, where no outer layer has said. A field that clients write is
    /// anybody's claim, and everybody's is the highest.
    pub fn criticality(mut self, of: impl Fn(RequestView<'_>) -> Criticality + Send + Sync + 'static) -> Self {
        self.criticality = Some(Arc::new(of));
        self
    }

    /// Counts latency alone: for services whose 503 or 504 speak of something else than load.
    pub const fn latency_only(mut self) -> Self {
        self.judge.latency_only = true;
        self
    }

    /// Takes 429 and RESOURCE_EXHAUSTED for overload: around a client whose quota it is. On a server's side they are about
    /// its clients, and whoever can bring them about could make the service shed everybody else.
    pub const fn throttled_is_overload(mut self) -> Self {
        self.judge.throttled_is_overload = true;
        self
    }

    /// Counts requests in flight until the head of the response, and not until its body has ended: for services whose
    /// bodies are streams that idle.
    pub const fn until_head(mut self) -> Self {
        self.until_head = true;
        self
    }

    /// What a shed client is told to wait; a second unless it is said.
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
    /// A floor of 0, limits that are not in order, a window below a millisecond, no latency, a path that is no pattern.
    pub fn build(self) -> Result<LoadShedLayer, ConfigError> {
        if let Some(fault) = self.fault {
            return Err(fault);
        }
        let Range { min, initial, max } = self.range;
        let range = Range { initial: self.initial_limit.unwrap_or_else(|| initial.max(min).min(max)), ..self.range };
        check(range)?;
        let window_nanos = u64::try_from(self.window.as_nanos()).unwrap_or(u64::MAX);
        if window_nanos < 1_000_000 {
            let shown = format!("{}us", self.window.as_micros());
            return Err(ConfigError::new("window", shown, "is too short to learn from", "write 1 ms or more"));
        }
        let state = State::new(self.algorithm, range, window_nanos, self.clock.now());
        let core = Core {
            algorithm: self.algorithm,
            range,
            window_nanos,
            spared: self.spared,
            criticality: self.criticality,
            judge: self.judge,
            until_head: self.until_head,
            retry_after: self.retry_after,
            clock: self.clock,
            refuser: self.refuser,
        };
        Ok(LoadShedLayer { core: Some(Arc::new(core)), state: Arc::new(state), form: PhantomData })
    }
}

/// Whether limits are in order.
pub(super) fn check(range: Range) -> Result<(), ConfigError> {
    let Range { min, initial, max } = range;
    let refuse = |setting, limit: usize, breach, mend| Err(ConfigError::new(setting, limit, breach, mend));
    if min == 0 {
        return refuse("min_limit", 0, "lets nothing through, and nothing is learnt from that", "write 1 or more");
    }
    if max < min || max > MAX_LIMIT {
        return refuse("max_limit", max, "is no cap", "write a number from the floor, `min_limit`, to 2147483648");
    }
    if !(min..=max).contains(&initial) {
        return refuse("initial_limit", initial, "is outside of floor and cap", "write a number between the two");
    }
    Ok(())
}

impl fmt::Debug for LoadShed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShed")
            .field("algorithm", &self.algorithm)
            .field("range", &self.range)
            .finish_non_exhaustive()
    }
}

/// Who is never shed.
#[derive(Clone, Default)]
pub(super) struct Spared {
    pub(super) paths: Vec<PathPattern>,
    when: Option<Arc<Spare>>,
}

/// A layer's settings.
pub(super) struct Core {
    pub(super) algorithm: Algorithm,
    pub(super) range: Range,
    window_nanos: u64,
    pub(super) spared: Spared,
    criticality: Option<Arc<CriticalityOf>>,
    pub(super) judge: Judge,
    pub(super) until_head: bool,
    pub(super) retry_after: Duration,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
}

impl Core {
    /// Whether a request is none of the layer's business.
    pub(super) fn spares(&self, request: RequestView<'_>) -> bool {
        let Spared { paths, when } = &self.spared;
        let by_path = || {
            let readings = PathReadings::of(request.uri().path());
            paths.iter().any(|pattern| readings.all(pattern))
        };
        (!paths.is_empty() && by_path()) || when.as_ref().is_some_and(|spare| spare(request))
    }

    pub(super) fn criticality(&self, request: RequestView<'_>) -> Criticality {
        match (request.extensions().get::<Criticality>(), &self.criticality) {
            (Some(criticality), _) => *criticality,
            (None, Some(of)) => of(request),
            (None, None) => Criticality::default(),
        }
    }
}

/// Sheds what a service cannot do in time.
///
/// Made by [`LoadShed`]. Clones, and all services that they make, share the limit. `F` is how it refuses: by a response,
/// or as [`client`](Self::client) does.
#[must_use = "a layer does nothing until it is put around a service"]
pub struct LoadShedLayer<F = AsResponse> {
    pub(super) core: Option<Arc<Core>>,
    pub(super) state: Arc<State>,
    form: PhantomData<F>,
}

impl LoadShedLayer {
    /// Sheds nothing: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        let clock = Clock::system();
        let algorithm = Algorithm::Gradient2(Gradient2::new());
        let state = State::new(algorithm, Range { min: 0, initial: 0, max: 0 }, 0, clock.now());
        Self { core: None, state: Arc::new(state), form: PhantomData }
    }

    /// The same layer with a typed error, [`ClientError`](crate::client::ClientError), for the client's side.
    pub fn client(self) -> LoadShedLayer<AsError> {
        LoadShedLayer { core: self.core, state: self.state, form: PhantomData }
    }
}

impl<F> LoadShedLayer<F> {
    /// Watches and changes the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> LoadShedHandle {
        LoadShedHandle::of(Arc::clone(&self.state))
    }

    /// Goes on with what another layer has learnt and the requests that it has in flight, within this one's floor and
    /// cap: for a new configuration that takes over from a running one. Do it before the layer makes its first service or
    /// handle.
    pub fn adopt_limit(mut self, running: &LoadShedHandle) -> Self {
        // A layer that sheds nothing has learnt nothing.
        if let Some(core) = &self.core
            && running.state().limit() > 0
        {
            running.state().reconfigure(core.algorithm, core.range, core.window_nanos);
            self.state = Arc::clone(running.state());
        }
        self
    }
}

impl<S, F: Form> Layer<S> for LoadShedLayer<F> {
    type Service = LoadShedService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        LoadShedService::new(inner, self.core.clone(), Arc::clone(&self.state))
    }
}

impl<F> Clone for LoadShedLayer<F> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), state: Arc::clone(&self.state), form: PhantomData }
    }
}

impl<F> fmt::Debug for LoadShedLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadShedLayer").field("core", &self.core).field("state", &self.state).finish_non_exhaustive()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("algorithm", &self.algorithm).field("range", &self.range).finish_non_exhaustive()
    }
}
