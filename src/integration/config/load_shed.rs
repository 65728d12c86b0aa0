//! `[load_shed]`.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::located::{self, Located};
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
/// | `initial_limit` | the limit before anything is known | 20, within floor and cap |
/// | `max_limit` | the cap | 1000 |
/// | `latency_limit` | with `aimd`: the mean latency that must not be exceeded | `1s` |
/// | `until_head` | whether requests are in flight until the head of the response alone: where bodies are streams that idle | `false` |
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
/// assert_eq!(layer.handle().snapshot().limit, 20);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadShedConfig {
    algorithm: Algorithm,
    never_shed: Vec<String>,
    min_limit: Option<usize>,
    initial_limit: Option<usize>,
    max_limit: Option<usize>,
    latency_limit: Duration,
    until_head: bool,
}

/// What is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    algorithm: Algorithm,
    never_shed: Option<Vec<Spanned<String>>>,
    min_limit: Option<Spanned<usize>>,
    initial_limit: Option<Spanned<usize>>,
    max_limit: Option<Spanned<usize>>,
    latency_limit: Option<Spanned<String>>,
    until_head: bool,
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
            until_head: false,
        }
    }
}

impl<'de> Deserialize<'de> for LoadShedConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        located::deserialized(deserializer, Self::check)
    }
}

impl LoadShedConfig {
    fn check(table: &Table) -> Result<Self, Located> {
        let default = Self::default();
        if let (Algorithm::Gradient2, Some(limit)) = (table.algorithm, &table.latency_limit) {
            const MEND: &str = "write `algorithm = \"aimd\"`, or leave it out";
            let error = ConfigError::new("latency_limit", limit.get_ref(), "says nothing to `gradient2`", MEND);
            return Err((limit.span(), error));
        }
        let config = Self {
            algorithm: table.algorithm,
            min_limit: located::value(table.min_limit.as_ref()),
            initial_limit: located::value(table.initial_limit.as_ref()),
            max_limit: located::value(table.max_limit.as_ref()),
            latency_limit: located::duration_or(default.latency_limit, "latency_limit", table.latency_limit.as_ref())?,
            until_head: table.until_head,
            never_shed: match &table.never_shed {
                Some(paths) => paths.iter().map(path).collect::<Result<_, _>>()?,
                None => default.never_shed,
            },
        };
        // What the settings are together is found here, where the line is known.
        config.to_layer().map(|_| ()).map_err(|error| (place(table, error.setting()), error))?;
        Ok(config)
    }

    /// The layer that the table describes.
    ///
    /// # Errors
    ///
    /// None that [`parse`](super::parse) lets through.
    pub fn to_layer(&self) -> Result<LoadShedLayer, ConfigError> {
        self.to_builder().build()
    }

    /// The builder of the layer, for what no table says.
    pub fn to_builder(&self) -> LoadShed {
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
        let shed = if self.until_head { shed.until_head() } else { shed };
        shed.never_shed(&self.never_shed)
    }
}

/// A pattern, which is checked where it stands.
fn path(written: &Spanned<String>) -> Result<String, Located> {
    let checked = written.get_ref().parse::<PathPattern>();
    checked.map(|_| written.get_ref().clone()).map_err(|error| (written.span(), error))
}

/// Where a setting stands in the file; where it was left out, the one that it does not go with.
fn place(table: &Table, setting: &str) -> Range<usize> {
    let limits = [&table.min_limit, &table.max_limit, &table.initial_limit];
    let named = match setting {
        "min_limit" => &table.min_limit,
        "max_limit" => &table.max_limit,
        "initial_limit" => &table.initial_limit,
        _ => return located::place(table.latency_limit.as_ref()).unwrap_or_default(),
    };
    located::place([named].into_iter().chain(limits).flatten().next()).unwrap_or_default()
}
