//! The layer.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tower_layer::Layer;

use super::super::layer::sleep;
use super::service::TryTimeoutService;
use crate::spine::clock::{Clock, Sleep};
use crate::spine::config::ConfigError;
use crate::spine::form::{AsError, AsResponse};
use crate::spine::rejection::{Refuser, RenderRejection};

/// Bounds the time until the head of a response is there: of each try, where it stands inside a retry. The call is dropped
/// then.
///
/// The answer is 504 (gRPC 4), with [`TimedOut`](crate::TimedOut) in its extensions and no
/// [`Rejection`](crate::Rejection): the call was made and came to nothing, which breakers count and retries try again.
/// [`as_error`](Self::as_error) makes it an error.
///
/// ```
/// use std::time::Duration;
/// use tower::{Layer, service_fn};
/// use tower_rampart::deadline::TryTimeoutLayer;
///
/// let client = service_fn(|_: http::Request<String>| async { Ok::<_, ()>(http::Response::new(String::new())) });
/// let bounded = TryTimeoutLayer::new(Duration::from_secs(2))?.layer(client);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[must_use = "a layer does nothing until it is put around a service"]
pub struct TryTimeoutLayer<A = AsResponse> {
    pub(in super::super) core: Arc<Core>,
    form: PhantomData<A>,
}

/// What all services of a layer share.
pub(in super::super) struct Core {
    pub(in super::super) timeout: Option<Duration>,
    clock: Clock,
    pub(super) refuser: Refuser,
    said_no_timer: AtomicBool,
}

impl Core {
    const fn of(timeout: Option<Duration>, clock: Clock, refuser: Refuser) -> Self {
        Self { timeout, clock, refuser, said_no_timer: AtomicBool::new(false) }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.timeout.is_none()
    }

    /// The wait for one try, from now on.
    pub(super) fn sleep(&self) -> Option<Sleep> {
        sleep(&self.clock, self.timeout?, &self.said_no_timer)
    }
}

impl TryTimeoutLayer {
    /// Each try may take so long.
    ///
    /// # Errors
    ///
    /// No time at all.
    pub fn new(timeout: Duration) -> Result<Self, ConfigError> {
        if timeout.is_zero() {
            return Err(ConfigError::new("timeout", "0s", "lets no try succeed", "write a time such as 5 seconds"));
        }
        Ok(Self::of(Core::of(Some(timeout), Clock::system(), Refuser::new())))
    }

    /// Bounds nothing: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self::of(Core::of(None, Clock::system(), Refuser::new()))
    }

    /// Makes a try that got no answer an error. The inner service's errors must be able to hold one: boxed errors are, and a
    /// type of yours that implements `From<TimedOut>`.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower::{BoxError, Layer, service_fn};
    /// use tower_rampart::deadline::TryTimeoutLayer;
    ///
    /// let client = service_fn(|name: String| async move { Ok::<_, BoxError>(name.len()) });
    /// let bounded = TryTimeoutLayer::new(Duration::from_secs(2))?.as_error().layer(client);
    /// # Ok::<(), tower_rampart::ConfigError>(())
    /// ```
    pub fn as_error(self) -> TryTimeoutLayer<AsError> {
        TryTimeoutLayer { core: self.core, form: PhantomData }
    }

    /// Replaces what turns the missing answer into a response.
    pub fn with_renderer(self, renderer: impl RenderRejection) -> Self {
        let Core { timeout, clock, refuser, .. } = &*self.core;
        Self::of(Core::of(*timeout, clock.clone(), refuser.clone().with_renderer(renderer)))
    }
}

impl<A> TryTimeoutLayer<A> {
    fn of(core: Core) -> Self {
        Self { core: Arc::new(core), form: PhantomData }
    }

    /// Replaces the clock.
    pub fn with_clock(self, clock: Clock) -> Self {
        let Core { timeout, refuser, .. } = &*self.core;
        Self::of(Core::of(*timeout, clock.clone(), refuser.clone().with_clock(clock)))
    }
}

impl<A> Clone for TryTimeoutLayer<A> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core), form: PhantomData }
    }
}

impl<A> fmt::Debug for TryTimeoutLayer<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TryTimeoutLayer").field("timeout", &self.core.timeout).finish_non_exhaustive()
    }
}

impl<S, A> Layer<S> for TryTimeoutLayer<A> {
    type Service = TryTimeoutService<S, A>;

    fn layer(&self, inner: S) -> Self::Service {
        TryTimeoutService::new(inner, Arc::clone(&self.core))
    }
}
