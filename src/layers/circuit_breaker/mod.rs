//! Circuit breaking.

mod circuit;
mod circuits;
mod client;
mod errors;
mod future;
mod handle;
mod judge;
mod layer;
mod machine;
mod permit;
mod probes;
mod readiness;
mod registry;
mod service;
mod settings;
mod state;
mod sync;
mod terms;
mod window;
mod word;

pub use self::client::{CircuitBreakerClient, CircuitBreakerClientLayer};
pub use self::errors::{AllErrors, ClassifyError, ErrorVerdict, RefusalsAside};
pub use self::future::{ClientFuture, ResponseFuture};
pub use self::handle::{Changed, CircuitBreakerHandle, Counts, Snapshot, Watch};
pub use self::layer::{CircuitBreaker, CircuitBreakerLayer};
pub use self::permit::Permit;
pub use self::readiness::Readiness;
pub use self::service::CircuitBreakerService;
pub use self::settings::{Mode, OnCancel, WhenOpen, Window};
pub use self::state::{Change, Reason, State};
