//! Deadlines.

mod body;
mod future;
mod layer;
mod propagate;
mod service;
mod terms;
mod timeout;
mod try_timeout;

pub use self::body::DeadlineBody;
pub use self::future::{BodyResponseFuture, ResponseFuture};
pub use self::layer::{DeadlineBodyLayer, DeadlineLayer, Deadlines};
pub use self::propagate::{PropagateDeadlineLayer, PropagateDeadlineService};
pub use self::service::{DeadlineBodyService, DeadlineService};
pub use self::timeout::TimeoutField;
pub use self::try_timeout::{AsError, AsResponse, TryFuture, TryTimeoutLayer, TryTimeoutService};
