//! The layer.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use super::super::timeout::TimeoutField;
use super::service::PropagateDeadlineService;
use crate::spine::clock::Clock;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Tells the next server how much time is left of the request's [`Deadline`](crate::Deadline), rounded down. It stands around
/// a client, as far inside as it can, so that what waited before is taken off.
///
/// A request without a deadline stays as it is. One whose deadline has passed, or of which less is left than the field can
/// say, is answered 504 (gRPC 4) and not sent.
///
/// ```
/// use tower::{Layer, service_fn};
/// use tower_rampart::deadline::PropagateDeadlineLayer;
///
/// let client = service_fn(|_: http::Request<String>| async { Ok::<_, ()>(http::Response::new(String::new())) });
/// let telling = PropagateDeadlineLayer::grpc().layer(client);
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct PropagateDeadlineLayer {
    pub(in super::super) core: Arc<Core>,
    clock: Clock,
}

/// What all services of a layer share.
pub(in super::super) struct Core {
    pub(in super::super) field: TimeoutField,
    /// Whether requests are told of that are no gRPC.
    pub(in super::super) is_for_all: bool,
    pub(super) refuser: Refuser,
}

impl PropagateDeadlineLayer {
    /// Writes `grpc-timeout` on gRPC requests, and on others that have the field already.
    pub fn grpc() -> Self {
        Self::of(TimeoutField::grpc(), false)
    }

    /// Writes this field on all requests.
    pub fn field(field: TimeoutField) -> Self {
        Self::of(field, true)
    }

    fn of(field: TimeoutField, is_for_all: bool) -> Self {
        let core = Core { field, is_for_all, refuser: Refuser::new() };
        Self { core: Arc::new(core), clock: Clock::system() }
    }

    /// Replaces the clock: by the one that the deadlines were made by.
    pub fn with_clock(self, clock: Clock) -> Self {
        let refuser = self.core.refuser.clone().with_clock(clock.clone());
        self.with_refuser(refuser, clock)
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(self, renderer: impl RenderRejection) -> Self {
        let (refuser, clock) = (self.core.refuser.clone().with_renderer(renderer), self.clock.clone());
        self.with_refuser(refuser, clock)
    }

    fn with_refuser(self, refuser: Refuser, clock: Clock) -> Self {
        let core = Core { field: self.core.field.clone(), is_for_all: self.core.is_for_all, refuser };
        Self { core: Arc::new(core), clock }
    }
}

impl fmt::Debug for PropagateDeadlineLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PropagateDeadlineLayer").field("field", &self.core.field).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for PropagateDeadlineLayer {
    type Service = PropagateDeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PropagateDeadlineService::new(inner, Arc::clone(&self.core), self.clock.clone())
    }
}
