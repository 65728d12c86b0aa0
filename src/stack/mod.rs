//! The paved path: one layer, with every layer of a service in its right place.
//!
//! # When to use it
//!
//! Nearly always. Layers in another order are worse in ways that nobody sees: a cache outside of authorization tells
//! everybody, validation outside of authentication reads the bodies of strangers, a limit inside of it checks a signature
//! for each request of a flood. [`Stack`] puts them into their order, whatever order they are given in:
//!
//! ```
//! # #[cfg(all(feature = "_auth", feature = "deadline", feature = "rate-limit", feature = "security-headers"))] {
//! use std::time::Duration;
//! use tower_rampart::auth::{ApiKeys, Auth};
//! use tower_rampart::deadline::Deadlines;
//! use tower_rampart::rate_limit::{Quota, RateLimit};
//! use tower_rampart::security_headers::SecurityHeadersLayer;
//! use tower_rampart::stack::Stack;
//!
//! let layer = Stack::new()
//!     .auth(Auth::new().api_keys(ApiKeys::default()).build()?)
//!     .rate_limit_by_address(RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60))).build()?)
//!     .deadline(Deadlines::new().build()?)
//!     .security_headers(SecurityHeadersLayer::empty())
//!     .build()?;
//! assert_eq!(
//!     layer.describe(),
//!     "deadline               30s at most, less by grpc-timeout, up to the head\n\
//!      rate limit by address  default: 100 per 1m\n\
//!      auth                   API keys of 0; strangers are refused",
//! );
//! # }
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```

mod building;
#[cfg(feature = "config")]
mod configured;
mod kinds;
mod layer;
mod lines;
mod place;
mod reload;
mod server;
mod upstream;

#[cfg(feature = "config")]
pub(crate) use self::configured::Configured;
#[cfg(feature = "config")]
pub use self::configured::{ConfiguredLayer, ConfiguredPlaces};
#[cfg(feature = "circuit-breaker")]
pub use self::kinds::BreaksCircuits;
#[cfg(feature = "deadline")]
pub use self::kinds::KeepsDeadlines;
#[cfg(feature = "rate-limit")]
pub use self::kinds::LimitsRequests;
pub use self::layer::StackLayer;
pub use self::place::{After, At, Empty, Filled, First, Knows, Outside, Place, Places, Put};
pub use self::reload::{ReloadHandle, ReloadableLayer, ReloadableService};
pub use self::server::{Authenticates, NoLayers, Stack, place as places};
pub use self::upstream::{NoUpstreamLayers, UpstreamStack, upstream_place as upstream_places};
