//! `[circuit_breaker]`.

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::located::{self, Located, place, value};
use super::whole::FromOne;
use crate::layers::circuit_breaker::{CircuitBreaker, Mode, Window};
use crate::spine::config::ConfigError;

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
    window: Option<Window>,
    failure_rate: f64,
    min_calls: Option<u32>,
    consecutive_failures: Option<u32>,
    slow_call: Duration,
    slow_rate: f64,
    open_for: Option<Duration>,
    max_open: Option<Duration>,
    jitter: f64,
    probes: Option<u32>,
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
    min_calls: Option<Spanned<FromOne<u32>>>,
    consecutive_failures: Option<Spanned<FromOne<u32>>>,
    slow_call: Option<Spanned<String>>,
    slow_rate: Option<Spanned<f64>>,
    open_for: Option<Spanned<String>>,
    max_open: Option<Spanned<String>>,
    jitter: Option<Spanned<f64>>,
    probes: Option<Spanned<FromOne<u32>>>,
    probes_needed: Option<Spanned<FromOne<u32>>>,
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
            window: None,
            failure_rate: 0.5,
            min_calls: None,
            consecutive_failures: None,
            slow_call: Duration::from_secs(2),
            slow_rate: 0.8,
            open_for: None,
            max_open: None,
            jitter: 0.2,
            probes: None,
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
        let open = |setting, written: &Option<Spanned<String>>| {
            written.as_ref().map(|written| located::duration(setting, written)).transpose()
        };
        let number = |written: &Option<Spanned<FromOne<u32>>>| value(written.as_ref()).map(|FromOne(number)| number);
        let config = Self {
            window: table.window.as_ref().map(window).transpose()?,
            failure_rate: value(table.failure_rate.as_ref()).unwrap_or(default.failure_rate),
            min_calls: number(&table.min_calls),
            consecutive_failures: number(&table.consecutive_failures),
            slow_call: time("slow_call", &table.slow_call, default.slow_call)?,
            slow_rate: value(table.slow_rate.as_ref()).unwrap_or(default.slow_rate),
            open_for: open("open_for", &table.open_for)?,
            max_open: open("max_open", &table.max_open)?,
            jitter: value(table.jitter.as_ref()).unwrap_or(default.jitter),
            probes: number(&table.probes),
            probes_needed: number(&table.probes_needed),
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
            Err(error) => Err(as_written(table, error)),
        }
    }

    /// The breaker that the table describes, to be told more in code: its name stands in events and metrics.
    pub fn to_builder(&self, name: &str) -> CircuitBreaker {
        let mut breaker = CircuitBreaker::new(name)
            .failure_rate(self.failure_rate)
            .consecutive_failures(self.consecutive_failures)
            .slow_call(self.slow_call)
            .slow_rate(self.slow_rate)
            .jitter(self.jitter)
            .probe_lease(self.probe_lease)
            .ramp_up(self.ramp_up)
            .mode(self.mode);
        // What is left out here is left out there, so that errors know it.
        breaker = self.window.into_iter().fold(breaker, CircuitBreaker::window);
        breaker = self.min_calls.into_iter().fold(breaker, CircuitBreaker::min_calls);
        breaker = self.open_for.into_iter().fold(breaker, CircuitBreaker::open_for);
        breaker = self.max_open.into_iter().fold(breaker, CircuitBreaker::max_open);
        breaker = self.probes.into_iter().fold(breaker, CircuitBreaker::probes);
        self.probes_needed.into_iter().fold(breaker, CircuitBreaker::probes_needed)
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

/// What is wrong with a setting, where it stands in the file, and with a time as it is written there.
fn as_written(table: &Table, error: ConfigError) -> Located {
    let (place, text) = written(table, error.setting());
    let Some(text) = text else { return (place, error) };
    let [setting, breach, mend] = [error.setting(), error.breach(), error.mend()].map(String::from);
    (place, ConfigError::new(setting, text, breach, mend))
}

/// Where a setting stands, and the text of one that is written as text.
fn written<'a>(table: &'a Table, setting: &str) -> (Range<usize>, Option<&'a str>) {
    let text = |written: &'a Option<Spanned<String>>| written.as_ref().map(|text| text.get_ref().as_str());
    let window = table.window.as_ref().and_then(|window| match window.get_ref() {
        Written::Calls(_) => None,
        Written::Time(text) => Some(text.as_str()),
    });
    let places = [
        ("window", place(table.window.as_ref()), window),
        ("failure_rate", place(table.failure_rate.as_ref()), None),
        ("min_calls", place(table.min_calls.as_ref()), None),
        ("consecutive_failures", place(table.consecutive_failures.as_ref()), None),
        ("slow_call", place(table.slow_call.as_ref()), text(&table.slow_call)),
        ("slow_rate", place(table.slow_rate.as_ref()), None),
        ("open_for", place(table.open_for.as_ref()), text(&table.open_for)),
        ("max_open", place(table.max_open.as_ref()), text(&table.max_open)),
        ("jitter", place(table.jitter.as_ref()), None),
        ("probes", place(table.probes.as_ref()), None),
        ("probes_needed", place(table.probes_needed.as_ref()), None),
        ("probe_lease", place(table.probe_lease.as_ref()), text(&table.probe_lease)),
        ("ramp_up", place(table.ramp_up.as_ref()), text(&table.ramp_up)),
    ];
    let found = places.into_iter().find(|(name, ..)| *name == setting);
    found.map(|(_, place, text)| (place.unwrap_or_default(), text)).unwrap_or_default()
}
