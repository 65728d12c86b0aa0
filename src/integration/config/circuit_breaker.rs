//! `[circuit_breaker]`.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::located::{self, Located, place, value};
use crate::layers::circuit_breaker::{CircuitBreaker, Mode, Window};

/// The `[circuit_breaker]` table.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `window` | what is judged by: a number of calls, or a time such as `"10s"` | 100 |
/// | `failure_rate` | the share of failures at which it opens | 0.5 |
/// | `min_calls` | the calls in the window below which no rate is judged | 20, or the whole of a smaller window |
/// | `consecutive_failures` | failures in a row that open it | off |
/// | `slow_call` | from when on a call is slow | `2s` |
/// | `slow_rate` | the share of slow calls at which it opens | 0.8 |
/// | `open_for` | how long it is open for the first time | `1s` |
/// | `max_open` | how long it is open at most | `60s` |
/// | `jitter` | the share by which that varies | 0.2 |
/// | `probes` | how many calls decide whether it closes | 3 |
/// | `probes_needed` | how many of them must succeed | all |
/// | `probe_lease` | how long a probe may take | `5s` |
/// | `ramp_up` | the time over which traffic comes back | off |
/// | `mode` | `enforce`, or `shadow` to refuse nothing | `enforce` |
///
/// ```
/// use tower_rampart::config::{self, CircuitBreakerConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     circuit_breaker: CircuitBreakerConfig,
/// }
///
/// let text = "[circuit_breaker]\nwindow = \"10s\"\nconsecutive_failures = 5\n";
/// let config: Config = config::parse(text, "app.toml")?;
/// let layer = config.circuit_breaker.to_builder("payments").build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct CircuitBreakerConfig {
    window: Window,
    failure_rate: f64,
    min_calls: Option<u32>,
    consecutive_failures: Option<u32>,
    slow_call: Duration,
    slow_rate: f64,
    open_for: Duration,
    max_open: Duration,
    jitter: f64,
    probes: u32,
    probes_needed: Option<u32>,
    probe_lease: Duration,
    ramp_up: Duration,
    mode: Mode,
}

/// The table as it is written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Table {
    window: Option<Spanned<Written>>,
    failure_rate: Option<Spanned<f64>>,
    min_calls: Option<Spanned<u32>>,
    consecutive_failures: Option<Spanned<u32>>,
    slow_call: Option<Spanned<String>>,
    slow_rate: Option<Spanned<f64>>,
    open_for: Option<Spanned<String>>,
    max_open: Option<Spanned<String>>,
    jitter: Option<Spanned<f64>>,
    probes: Option<Spanned<u32>>,
    probes_needed: Option<Spanned<u32>>,
    probe_lease: Option<Spanned<String>>,
    ramp_up: Option<Spanned<String>>,
    mode: Option<ModeConfig>,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "is neither a number of calls nor a time, expected `100` or `\"10s\"`")]
enum Written {
    Calls(u32),
    Time(String),
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModeConfig {
    Enforce,
    Shadow,
}

impl Default for CircuitBreakerConfig {
    fn default() -> Self {
        Self {
            window: Window::calls(100),
            failure_rate: 0.5,
            min_calls: None,
            consecutive_failures: None,
            slow_call: Duration::from_secs(2),
            slow_rate: 0.8,
            open_for: Duration::from_secs(1),
            max_open: Duration::from_secs(60),
            jitter: 0.2,
            probes: 3,
            probes_needed: None,
            probe_lease: Duration::from_secs(5),
            ramp_up: Duration::ZERO,
            mode: Mode::Enforce,
        }
    }
}

impl<'de> Deserialize<'de> for CircuitBreakerConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        located::deserialized(deserializer, Self::check)
    }
}

impl CircuitBreakerConfig {
    fn check(table: &Table) -> Result<Self, Located> {
        let default = Self::default();
        let time = |setting, written: &Option<Spanned<String>>, default| {
            located::duration_or(default, setting, written.as_ref())
        };
        let config = Self {
            window: table.window.as_ref().map_or(Ok(default.window), window)?,
            failure_rate: value(table.failure_rate.as_ref()).unwrap_or(default.failure_rate),
            min_calls: value(table.min_calls.as_ref()),
            consecutive_failures: value(table.consecutive_failures.as_ref()),
            slow_call: time("slow_call", &table.slow_call, default.slow_call)?,
            slow_rate: value(table.slow_rate.as_ref()).unwrap_or(default.slow_rate),
            open_for: time("open_for", &table.open_for, default.open_for)?,
            max_open: time("max_open", &table.max_open, default.max_open)?,
            jitter: value(table.jitter.as_ref()).unwrap_or(default.jitter),
            probes: value(table.probes.as_ref()).unwrap_or(default.probes),
            probes_needed: value(table.probes_needed.as_ref()),
            probe_lease: time("probe_lease", &table.probe_lease, default.probe_lease)?,
            ramp_up: time("ramp_up", &table.ramp_up, default.ramp_up)?,
            mode: match table.mode {
                Some(ModeConfig::Shadow) => Mode::Shadow,
                Some(ModeConfig::Enforce) | None => Mode::Enforce,
            },
        };
        // What the settings are together is found here, where the line is known.
        match config.to_builder("trial").check() {
            Ok(()) => Ok(config),
            Err(error) => Err((place_of(table, error.setting()), error)),
        }
    }

    /// The breaker that the table describes, to be told more in code: its name stands in events and metrics.
    pub fn to_builder(&self, name: &str) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(name)
            .window(self.window)
            .failure_rate(self.failure_rate)
            .consecutive_failures(self.consecutive_failures)
            .slow_call(self.slow_call)
            .slow_rate(self.slow_rate)
            .open_for(self.open_for)
            .max_open(self.max_open)
            .jitter(self.jitter)
            .probes(self.probes)
            .probe_lease(self.probe_lease)
            .ramp_up(self.ramp_up)
            .mode(self.mode);
        if let Some(calls) = self.min_calls {
            breaker = breaker.min_calls(calls);
        }
        if let Some(probes) = self.probes_needed {
            breaker = breaker.probes_needed(probes);
        }
        breaker
    }
}

fn window(written: &Spanned<Written>) -> Result<Window, Located> {
    match written.get_ref() {
        Written::Calls(calls) => Ok(Window::calls(*calls)),
        Written::Time(text) => {
            let text = Spanned::new(written.span(), text.clone());
            located::duration("window", &text).map(Window::time)
        }
    }
}

/// Where a setting stands in the file; where it was left out, whatever it does not go with.
fn place_of(table: &Table, setting: &str) -> Range<usize> {
    let places = [
        ("window", place(table.window.as_ref())),
        ("failure_rate", place(table.failure_rate.as_ref())),
        ("min_calls", place(table.min_calls.as_ref())),
        ("consecutive_failures", place(table.consecutive_failures.as_ref())),
        ("slow_call", place(table.slow_call.as_ref())),
        ("slow_rate", place(table.slow_rate.as_ref())),
        ("max_open", place(table.max_open.as_ref()).or_else(|| place(table.open_for.as_ref()))),
        ("open_for", place(table.open_for.as_ref())),
        ("jitter", place(table.jitter.as_ref())),
        ("probes_needed", place(table.probes_needed.as_ref()).or_else(|| place(table.probes.as_ref()))),
        ("probes", place(table.probes.as_ref())),
        ("probe_lease", place(table.probe_lease.as_ref())),
        ("ramp_up", place(table.ramp_up.as_ref())),
    ];
    places.into_iter().find(|(name, _)| *name == setting).and_then(|(_, place)| place).unwrap_or_default()
}
