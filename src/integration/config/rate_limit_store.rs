//! `[rate_limit_store]`.

use std::num::NonZeroU32;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::duration;
use super::parse::carry_from;
use super::rate_limit::RateLimitConfig;
use crate::integration::redis::{Redis, RedisBuilder};
use crate::layers::rate_limit::{OnStoreFailure, SharedCounts, ThrottleLayer};
use crate::spine::config::ConfigError;
use crate::spine::key::ClientIp;

/// The `[rate_limit_store]` table: where instances count together.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `url` | of a Redis or Valkey server: `redis://...`, or `rediss://...` for TLS | |
/// | `url_env` | instead: the name of a variable that holds it, for URLs with a password | |
/// | `mode` | `strict` asks for each request; `leased` takes tokens in batches | `strict` |
/// | `timeout` | how long a request waits for the server | `25ms` |
/// | `on_failure` | what happens while it fails: `local` counts by this instance's share, `open` counts nothing, `closed` refuses | `local` |
/// | `instances` | among how many a quota is divided then | 2 |
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
#[derive(Clone, PartialEq, Eq)]
pub struct RateLimitStoreConfig {
    url: String,
    mode: Mode,
    timeout: Duration,
    on_failure: Failure,
    instances: NonZeroU32,
    namespace: String,
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
const DEFAULT_INSTANCES: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// An error, and where it stands in the file.
type Fault = (Range<usize>, ConfigError);

impl<'de> Deserialize<'de> for RateLimitStoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(Table::deserialize(deserializer)?).map_err(|(place, error)| carry_from(place, &error))
    }
}

impl RateLimitStoreConfig {
    fn check(table: Table) -> Result<Self, Fault> {
        let place = |setting: &str| match setting {
            "timeout" => table.timeout.as_ref().map(Spanned::span),
            "namespace" => table.namespace.as_ref().map(Spanned::span),
            _ => table.url.as_ref().or(table.url_env.as_ref()).map(Spanned::span),
        };
        let timeout = match &table.timeout {
            None => DEFAULT_TIMEOUT,
            Some(text) => duration::parse("timeout", text.get_ref()).map_err(|error| (text.span(), error))?,
        };
        let instances = match &table.instances {
            None => DEFAULT_INSTANCES,
            Some(instances) => NonZeroU32::new(*instances.get_ref()).ok_or_else(|| {
                const MEND: &str = "write how many there are";
                (instances.span(), ConfigError::new("instances", 0, "leaves nobody to count", MEND))
            })?,
        };
        let config = Self {
            url: url(&table)?,
            mode: table.mode,
            timeout,
            on_failure: table.on_failure,
            instances,
            namespace: table.namespace.as_ref().map_or_else(|| String::from("rampart"), |name| name.get_ref().clone()),
        };
        match config.builder().build() {
            Ok(_) => Ok(config),
            Err(error) => Err((place(error.setting()).unwrap_or(0..0), error)),
        }
    }

    fn builder(&self) -> RedisBuilder {
        Redis::builder(self.url.as_str()).timeout(self.timeout).namespace(self.namespace.as_str())
    }

    /// The counts that the table describes. Nothing is connected until they are asked.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn to_counts(&self) -> Result<SharedCounts, ConfigError> {
        let redis = self.builder().build()?;
        let on_failure = match self.on_failure {
            Failure::Local => OnStoreFailure::Local { instances: self.instances },
            Failure::Open => OnStoreFailure::Open,
            Failure::Closed => OnStoreFailure::Closed,
        };
        Ok(SharedCounts::new(Arc::new(redis.limits())).leased(self.mode == Mode::Leased).on_failure(on_failure))
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
        self.to_limit(client_ip)?.with_store(counts).build_throttle()
    }
}

fn url(table: &Table) -> Result<String, Fault> {
    const MEND: &str = "write `url = \"redis://127.0.0.1:6379\"`, or the name of a variable that holds it as `url_env`";
    match (&table.url, &table.url_env) {
        (Some(url), None) => Ok(url.get_ref().clone()),
        (None, Some(name)) => std::env::var(name.get_ref()).map_err(|_| {
            const MEND: &str = "set it to a URL such as `redis://user:password@127.0.0.1:6379`";
            (name.span(), ConfigError::new("url_env", name.get_ref(), "names a variable that is not set", MEND))
        }),
        (Some(_), Some(name)) => {
            Err((name.span(), ConfigError::new("url_env", name.get_ref(), "stands beside `url`", "write one of them")))
        }
        (None, None) => Err((0..0, ConfigError::new("url", "", "is missing", MEND))),
    }
}

impl std::fmt::Debug for RateLimitStoreConfig {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RateLimitStoreConfig")
            .field("mode", &self.mode)
            .field("timeout", &self.timeout)
            .field("on_failure", &self.on_failure)
            .finish_non_exhaustive()
    }
}
