//! What users write.

use std::fmt::Display;
use std::time::Duration;

use super::terms::{Rate, Span, Terms};
use super::word::MAX_PROBES;
use crate::spine::config::ConfigError;

/// What a circuit judges by: the last calls, or the last seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window(WindowKind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindowKind {
    Calls(u32),
    Time(Duration),
}

impl Window {
    /// So many calls, up to a million: the oldest leaves as the newest comes.
    #[must_use]
    pub const fn calls(calls: u32) -> Self {
        Self(WindowKind::Calls(calls))
    }

    /// So much time, from 100 ms to a day. A tenth of it leaves at a time, and it costs the same at any traffic.
    #[must_use]
    pub const fn time(time: Duration) -> Self {
        Self(WindowKind::Time(time))
    }
}

/// What a call counts as that its caller leaves before the response's head, as an outer timeout does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "it counts, or it does not")]
pub enum OnAbandoned {
    /// Nothing: callers may leave for reasons of their own.
    Ignore,
    /// A failure, once it has lasted so long: then it was the dependency that was waited for.
    FailAfter(Duration),
}

/// Whether a circuit refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Calls that meet an open circuit are refused.
    #[default]
    Enforce,
    /// Nothing is refused; what would have been is counted and reported.
    Shadow,
}

/// What an open circuit does when its service is polled ready.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenOpen {
    /// It is ready, and refuses the call.
    #[default]
    Refuse,
    /// It is not ready until the circuit lets a call through, so that a balancer chooses another endpoint. A circuit by
    /// key does not know which one a call is for, and refuses.
    Pend,
}

/// The settings as they were written. Of those that others are compared with it is known whether they were: an error names
/// what somebody wrote.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) window: Option<Window>,
    pub(super) min_calls: Option<u32>,
    pub(super) failure_rate: Option<f64>,
    pub(super) consecutive: Option<u32>,
    pub(super) slow_call: Option<Duration>,
    pub(super) slow_rate: f64,
    pub(super) open_for: Option<Duration>,
    pub(super) max_open: Option<Duration>,
    pub(super) jitter: f64,
    pub(super) decay: Option<Duration>,
    pub(super) probes: Option<u32>,
    pub(super) needed: Option<u32>,
    pub(super) lease: Duration,
    pub(super) ramp: Duration,
    pub(super) on_abandoned: Option<OnAbandoned>,
}

const DEFAULT_WINDOW_CALLS: u32 = 100;
const DEFAULT_MIN_CALLS: u32 = 20;
const DEFAULT_SLOW: Duration = Duration::from_secs(2);
const DEFAULT_OPEN: Duration = Duration::from_secs(1);
const DEFAULT_MAX_OPEN: Duration = Duration::from_secs(60);
const DEFAULT_PROBES: u32 = 3;
const DAY: Duration = Duration::from_secs(86_400);
/// Two bits for each call are kept.
const MAX_WINDOW_CALLS: u32 = 1_000_000;
const MIN_WINDOW: Duration = Duration::from_millis(100);

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: None,
            min_calls: None,
            failure_rate: Some(0.5),
            consecutive: None,
            slow_call: Some(DEFAULT_SLOW),
            slow_rate: 0.8,
            open_for: None,
            max_open: None,
            jitter: 0.2,
            decay: None,
            probes: None,
            needed: None,
            lease: Duration::from_secs(5),
            ramp: Duration::ZERO,
            on_abandoned: None,
        }
    }
}

impl Settings {
    pub(super) fn terms(&self) -> Result<Terms, ConfigError> {
        let (span, most_calls) = self.span()?;
        let min_calls = match self.min_calls {
            Some(0) => return Err(ConfigError::new("min_calls", 0, "judges nothing", "write 1 or more")),
            Some(calls) if calls > most_calls => {
                const BREACH: &str = "is more than the window ever holds";
                let mend = format!("write no more than `window`{}", unless_said(self.window, DEFAULT_WINDOW_CALLS));
                return Err(ConfigError::new("min_calls", calls, BREACH, mend));
            }
            calls => calls.unwrap_or(DEFAULT_MIN_CALLS).min(most_calls),
        };
        if self.consecutive == Some(0) {
            const MEND: &str = "write 1 or more, or leave it out";
            return Err(ConfigError::new("consecutive_failures", 0, "opens at nothing", MEND));
        }
        let failure_rate = self.failure_rate.map(|rate| share("failure_rate", rate)).transpose()?;
        let slow_rate = self.slow_call.map(|_| share("slow_rate", self.slow_rate)).transpose()?;
        if failure_rate.is_none() && slow_rate.is_none() && self.consecutive.is_none() {
            const MEND: &str = "give it a failure rate, a slow rate or failures in a row";
            const BREACH: &str = "is left out, and so is all else that could open it";
            return Err(ConfigError::new("failure_rate", "", BREACH, MEND));
        }
        if self.slow_call.is_some_and(|slow| slow.is_zero()) {
            return Err(ConfigError::new("slow_call", "0s", "makes every call slow", "write a longer one"));
        }
        let (probes, needed) = self.probes()?;
        let (open_for, max_open) = self.open()?;
        if !(0.0..1.0).contains(&self.jitter) {
            return Err(ConfigError::new("jitter", self.jitter, "is no share", "write one from 0 to below 1"));
        }
        Ok(Terms {
            span,
            min_calls,
            consecutive: self.consecutive,
            failure_rate,
            slow_rate,
            open_for,
            max_open,
            jitter: (self.jitter * 1_000_000.0).round() as u32,
            decay: self.decay.map_or(Ok(max_open), |decay| millis("forget_after", decay))?,
            probes,
            needed,
            lease: millis("probe_lease", self.lease)?,
            ramp: if self.ramp.is_zero() { 0 } else { millis("ramp_up", self.ramp)? },
        })
    }

    fn span(&self) -> Result<(Span, u32), ConfigError> {
        match self.window.map_or(WindowKind::Calls(DEFAULT_WINDOW_CALLS), |window| window.0) {
            WindowKind::Calls(calls) if (1..=MAX_WINDOW_CALLS).contains(&calls) => Ok((Span::Calls(calls), calls)),
            WindowKind::Calls(calls) => {
                Err(ConfigError::new("window", calls, "is no number of calls", "write 1 to 1000000"))
            }
            WindowKind::Time(time) if (MIN_WINDOW..=DAY).contains(&time) => {
                Ok((Span::Millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX)), u32::MAX))
            }
            WindowKind::Time(time) => {
                Err(ConfigError::new("window", shown(time), "is no time to judge by", "write 100ms to 1d"))
            }
        }
    }

    /// How long it is open the first time, and at most.
    fn open(&self) -> Result<(u64, u64), ConfigError> {
        let (open_for, max_open) = (self.open_for.unwrap_or(DEFAULT_OPEN), self.max_open.unwrap_or(DEFAULT_MAX_OPEN));
        let millis = (millis("open_for", open_for)?, millis("max_open", max_open)?);
        if millis.0 <= millis.1 {
            return Ok(millis);
        }
        Err(if self.max_open.is_none() {
            const MEND: &str = "write a shorter `open_for`, or a longer `max_open` beside it";
            let breach = format!("is longer than `max_open`{}", unless_said(self.max_open, shown(max_open)));
            ConfigError::new("open_for", shown(open_for), breach, MEND)
        } else {
            const MEND: &str = "write a longer `max_open`, or a shorter `open_for`";
            let breach = format!("is shorter than `open_for`{}", unless_said(self.open_for, shown(open_for)));
            ConfigError::new("max_open", shown(max_open), breach, MEND)
        })
    }

    fn probes(&self) -> Result<(u32, u32), ConfigError> {
        let probes = self.probes.unwrap_or(DEFAULT_PROBES);
        if !(1..=MAX_PROBES).contains(&probes) {
            return Err(ConfigError::new("probes", probes, "is no number of probes", "write 1 to 16"));
        }
        let needed = self.needed.unwrap_or(probes);
        if !(1..=probes).contains(&needed) {
            const BREACH: &str = "cannot succeed";
            let mend = format!("write 1 up to `probes`{}", unless_said(self.probes, DEFAULT_PROBES));
            return Err(ConfigError::new("probes_needed", needed, BREACH, mend));
        }
        Ok((probes, needed))
    }

    /// The time after which a call that is left counts, in nanoseconds.
    pub(super) fn cancel_after(&self) -> Option<u64> {
        let default = OnAbandoned::FailAfter(self.slow_call.unwrap_or(DEFAULT_SLOW));
        match self.on_abandoned.unwrap_or(default) {
            OnAbandoned::Ignore => None,
            OnAbandoned::FailAfter(time) => Some(nanos(time)),
        }
    }

    /// What is slow, in nanoseconds.
    pub(super) fn slow_after(&self) -> Option<u64> {
        self.slow_call.map(nanos)
    }
}

fn share(setting: &'static str, share: f64) -> Result<Rate, ConfigError> {
    const MEND: &str = "write one above 0 and up to 1";
    Rate::new(share).ok_or_else(|| ConfigError::new(setting, share, "is no share", MEND))
}

/// From a millisecond to a day.
fn millis(setting: &'static str, time: Duration) -> Result<u64, ConfigError> {
    if !(Duration::from_millis(1)..=DAY).contains(&time) {
        return Err(ConfigError::new(setting, shown(time), "is too short or too long", "write 1ms to 1d"));
    }
    Ok(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// What a setting is that nobody has written, for those who look for it in vain.
fn unless_said<T>(said: Option<T>, default: impl Display) -> String {
    if said.is_some() { String::new() } else { format!(", which is {default} unless it is said") }
}

/// A time as people write it.
fn shown(time: Duration) -> String {
    match time.subsec_nanos() {
        0 => format!("{}s", time.as_secs()),
        nanos if nanos % 1_000_000 == 0 => format!("{}ms", time.as_millis()),
        _ => format!("{time:?}"),
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
