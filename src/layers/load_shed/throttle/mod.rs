//! The client's side of load shedding: not to ask a service that is refusing anyway.

mod body;
mod layer;
mod ratio;
#[cfg(test)]
mod ratio_tests;
mod service;

pub use self::body::Asked;
pub use self::layer::{AdaptiveThrottle, AdaptiveThrottleHandle, AdaptiveThrottleLayer, AdaptiveThrottleSnapshot};
pub use self::service::AdaptiveThrottleService;
