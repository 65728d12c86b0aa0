//! `[cache_store]`.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::parse::{carry, carry_from};
use super::{duration, size};
use crate::integration::redis::{Redis, RedisBuilder};
use crate::layers::cache::CacheBuilder;
use crate::spine::config::ConfigError;

/// The `[cache_store]` table: where instances share what they have cached, and what they purge.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `url` | of a Redis or Valkey server: `redis://...`, or `rediss://...` for TLS | |
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
/// let cache = config.cache_store.share(config.cache.to_builder())?.build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CacheStoreConfig {
    url: String,
    timeout: Duration,
    entry_bytes: usize,
    fill_lease: Duration,
    secret: Vec<u8>,
    namespace: String,
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

/// An error, and where it stands in the file; what is missing stands nowhere.
type Fault = (Option<Range<usize>>, ConfigError);

impl<'de> Deserialize<'de> for CacheStoreConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::check(&Table::deserialize(deserializer)?).map_err(|(place, error)| match place {
            Some(place) => carry_from(place, &error),
            None => carry(&error),
        })
    }
}

impl CacheStoreConfig {
    fn check(table: &Table) -> Result<Self, Fault> {
        let time = |setting: &'static str, text: &Option<Spanned<String>>, default| match text {
            None => Ok(default),
            Some(text) if text.get_ref() == "0s" && setting == "fill_lease" => Ok(Duration::ZERO),
            Some(text) => duration::parse(setting, text.get_ref()).map_err(|error| (Some(text.span()), error)),
        };
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
        let fill_lease = time("fill_lease", &table.fill_lease, DEFAULT_LEASE)?;
        if let Some(text) = table.fill_lease.as_ref().filter(|_| fill_lease > MAX_LEASE) {
            let error = ConfigError::new("fill_lease", text.get_ref(), "is too long", "write a minute at most");
            return Err((Some(text.span()), error));
        }
        let config = Self {
            url: url(table)?,
            timeout: time("timeout", &table.timeout, DEFAULT_TIMEOUT)?,
            entry_bytes,
            fill_lease,
            secret: table.secret_env.as_ref().map(secret).transpose()?.unwrap_or_default(),
            namespace: table.namespace.as_ref().map_or_else(|| String::from("rampart"), |name| name.get_ref().clone()),
        };
        let place = |setting: &str| match setting {
            "timeout" => table.timeout.as_ref().map(Spanned::span),
            "namespace" => table.namespace.as_ref().map(Spanned::span),
            _ => table.url.as_ref().or(table.url_env.as_ref()).map(Spanned::span),
        };
        match config.builder().build() {
            Ok(_) => Ok(config),
            Err(error) => Err((place(error.setting()), error)),
        }
    }

    fn builder(&self) -> RedisBuilder {
        let builder = Redis::builder(self.url.as_str()).timeout(self.timeout).namespace(self.namespace.as_str());
        builder.secret(self.secret.clone())
    }

    /// Puts the store that the table describes behind a cache. Nothing is connected until it is asked.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn share(&self, cache: CacheBuilder) -> Result<CacheBuilder, ConfigError> {
        let store = Arc::new(self.builder().build()?.cache());
        let cache = cache.with_store(store).store_timeout(self.timeout + MARGIN).store_entry_bytes(self.entry_bytes);
        Ok(cache.fill_lease(self.fill_lease))
    }
}

fn url(table: &Table) -> Result<String, Fault> {
    const MEND: &str = "write `url = \"redis://127.0.0.1:6379\"`, or the name of a variable that holds it as `url_env`";
    match (&table.url, &table.url_env) {
        (Some(url), None) => Ok(url.get_ref().clone()),
        (None, Some(name)) => {
            variable("url_env", name, "set it to a URL such as `redis://user:password@127.0.0.1:6379`")
        }
        (Some(_), Some(name)) => Err((
            Some(name.span()),
            ConfigError::new("url_env", name.get_ref(), "stands beside `url`", "write one of them"),
        )),
        (None, None) => Err((None, ConfigError::new("url", "", "names no server", MEND))),
    }
}

fn secret(name: &Spanned<String>) -> Result<Vec<u8>, Fault> {
    variable("secret_env", name, "set it to a long random text, the same for all instances").map(String::into_bytes)
}

fn variable(setting: &'static str, name: &Spanned<String>, mend: &'static str) -> Result<String, Fault> {
    let held = std::env::var(name.get_ref()).ok().filter(|held| !held.is_empty());
    held.ok_or_else(|| {
        let error = ConfigError::new(setting, name.get_ref(), "names a variable that is not set", mend);
        (Some(name.span()), error)
    })
}

impl std::fmt::Debug for CacheStoreConfig {
    /// Without the URL, which may hold a password, and the secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheStoreConfig")
            .field("timeout", &self.timeout)
            .field("entry_bytes", &self.entry_bytes)
            .field("fill_lease", &self.fill_lease)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
