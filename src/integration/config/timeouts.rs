//! `[timeouts]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::duration;
use super::parse::carry;
use crate::layers::deadline::{DeadlineLayer, Deadlines, TryTimeoutLayer};
use crate::spine::config::ConfigError;

/// The `[timeouts]` table.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `request` | how long a request may take up to the head of its response | `30s` |
/// | `upstream` | how long each try of a call to the upstream may take, up to there | `5s` |
///
/// ```
/// use tower_rampart::config::{self, TimeoutsConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     timeouts: TimeoutsConfig,
/// }
///
/// let config: Config = config::parse("[timeouts]\nrequest = \"10s\"\n", "app.toml")?;
/// let (deadline, each_try) = (config.timeouts.to_deadline_layer()?, config.timeouts.to_try_timeout_layer()?);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TimeoutsConfig {
    #[serde(deserialize_with = "request")]
    request: Duration,
    #[serde(deserialize_with = "upstream")]
    upstream: Duration,
}

impl Default for TimeoutsConfig {
    fn default() -> Self {
        Self { request: Duration::from_secs(30), upstream: Duration::from_secs(5) }
    }
}

impl TimeoutsConfig {
    /// The layer for `request`, which obeys `grpc-timeout` as well.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn to_deadline_layer(&self) -> Result<DeadlineLayer, ConfigError> {
        self.to_builder().build()
    }

    /// The builder of the layer for `request`, for what no table says.
    pub fn to_builder(&self) -> Deadlines {
        Deadlines::new().max_time(self.request)
    }

    /// How long a request may take.
    #[must_use]
    pub const fn request(&self) -> Duration {
        self.request
    }

    /// How long each try may take.
    #[must_use]
    pub const fn upstream(&self) -> Duration {
        self.upstream
    }

    /// The layer for `upstream`.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn to_try_timeout_layer(&self) -> Result<TryTimeoutLayer, ConfigError> {
        TryTimeoutLayer::new(self.upstream)
    }
}

fn positive<'de, D: Deserializer<'de>>(setting: &'static str, deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let duration = duration::parse_duration(setting, &text).map_err(|error| carry(&error))?;
    if duration.is_zero() {
        const MEND: &str = "write a time such as `5s`, or leave `[timeouts]` out";
        return Err(carry(&ConfigError::new(setting, text, "lets nothing through", MEND)));
    }
    Ok(duration)
}

fn request<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    positive("request", deserializer)
}

fn upstream<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    positive("upstream", deserializer)
}
