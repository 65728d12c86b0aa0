//! A bound for each try of a call, on the client's side.

mod future;
mod layer;
mod service;

pub use self::future::TryFuture;
pub use self::layer::TryTimeoutLayer;
pub use self::service::TryTimeoutService;
