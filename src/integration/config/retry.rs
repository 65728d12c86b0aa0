//! `[retry]`.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

use super::parse::carry;
use super::whole::FromOne;
use crate::layers::retry::{Retries, RetryPolicy};
use crate::spine::config::ConfigError;

/// The `[retry]` table.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `attempts` | tries in all, 1 to 16 | 2 |
/// | `budget_percent` | retries as a share of recent requests, beside ten in ten seconds | 20 |
///
/// ```
/// use tower_rampart::config::{self, RetryConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     retry: RetryConfig,
/// }
///
/// let config: Config = config::parse("[retry]\nattempts = 3\n", "app.toml")?;
/// let policy = config.retry.to_policy()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryConfig {
    #[serde(deserialize_with = "attempts")]
    attempts: u32,
    #[serde(deserialize_with = "budget_percent")]
    budget_percent: u32,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self { attempts: 2, budget_percent: 20 }
    }
}

impl RetryConfig {
    /// The policy that the table describes.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn to_policy(&self) -> Result<RetryPolicy, ConfigError> {
        self.to_builder().build()
    }

    /// The same, to be told more in code.
    pub fn to_builder(&self) -> Retries {
        Retries::new().max_attempts(self.attempts).budget_percent(self.budget_percent)
    }
}

/// A value that the builder takes.
fn checked<E: Error>(value: u32, build: impl FnOnce(u32) -> Result<RetryPolicy, ConfigError>) -> Result<u32, E> {
    build(value).map(|_| value).map_err(|error| carry(&error))
}

fn attempts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let FromOne(attempts) = FromOne::deserialize(deserializer)?;
    checked(attempts, |attempts| Retries::new().max_attempts(attempts).build())
}

fn budget_percent<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    checked(u32::deserialize(deserializer)?, |percent| Retries::new().budget_percent(percent).build())
}
