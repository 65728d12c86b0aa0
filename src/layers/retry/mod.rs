//! Retries: what may be sent again is, with a distance, and never so often that it becomes the trouble.

mod asked;
mod attempt;
mod backoff;
mod body;
mod budget;
mod decide;
mod errors;
mod future;
mod layer;
mod random;
mod repeat;
mod room;
mod service;

pub use self::attempt::Attempt;
pub use self::body::ReplayBody;
pub use self::errors::{Boxed, Typed, ViewError};
pub use self::future::{RetryFuture, RetryWait};
pub use self::layer::{Retries, RetryLayer};
pub use self::service::{RetryBudget, RetryPolicy, RetryService};
