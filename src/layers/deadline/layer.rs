//! The layers, and what makes them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tower_layer::Layer;

use super::service::{DeadlineBodyService, DeadlineService};
use super::terms::Terms;
use super::timeout::TimeoutField;
use crate::spine::clock::{Clock, Sleep};
use crate::spine::config::ConfigError;
use crate::spine::event::{self, Origin};
use crate::spine::rejection::{Refuser, RenderRejection};

/// How long a request may take where nothing is said.
const DEFAULT_MAX: Duration = Duration::from_secs(30);

/// Makes a [`DeadlineLayer`] or a [`DeadlineBodyLayer`]. See the [module](super) for the manual.
#[derive(Clone)]
#[must_use = "nothing has a deadline until a layer is built"]
pub struct Deadlines {
    terms: Terms,
    clock: Clock,
    refuser: Refuser,
}

crate::spine::bounds::no_layer!(Deadlines);

/// What all services of a layer share.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) terms: Terms,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
    said_no_timer: AtomicBool,
}

impl Core {
    fn of(terms: Terms, clock: Clock, refuser: Refuser) -> Arc<Self> {
        Arc::new(Self { terms, clock, refuser, said_no_timer: AtomicBool::new(false) })
    }

    /// A wait; without a runtime there is none, which is said once.
    pub(super) fn sleep(&self, wait: Duration) -> Option<Sleep> {
        sleep(&self.clock, wait, &self.said_no_timer)
    }
}

pub(super) fn sleep(clock: &Clock, wait: Duration, said_no_timer: &AtomicBool) -> Option<Sleep> {
    const MEND: &str = "a deadline cannot be waited for outside of a tokio runtime, so that requests take as long as they \
         like; run the service on one";
    let sleep = clock.sleep(wait);
    if sleep.is_none() {
        event::fault_once(said_no_timer, Origin::Deadline, "no_timer", MEND);
    }
    sleep
}

impl Deadlines {
    /// Thirty seconds, and less where `grpc-timeout` asks for less.
    pub fn new() -> Self {
        let terms = Terms { fields: vec![TimeoutField::grpc()], max: Some(DEFAULT_MAX) };
        Self { terms, clock: Clock::system(), refuser: Refuser::new() }
    }

    /// How long a request may take at most; with `None`, as long as its client waits.
    pub fn max_time(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.terms.max = time.into();
        self
    }

    /// A further field by which clients say how long they wait.
    pub fn add_field(mut self, field: TimeoutField) -> Self {
        self.terms.fields.push(field);
        self
    }

    /// Takes `grpc-timeout` for a field like any other.
    pub fn ignore_grpc_timeout(mut self) -> Self {
        self.terms.fields.retain(|field| *field != TimeoutField::grpc());
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

    /// The layer that covers everything up to the response's head.
    ///
    /// # Errors
    ///
    /// A maximum of nothing, a field that is named twice.
    pub fn build(self) -> Result<DeadlineLayer, ConfigError> {
        Ok(DeadlineLayer { core: Some(self.share()?) })
    }

    /// The layer that covers the response's body too. Bodies behind it have a boxed error, since a deadline adds one.
    ///
    /// # Errors
    ///
    /// As those of [`build`](Self::build).
    pub fn build_with_body(self) -> Result<DeadlineBodyLayer, ConfigError> {
        Ok(DeadlineBodyLayer { core: self.share()? })
    }

    fn share(self) -> Result<Arc<Core>, ConfigError> {
        if self.terms.max == Some(Duration::ZERO) {
            const MEND: &str = "write a time such as 30 seconds, or take `max_time(None)`";
            return Err(ConfigError::new("max_time", "0s", "refuses everything", MEND));
        }
        let fields = &self.terms.fields;
        let twice =
            |(at, field): &(usize, &TimeoutField)| fields.iter().take(*at).any(|one| one.name() == field.name());
        if let Some((_, field)) = fields.iter().enumerate().find(twice) {
            const MEND: &str = "name each field once; `ignore_grpc_timeout` makes room for another reading of that one";
            return Err(ConfigError::new("field", field.name(), "is named twice", MEND));
        }
        Ok(Core::of(self.terms, self.clock, self.refuser))
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Deadlines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Deadlines").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// Gives requests a [`Deadline`](crate::Deadline), and answers 504 (gRPC 4) when it has passed before the response's head is
/// there. See the [module](super) for the manual.
///
/// Made by [`Deadlines::build`].
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct DeadlineLayer {
    pub(super) core: Option<Arc<Core>>,
}

impl DeadlineLayer {
    /// Leaves requests as they are: for a place that a configuration may leave open.
    pub const fn empty() -> Self {
        Self { core: None }
    }
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService::new(inner, self.core.clone())
    }
}

/// The same as [`DeadlineLayer`], and cuts the response's body off when the deadline has passed.
///
/// A gRPC body then ends with the status 4 in its trailers; any other one fails, so that the connection or the stream is cut
/// and nobody takes the part for the whole.
///
/// Made by [`Deadlines::build_with_body`].
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct DeadlineBodyLayer {
    pub(super) core: Arc<Core>,
}

impl<S> Layer<S> for DeadlineBodyLayer {
    type Service = DeadlineBodyService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineBodyService::new(inner, Arc::clone(&self.core))
    }
}
