//! `[load_shed]`.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::duration;
use super::parse::carry_from;
use crate::layers::load_shed::{LoadShed, LoadShedLayer};
use crate::spine::config::ConfigError;
use crate::spine::path::PathPattern;

/// The `[load_shed]` table.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `algorithm` | how the limit is found: `gradient2`, or `aimd` | `gradient2` |
/// | `never_shed` | paths that are neither shed nor counted | `["/healthz"]` |
/// | `min_limit` | the floor | 4 |
/// | `initial_limit` | the limit before anything is known | 20 |
/// | `max_limit` | the cap | 1000 |
/// | `latency_limit` | with `aimd`: the mean latency that must not be exceeded | `1s` |
///
/// ```
/// use tower_rampart::config::{self, LoadShedConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     load_shed: LoadShedConfig,
/// }
///
/// let config: Config = config::parse("[load_shed]\nalgorithm = \"aimd\"\n", "app.toml")?;
/// let layer = config.load_shed.to_layer()?;
/// assert_eq!(layer.handle().snapshot().limit(), 20);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoadShedConfig {
    algorithm: Algorithm,
    #[serde(deserialize_with = "patterns")]
    never_shed: Vec<String>,
    min_limit: Option<usize>,
    initial_limit: Option<usize>,
    max_limit: Option<usize>,
    #[serde(deserialize_with = "duration::deserialize")]
    latency_limit: Duration,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Algorithm {
    #[default]
    Gradient2,
    Aimd,
}

impl Default for LoadShedConfig {
    fn default() -> Self {
        Self {
            algorithm: Algorithm::default(),
            never_shed: vec![String::from("/healthz")],
            min_limit: None,
            initial_limit: None,
            max_limit: None,
            latency_limit: Duration::from_secs(1),
        }
    }
}

impl LoadShedConfig {
    /// The layer that the table describes.
    ///
    /// # Errors
    ///
    /// A floor of 0, limits that are not in order, no latency, a path that is no pattern.
    pub fn to_layer(&self) -> Result<LoadShedLayer, ConfigError> {
        let shed = match self.algorithm {
            Algorithm::Gradient2 => LoadShed::gradient2(),
            Algorithm::Aimd => LoadShed::aimd(self.latency_limit),
        };
        let count = |shed, count: Option<usize>, set: fn(LoadShed, usize) -> LoadShed| match count {
            Some(count) => set(shed, count),
            None => shed,
        };
        let shed = count(shed, self.min_limit, LoadShed::min_limit);
        let shed = count(shed, self.initial_limit, LoadShed::initial_limit);
        let shed = count(shed, self.max_limit, LoadShed::max_limit);
        shed.never_shed(&self.never_shed).build().map_err(|error| {
            let setting = format!("load_shed.{}", error.setting());
            error.for_setting(setting)
        })
    }
}

/// Path patterns, each checked where it stands.
fn patterns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let written = Vec::<Spanned<String>>::deserialize(deserializer)?;
    let check = |text: Spanned<String>| match text.get_ref().parse::<PathPattern>() {
        Ok(_) => Ok(text.into_inner()),
        Err(error) => Err(carry_from(text.span(), &error)),
    };
    written.into_iter().map(check).collect()
}
