//! `[rate_limit_store]`.

use std::num::NonZeroU32;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::rate_limit::RateLimitConfig;
use super::redis_server::{Fault, RedisServer, Written, carried};
use crate::layers::rate_limit::{OnStoreFailure, SharedCounts, ThrottleLayer};
use crate::spine::config::ConfigError;
use crate::spine::key::ClientIp;

/// The `[rate_limit_store]` table: where instances count together.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `url` | of a Redis or Valkey server: `redis://...`, or `rediss://...` for TLS; of a cluster, by some of its nodes: `redis+cluster://host:port,host:port` | |
/// | `url_env` | instead: the name of a variable that holds it, for URLs with a password | |
/// | `mode` | `strict` asks for each request; `leased` takes tokens in batches | `strict` |
/// | `timeout` | how long a request waits for the server | `25ms` |
/// | `on_failure` | what happens while it fails: `local` counts by this instance's share, `open` counts nothing, `closed` refuses | `local` |
/// | `instances` | among how many a quota is divided then; say how many there are | 1 |
/// | `secret_env` | the name of a variable with a secret, the same for all, without which who reads the server cannot try out whose counts are there | |
/// | `namespace` | what keys begin with: instances that count together have the same | `rampart` |
///
/// ```
/// use tower_rampart::config::{self, RateLimitConfig, RateLimitStoreConfig};
/// use tower_rampart::key::ClientIp;
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     rate_limit: RateLimitConfig,
///     rate_limit_store: RateLimitStoreConfig,
/// }
///
/// let text = "[[rate_limit]]\nquota = 100\nwindow = \"1m\"\n[rate_limit_store]\nurl = \"redis://127.0.0.1\"\n";
/// let config: Config = config::parse(text, "app.toml")?;
/// let counts = config.rate_limit_store.to_counts()?;
/// let layer = config.rate_limit.to_shared_layer(&ClientIp::new(), counts)?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateLimitStoreConfig {
    server: RedisServer,
    mode: Mode,
    on_failure: Failure,
    instances: NonZeroU32,
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    url: Option<Spanned<String>>,
    url_env: Option<Spanned<String>>,
    #[serde(default)]
    mode: Mode,
    timeout: Option<Spanned<String>>,
    #[serde(default)]
    on_failure: Failure,
    instances: Option<Spanned<u32>>,
    secret_env: Option<Spanned<String>>,
    namespace: Option<Spanned<String>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Strict,
    Leased,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Failure {
    #[default]
    Local,
    Open,
    Closed,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_millis(25);
/// Who has several says so.
const DEFAULT_INSTANCES: NonZeroU32 = NonZeroU32::MIN;

impl<'de> Deserialize<'de> for RateLimitStoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(&Table::deserialize(deserializer)?).map_err(carried)
    }
}

impl RateLimitStoreConfig {
    fn check(table: &Table) -> Result<Self, Fault> {
        let instances = match &table.instances {
            None => DEFAULT_INSTANCES,
            Some(instances) => NonZeroU32::new(*instances.get_ref()).ok_or_else(|| {
                const MEND: &str = "write how many there are";
                (Some(instances.span()), ConfigError::new("instances", 0, "leaves nobody to count", MEND))
            })?,
        };
        let Table { url, url_env, secret_env, timeout, namespace, mode, on_failure, .. } = table;
        let written = Written { url, url_env, secret_env, timeout, namespace };
        let server = RedisServer::read(written, DEFAULT_TIMEOUT)?;
        Ok(Self { server, mode: *mode, on_failure: *on_failure, instances })
    }

    /// The counts that the table describes. Nothing is connected until they are asked.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn to_counts(&self) -> Result<SharedCounts, ConfigError> {
        let redis = self.server.builder().build()?;
        let on_failure = match self.on_failure {
            Failure::Local => OnStoreFailure::Local { instances: self.instances },
            Failure::Open => OnStoreFailure::Open,
            Failure::Closed => OnStoreFailure::Closed,
        };
        Ok(SharedCounts::new(redis.limits()).leased(self.mode == Mode::Leased).on_failure(on_failure))
    }
}

impl RateLimitConfig {
    /// The layer of [`to_layer`](Self::to_layer), counting together with other instances.
    ///
    /// # Errors
    ///
    /// As of `to_layer`.
    pub fn to_shared_layer(&self, client_ip: &ClientIp, counts: SharedCounts) -> Result<ThrottleLayer, ConfigError> {
        if self.0.is_empty() {
            return Ok(ThrottleLayer::empty());
        }
        self.to_builder(client_ip)?.shared_counts(counts).build_throttle()
    }
}
