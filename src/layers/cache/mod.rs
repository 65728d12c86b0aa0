//! Response caching.

mod conditional;
mod core;
mod date;
mod directives;
mod entry;
mod fetch;
mod flight;
mod freshness;
mod future;
mod handle;
mod key;
mod layer;
mod purge;
mod query;
mod range;
mod reuse;
mod route;
mod serve;
mod service;
mod settings;
mod status;
mod storable;
mod store;
mod sync;
mod tags;
mod vary;
mod write;

pub use self::future::ResponseFuture;
pub use self::handle::{Cache, CacheStats};
pub use self::layer::{CacheBuilder, CacheLayer};
pub use self::purge::Purge;
pub use self::route::{CacheBypass, CacheHint, Route};
pub use self::service::CacheService;
pub use self::settings::Policy;
pub use self::store::{Store, StoreError, StoreFuture};
