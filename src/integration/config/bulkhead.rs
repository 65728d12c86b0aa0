//! `[bulkhead]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::located::{self, Located};
use super::whole::FromOne;
use crate::layers::bulkhead::{Bulkhead, BulkheadLayer};
use crate::spine::config::ConfigError;

/// The `[bulkhead]` table.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `max_concurrent` | requests in flight | 256 |
/// | `max_queued` | requests that wait for a place; 0 for none | 64 |
/// | `max_wait` | how long each may wait | `100ms` |
///
/// ```
/// use tower_rampart::config::{self, BulkheadConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     bulkhead: BulkheadConfig,
/// }
///
/// let config: Config = config::parse("[bulkhead]\nmax_concurrent = 32\n", "app.toml")?;
/// let layer = config.bulkhead.to_layer("upstream")?;
/// assert_eq!(layer.handle().snapshot().max_concurrent, 32);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BulkheadConfig {
    max_concurrent: usize,
    max_queued: usize,
    max_wait: Duration,
}

/// What is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    max_concurrent: Option<Spanned<FromOne<usize>>>,
    max_queued: Option<Spanned<usize>>,
    max_wait: Option<Spanned<String>>,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { max_concurrent: 256, max_queued: 64, max_wait: Duration::from_millis(100) }
    }
}

impl<'de> Deserialize<'de> for BulkheadConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        located::deserialized(deserializer, Self::check)
    }
}

impl BulkheadConfig {
    fn check(table: &Table) -> Result<Self, Located> {
        let default = Self::default();
        let config = Self {
            max_concurrent: located::value(table.max_concurrent.as_ref())
                .map_or(default.max_concurrent, |FromOne(most)| most),
            max_queued: located::value(table.max_queued.as_ref()).unwrap_or(default.max_queued),
            max_wait: located::duration_or(default.max_wait, "max_wait", table.max_wait.as_ref())?,
        };
        // Found here, where the line is known.
        let place = |setting: &str| {
            let (concurrent, queued) = (table.max_concurrent.as_ref(), table.max_queued.as_ref());
            let place = if setting == "max_queued" { located::place(queued) } else { located::place(concurrent) };
            place.unwrap_or_default()
        };
        config.to_layer("trial").map(|_| config).map_err(|error| (place(error.setting()), error))
    }

    /// The layer that the table describes, by this name in metrics.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through, but for a name that is none.
    pub fn to_layer(&self, name: &str) -> Result<BulkheadLayer, ConfigError> {
        self.to_builder(name).build()
    }

    /// The builder of the layer, for what no table says.
    pub fn to_builder(&self, name: &str) -> Bulkhead {
        Bulkhead::new(self.max_concurrent).name(name).queue(self.max_queued, self.max_wait)
    }
}
