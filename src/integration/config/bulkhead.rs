//! `[bulkhead]`.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::duration;
use super::parse::carry_from;
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
    max_concurrent: Option<Spanned<usize>>,
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
        Self::check(&Table::deserialize(deserializer)?).map_err(|(place, error)| carry_from(place, &error))
    }
}

impl BulkheadConfig {
    fn check(table: &Table) -> Result<Self, (Range<usize>, ConfigError)> {
        let default = Self::default();
        let number = |written: &Option<Spanned<usize>>, default| written.as_ref().map_or(default, |it| *it.get_ref());
        let config = Self {
            max_concurrent: number(&table.max_concurrent, default.max_concurrent),
            max_queued: number(&table.max_queued, default.max_queued),
            max_wait: duration::written("max_wait", table.max_wait.as_ref(), default.max_wait)?,
        };
        // Found here, where the line is known.
        let place = |setting: &str| {
            let written = if setting == "max_queued" { &table.max_queued } else { &table.max_concurrent };
            written.as_ref().map_or(0..0, Spanned::span)
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
