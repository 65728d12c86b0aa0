//! `[bulkhead]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::duration;
use super::parse::carry;
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
/// assert_eq!(layer.handle().snapshot().max_concurrent(), 32);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BulkheadConfig {
    #[serde(deserialize_with = "max_concurrent")]
    max_concurrent: usize,
    max_queued: usize,
    #[serde(deserialize_with = "duration::deserialize")]
    max_wait: Duration,
}

impl Default for BulkheadConfig {
    fn default() -> Self {
        Self { max_concurrent: 256, max_queued: 64, max_wait: Duration::from_millis(100) }
    }
}

impl BulkheadConfig {
    /// The layer that the table describes, by this name in metrics.
    ///
    /// # Errors
    ///
    /// A bound that lets nothing through, or bounds nothing.
    pub fn to_layer(&self, name: &'static str) -> Result<BulkheadLayer, ConfigError> {
        let bulkhead = Bulkhead::new(self.max_concurrent).named(name).queue(self.max_queued, self.max_wait);
        bulkhead.build().map_err(|error| {
            let setting = format!("bulkhead.{}", error.setting());
            error.for_setting(setting)
        })
    }
}

fn max_concurrent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    match usize::deserialize(deserializer)? {
        0 => Err(carry(&ConfigError::new("max_concurrent", 0, "lets nothing through", "write 1 or more"))),
        requests => Ok(requests),
    }
}
