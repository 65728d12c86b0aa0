//! The layer, and what makes it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tower_layer::Layer;

use super::handle::BulkheadHandle;
use super::places::{Bounds, Places};
use super::service::BulkheadService;
use crate::spine::bounds::CloneService;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::form::{AsError, AsResponse, Form};
use crate::spine::key::KeyExtractor;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Makes a [`BulkheadLayer`]. See the [module](super) for the manual.
///
/// ```
/// use tower_rampart::bulkhead::Bulkhead;
///
/// let layer = Bulkhead::new(64).build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nothing is bounded until the layer is built"]
pub struct Bulkhead {
    name: Option<Arc<str>>,
    max_concurrent: usize,
    queue: Option<(usize, Duration)>,
    key: Option<(Arc<dyn KeyExtractor>, usize)>,
    max_queued_per_key: Option<usize>,
    retry_after: Duration,
    clock: Clock,
    refuser: Refuser,
}

crate::spine::bounds::no_layer!(Bulkhead);

/// The most that a bound may be: what is beyond is no bound, and sums of two stay in range.
const MAX_BOUND: usize = 1 << 31;
const DEFAULT_NAME: &str = "default";
/// A longer label helps nobody.
const MAX_NAME_BYTES: usize = 128;
/// Nobody knows when a place is free; a moment later is as good a time as any.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Bulkhead {
    /// At most so many requests in flight; further ones are refused at once.
    pub fn new(max_concurrent: usize) -> Self {
        Self {
            name: None,
            max_concurrent,
            queue: None,
            key: None,
            max_queued_per_key: None,
            retry_after: DEFAULT_RETRY_AFTER,
            clock: Clock::system(),
            refuser: Refuser::new(),
        }
    }

    /// The name in metrics, `default` unless it is said: the dependency's, and never input.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Lets so many requests wait for a place, each for so long at most, first come, first served. Waiting needs a tokio
    /// runtime with its timers on; without, requests are refused that would wait.
    pub const fn queue(mut self, max_queued: usize, max_wait: Duration) -> Self {
        self.queue = Some((max_queued, max_wait));
        self
    }

    /// Bounds each key's requests too, so that none takes all places: the authority or the route that is called, the
    /// tenant that calls. Requests without the key share one compartment of that size.
    pub fn per_key(mut self, key: impl KeyExtractor, max_concurrent: usize) -> Self {
        self.key = Some((Arc::new(key), max_concurrent));
        self
    }

    /// How many requests of one key may wait for a place of their key; as many as may be in flight, unless it is said.
    pub const fn max_queued_per_key(mut self, requests: usize) -> Self {
        self.max_queued_per_key = Some(requests);
        self
    }

    /// What a refused client is told to wait; a second unless it is said.
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
    /// A bound of 0, which lets nothing through, or of more than two thousand million; a queue for each key, without keys; a
    /// name of nothing, or of more than 128 bytes.
    pub fn build(self) -> Result<BulkheadLayer, ConfigError> {
        let name = self.name.unwrap_or_else(|| DEFAULT_NAME.into());
        if name.is_empty() || name.len() > MAX_NAME_BYTES {
            return Err(ConfigError::new("name", &name, "is no name", "write 1 to 128 bytes"));
        }
        let (max_queued, max_wait) = self.queue.unwrap_or_default();
        let max_concurrent = bound("max_concurrent", self.max_concurrent)?;
        let has_keys = self.key.is_some();
        let max_concurrent_per_key = match self.key {
            Some((_, places)) => bound("per_key, max_concurrent", places)?,
            None => max_concurrent,
        };
        if let Some(requests) = self.max_queued_per_key.filter(|_| !has_keys) {
            const MEND: &str = "say by `per_key` what is told apart, or leave it out";
            return Err(ConfigError::new("max_queued_per_key", requests, "bounds nothing without keys", MEND));
        }
        if max_queued > MAX_BOUND {
            return Err(ConfigError::new("max_queued", max_queued, "bounds nothing", "write 2147483648 or less"));
        }
        let bounds = Bounds {
            max_concurrent,
            max_concurrent_per_key,
            max_queued,
            max_queued_per_key: self.max_queued_per_key.unwrap_or(max_concurrent_per_key),
        };
        let core = Core {
            name,
            key: self.key.map(|(key, _)| key),
            bounds,
            max_wait,
            retry_after: self.retry_after,
            clock: self.clock,
            refuser: self.refuser,
            said_missing: AtomicBool::new(false),
            said_no_timer: AtomicBool::new(false),
        };
        let places = Arc::new(Places::new(bounds));
        Ok(BulkheadLayer { core: Some(Arc::new(core)), places, form: PhantomData })
    }
}

/// A bound that lets something through.
pub(super) fn bound(setting: &'static str, bound: usize) -> Result<usize, ConfigError> {
    let breach = match bound {
        0 => "lets nothing through",
        1..=MAX_BOUND => return Ok(bound),
        _ => "bounds nothing",
    };
    Err(ConfigError::new(setting, bound, breach, "write 1 to 2147483648"))
}

impl fmt::Debug for Bulkhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bulkhead")
            .field("name", &self.name)
            .field("max_concurrent", &self.max_concurrent)
            .field("queue", &self.queue)
            .field("per_key", &self.key.as_ref().map(|(_, places)| places))
            .finish_non_exhaustive()
    }
}

/// A layer's settings.
pub(super) struct Core {
    pub(super) name: Arc<str>,
    pub(super) key: Option<Arc<dyn KeyExtractor>>,
    pub(super) bounds: Bounds,
    pub(super) max_wait: Duration,
    pub(super) retry_after: Duration,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
    pub(super) said_missing: AtomicBool,
    pub(super) said_no_timer: AtomicBool,
}

/// Bounds requests in flight, and those that wait for their turn.
///
/// Made by [`Bulkhead`]. Clones, and all services that they make, share the places. `F` is how it refuses: by a response,
/// or as [`client`](Self::client) does.
#[must_use = "a layer does nothing until it is put around a service"]
pub struct BulkheadLayer<F = AsResponse> {
    pub(super) core: Option<Arc<Core>>,
    pub(super) places: Arc<Places>,
    form: PhantomData<F>,
}

impl BulkheadLayer {
    /// Bounds nothing: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        let bounds = Bounds { max_concurrent: 0, max_concurrent_per_key: 0, max_queued: 0, max_queued_per_key: 0 };
        Self { core: None, places: Arc::new(Places::new(bounds)), form: PhantomData }
    }

    /// The same layer with a typed error, [`ClientError`](crate::client::ClientError), for the client's side.
    pub fn client(self) -> BulkheadLayer<AsError> {
        BulkheadLayer { core: self.core, places: self.places, form: PhantomData }
    }
}

impl<F> BulkheadLayer<F> {
    /// Watches and changes the layer while it runs.
    #[must_use]
    pub fn handle(&self) -> BulkheadHandle {
        let name = self.core.as_ref().map_or_else(|| Arc::from(""), |core| Arc::clone(&core.name));
        BulkheadHandle::of(name, Arc::clone(&self.places))
    }

    /// Goes on with the places of another layer, those that are taken included, and with this one's bounds: for a new
    /// configuration that takes over from a running one. Do it before the layer makes its first service or handle.
    pub fn adopt_places(mut self, running: &BulkheadHandle) -> Self {
        // A layer that bounds nothing has places for nobody.
        if let Some(core) = &self.core
            && running.places().max_concurrent() > 0
        {
            running.places().resize(core.bounds);
            self.places = Arc::clone(running.places());
        }
        self
    }
}

impl<S: CloneService, F: Form> Layer<S> for BulkheadLayer<F> {
    type Service = BulkheadService<S, F>;

    fn layer(&self, inner: S) -> Self::Service {
        BulkheadService::new(inner, self.core.clone(), Arc::clone(&self.places))
    }
}

impl<F> Clone for BulkheadLayer<F> {
    fn clone(&self) -> Self {
        Self { core: self.core.clone(), places: Arc::clone(&self.places), form: PhantomData }
    }
}

impl<F> fmt::Debug for BulkheadLayer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkheadLayer").field("core", &self.core).field("places", &self.places).finish_non_exhaustive()
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core")
            .field("name", &self.name)
            .field("bounds", &self.bounds)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}
