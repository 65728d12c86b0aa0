//! `[cache_store]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::redis_server::{Fault, RedisServer, Written, carried};
use super::{duration, size};
use crate::layers::cache::CacheBuilder;
use crate::spine::config::ConfigError;

/// The `[cache_store]` table: where instances share what they have cached, and what they purge.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `url` | of a Redis or Valkey server: `redis://...`, or `rediss://...` for TLS; of a cluster, by some of its nodes: `redis+cluster://host:port,host:port` | |
/// | `url_env` | instead: the name of a variable that holds it, for URLs with a password | |
/// | `timeout` | how long a request waits for the server | `100ms` |
/// | `entry_bytes` | the longest response that is shared | `1MiB` |
/// | `fill_lease` | how long instances leave a fetch to the one that began it; `0s`: not at all | `2s` |
/// | `secret_env` | the name of a variable with a secret, by which instances know each other's records | |
/// | `namespace` | what keys begin with: instances that share have the same | `rampart` |
///
/// ```
/// use tower_rampart::config::{self, CacheConfig, CacheStoreConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     cache: CacheConfig,
///     cache_store: CacheStoreConfig,
/// }
///
/// let text = "[cache]\n[cache_store]\nurl = \"redis://127.0.0.1:6379\"\n";
/// let config: Config = config::parse(text, "app.toml")?;
/// let cache = config.cache_store.add_to(config.cache.to_builder())?.build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStoreConfig {
    server: RedisServer,
    entry_bytes: usize,
    fill_lease: Duration,
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    url: Option<Spanned<String>>,
    url_env: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    entry_bytes: Option<Spanned<String>>,
    fill_lease: Option<Spanned<String>>,
    secret_env: Option<Spanned<String>>,
    namespace: Option<Spanned<String>>,
}

const DEFAULT_TIMEOUT: Duration = Duration::from_millis(100);
/// By which the cache waits longer than the connection does, whose timeouts tell it that the server is unwell.
const MARGIN: Duration = Duration::from_millis(10);
const DEFAULT_ENTRY_BYTES: usize = 1 << 20;
const DEFAULT_LEASE: Duration = Duration::from_secs(2);
/// Claims beyond this are nobody's.
const MAX_LEASE: Duration = Duration::from_secs(60);

impl<'de> Deserialize<'de> for CacheStoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(&Table::deserialize(deserializer)?).map_err(carried)
    }
}

impl CacheStoreConfig {
    fn check(table: &Table) -> Result<Self, Fault> {
        let entry_bytes = match &table.entry_bytes {
            None => DEFAULT_ENTRY_BYTES,
            Some(text) => {
                match size::parse("entry_bytes", text.get_ref()).map_err(|error| (Some(text.span()), error))? {
                    0 => {
                        const MEND: &str = "write more, or leave `[cache_store]` out";
                        let error = ConfigError::new("entry_bytes", text.get_ref(), "leaves no room", MEND);
                        return Err((Some(text.span()), error));
                    }
                    bytes => bytes,
                }
            }
        };
        let fill_lease = match &table.fill_lease {
            None => DEFAULT_LEASE,
            Some(text) if text.get_ref() == "0s" => Duration::ZERO,
            Some(text) => {
                duration::parse_duration("fill_lease", text.get_ref()).map_err(|error| (Some(text.span()), error))?
            }
        };
        if let Some(text) = table.fill_lease.as_ref().filter(|_| fill_lease > MAX_LEASE) {
            let error = ConfigError::new("fill_lease", text.get_ref(), "is too long", "write a minute at most");
            return Err((Some(text.span()), error));
        }
        let Table { url, url_env, secret_env, timeout, namespace, .. } = table;
        let written = Written { url, url_env, secret_env, timeout, namespace };
        Ok(Self { server: RedisServer::read(written, DEFAULT_TIMEOUT)?, entry_bytes, fill_lease })
    }

    /// Puts the store that the table describes behind a cache. Nothing is connected until it is asked.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn add_to(&self, cache: CacheBuilder) -> Result<CacheBuilder, ConfigError> {
        let store = self.server.builder().build()?.cache();
        let cache =
            cache.with_store(store).store_timeout(self.server.timeout + MARGIN).store_entry_bytes(self.entry_bytes);
        Ok(cache.fill_lease(self.fill_lease))
    }
}
