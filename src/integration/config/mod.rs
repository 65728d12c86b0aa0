//! Layers from TOML: the tables that the gateway reads, for any program.
//!
//! A table deserializes into valid values or not at all, and an error names file, line, key, value and mend:
//!
//! ```
//! use tower_rampart::config::{self, ClientIpConfig, SecurityHeadersConfig};
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields)]
//! struct Config {
//!     #[serde(default)]
//!     client_ip: ClientIpConfig,
//!     security_headers: Option<SecurityHeadersConfig>,
//! }
//!
//! let text = "[client_ip]\ntrusted_proxies = [\"10.0.0.0/33\"]\n";
//! let error = config::parse::<Config>(text, "app.toml").map(|_| ()).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     "app.toml:2: client_ip.trusted_proxies: `10.0.0.0/33` is not an address block; \
//!      write one such as `10.0.0.0/8` or `2001:db8::/32`",
//! );
//! ```

#[cfg(feature = "_auth")]
mod auth;
#[cfg(feature = "_auth")]
mod authz;
#[cfg(feature = "_auth")]
mod authz_condition;
#[cfg(feature = "bulkhead")]
mod bulkhead;
#[cfg(feature = "cache")]
mod cache;
#[cfg(all(feature = "cache", feature = "redis"))]
mod cache_store;
#[cfg(feature = "circuit-breaker")]
mod circuit_breaker;
mod client_ip;
mod configured;
mod duration;
#[cfg(feature = "rate-limit")]
mod key_part;
#[cfg(feature = "load-shed")]
mod load_shed;
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "load-shed", feature = "rate-limit"))]
mod located;
#[cfg(feature = "_auth")]
mod moment;
mod parse;
#[cfg(feature = "rate-limit")]
mod rate_limit;
#[cfg(feature = "redis")]
mod rate_limit_store;
#[cfg(feature = "redis")]
mod redis_server;
mod renderer;
#[cfg(feature = "retry")]
mod retry;
#[cfg(feature = "security-headers")]
mod security_headers;
#[cfg(any(feature = "cache", feature = "validate"))]
mod size;
mod stack;
#[cfg(feature = "rate-limit")]
mod status;
#[cfg(feature = "deadline")]
mod timeouts;
#[cfg(all(feature = "bulkhead", feature = "circuit-breaker", feature = "deadline", feature = "retry"))]
mod upstream;
#[cfg(feature = "validate")]
mod validate;
#[cfg(feature = "validate")]
mod validate_openapi;
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "retry"))]
mod whole;

#[cfg(feature = "_auth")]
pub use self::auth::AuthConfig;
#[cfg(feature = "_auth")]
pub use self::authz::AuthzConfig;
#[cfg(feature = "bulkhead")]
pub use self::bulkhead::BulkheadConfig;
#[cfg(feature = "cache")]
pub use self::cache::CacheConfig;
#[cfg(all(feature = "cache", feature = "redis"))]
pub use self::cache_store::CacheStoreConfig;
#[cfg(feature = "circuit-breaker")]
pub use self::circuit_breaker::CircuitBreakerConfig;
pub use self::client_ip::ClientIpConfig;
pub use self::configured::StackLayers;
pub use self::duration::parse_duration;
#[cfg(feature = "load-shed")]
pub use self::load_shed::LoadShedConfig;
pub use self::parse::{carry, locate, parse};
#[cfg(feature = "rate-limit")]
pub use self::rate_limit::RateLimitConfig;
#[cfg(feature = "redis")]
pub use self::rate_limit_store::RateLimitStoreConfig;
#[cfg(feature = "retry")]
pub use self::retry::RetryConfig;
#[cfg(feature = "security-headers")]
pub use self::security_headers::SecurityHeadersConfig;
pub use self::stack::StackConfig;
#[cfg(feature = "deadline")]
pub use self::timeouts::TimeoutsConfig;
#[cfg(all(feature = "bulkhead", feature = "circuit-breaker", feature = "deadline", feature = "retry"))]
pub use self::upstream::{UpstreamConfig, UpstreamLayers};
#[cfg(feature = "validate")]
pub use self::validate::ValidateConfig;
