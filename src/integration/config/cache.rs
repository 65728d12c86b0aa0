//! `[cache]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::parse::carry;
use super::{duration, size};
use crate::layers::cache::{Cache, CacheBuilder, Policy};
use crate::spine::config::ConfigError;

/// The `[cache]` table.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `bytes` | what all stored responses may weigh together | `64MiB` |
/// | `entry_bytes` | the longest body that is stored | `1MiB`, or `bytes` where that is less |
/// | `private_per_subject` | keeps what is private, or somebody's, for its caller | `false` |
/// | `variants` | responses of one resource | 64 |
/// | `wait` | how long a request waits for another's response | `5s` |
/// | `max_stale` | the longest that anything stale is served | `1d` |
/// | `stale_when_disconnected` | whether stale responses answer when the origin cannot be reached | `true` |
/// | `client_directives` | `honour`, or `ignore` what requests say of freshness; bodies, `Upgrade`, `If-Match` and odd fields go past the cache still | `honour` |
/// | `status_header` | whether `Cache-Status` tells what became of a request | `true` |
///
/// ```
/// use tower_rampart::config::{self, CacheConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     cache: CacheConfig,
/// }
///
/// let config: Config = config::parse("[cache]\nbytes = \"256MiB\"\nwait = \"2s\"\n", "app.toml")?;
/// let cache = config.cache.to_cache()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CacheConfig {
    #[serde(deserialize_with = "bytes")]
    bytes: u64,
    #[serde(deserialize_with = "entry_bytes")]
    entry_bytes: Option<u64>,
    private_per_subject: bool,
    #[serde(deserialize_with = "variants")]
    variants: usize,
    #[serde(deserialize_with = "wait")]
    wait: Duration,
    #[serde(deserialize_with = "max_stale")]
    max_stale: Duration,
    stale_when_disconnected: bool,
    client_directives: ClientDirectives,
    status_header: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ClientDirectives {
    #[default]
    Honour,
    Ignore,
}

const DEFAULT_ENTRY_BYTES: u64 = 1 << 20;

impl Default for CacheConfig {
    fn default() -> Self {
        Self {
            bytes: 64 << 20,
            entry_bytes: None,
            private_per_subject: false,
            variants: 64,
            wait: Duration::from_secs(5),
            max_stale: Duration::from_secs(24 * 60 * 60),
            stale_when_disconnected: true,
            client_directives: ClientDirectives::Honour,
            status_header: true,
        }
    }
}

impl CacheConfig {
    /// The cache that the table describes.
    ///
    /// # Errors
    ///
    /// `bytes` that have no room for `entry_bytes`.
    pub fn to_cache(&self) -> Result<Cache, ConfigError> {
        self.to_builder().build().map_err(|error| error.within("cache"))
    }

    /// The same, to be told more in code.
    pub fn to_builder(&self) -> CacheBuilder {
        // A small cache has small entries, unless it is said.
        let entry_bytes = self.entry_bytes.unwrap_or_else(|| DEFAULT_ENTRY_BYTES.min(self.bytes));
        Cache::builder()
            .bytes(self.bytes)
            .entry_bytes(usize::try_from(entry_bytes).unwrap_or(usize::MAX))
            .private_per_subject(self.private_per_subject)
            .max_variants(self.variants)
            .max_wait(self.wait)
            .max_stale(self.max_stale)
            .stale_when_disconnected(self.stale_when_disconnected)
            .policy(match self.client_directives {
                ClientDirectives::Honour => Policy::Shared,
                ClientDirectives::Ignore => Policy::Origin,
            })
            .status_name(self.status_header.then_some("rampart"))
    }
}

fn positive_size<'de, D: Deserializer<'de>>(setting: &'static str, deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    match size::parse(setting, &text).map_err(|error| carry(&error))? {
        0 => {
            let error = ConfigError::new(setting, text, "leaves no room", "write more, or leave `[cache]` out");
            Err(carry(&error))
        }
        bytes => Ok(bytes as u64),
    }
}

fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    positive_size("bytes", deserializer)
}

fn entry_bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    positive_size("entry_bytes", deserializer).map(Some)
}

fn variants<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(carry(&ConfigError::new("variants", 0, "leaves no room", "write 1 or more"))),
        variants => Ok(variants),
    }
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration::parse_duration("wait", &String::deserialize(deserializer)?).map_err(|error| carry(&error))
}

fn max_stale<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    duration::parse_duration("max_stale", &String::deserialize(deserializer)?).map_err(|error| carry(&error))
}
