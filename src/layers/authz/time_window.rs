//! When something is allowed.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::spine::config::ConfigError;

/// A time at which something is so: hours of the day, days of the week, moments. All in UTC.
///
/// ```
/// use tower_rampart::authz::TimeWindow;
///
/// let nights = TimeWindow::new().between("22:00", "06:00")?;
/// assert!(TimeWindow::new().between("9:00", "25:00").is_err());
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[must_use = "a window is looked at by a predicate"]
pub struct TimeWindow {
    not_before: Option<SystemTime>,
    until: Option<SystemTime>,
    /// Minutes of the day: from, and up to; over midnight where the first is the later.
    minutes: Option<(u16, u16)>,
    /// A bit for each day of the week, Monday's first; all where none is set.
    days: u8,
}

const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const MINUTES_PER_DAY: u16 = 24 * 60;

impl TimeWindow {
    /// All of time.
    pub const fn new() -> Self {
        Self { not_before: None, until: None, minutes: None, days: 0 }
    }

    /// From this moment on.
    pub const fn not_before(mut self, moment: SystemTime) -> Self {
        self.not_before = Some(moment);
        self
    }

    /// Up to this moment, and not at it.
    pub const fn until(mut self, moment: SystemTime) -> Self {
        self.until = Some(moment);
        self
    }

    /// From the first to before the second of these times of the day: `08:00`, `18:30`, `24:00`. Where the first is the
    /// later one, over midnight; each moment is judged by the day that it is in.
    ///
    /// # Errors
    ///
    /// What is no time of a day, and two that are the same.
    pub fn between(mut self, from: &str, until: &str) -> Result<Self, ConfigError> {
        let (start, end) = (minute("from", from)?, minute("until", until)?);
        if start % MINUTES_PER_DAY == end % MINUTES_PER_DAY {
            return Err(ConfigError::new("until", until, "is when it begins", "write another time, or none"));
        }
        self.minutes = Some((start, end));
        Ok(self)
    }

    /// On these days of the week: `mon`, `tue`, `wed`, `thu`, `fri`, `sat`, `sun`.
    ///
    /// # Errors
    ///
    /// What is no day.
    pub fn days<T: AsRef<str>>(mut self, days: impl IntoIterator<Item = T>) -> Result<Self, ConfigError> {
        for day in days {
            let at = DAYS.iter().position(|known| *known == day.as_ref()).ok_or_else(|| {
                const MEND: &str = "write `mon`, `tue`, `wed`, `thu`, `fri`, `sat` or `sun`";
                ConfigError::new("days", day.as_ref(), "is no day of the week", MEND)
            })?;
            self.days |= 1 << at;
        }
        Ok(self)
    }

    /// Whether a moment is within it.
    #[must_use]
    pub fn contains(&self, moment: SystemTime) -> bool {
        if self.not_before.is_some_and(|start| moment < start) || self.until.is_some_and(|end| moment >= end) {
            return false;
        }
        // Before 1970 there were no requests.
        let Ok(since) = moment.duration_since(UNIX_EPOCH) else { return false };
        let minutes_since = since.as_secs() / 60;
        let minute = (minutes_since % u64::from(MINUTES_PER_DAY)) as u16;
        // 1970 began on a Thursday.
        let day = (minutes_since / u64::from(MINUTES_PER_DAY) + 3) % 7;
        let in_hours = self.minutes.is_none_or(|(start, end)| {
            if start < end { (start..end).contains(&minute) } else { minute >= start || minute < end }
        });
        in_hours && (self.days == 0 || self.days & (1 << day) != 0)
    }
}

/// `08:00`, as minutes since midnight.
fn minute(setting: &'static str, text: &str) -> Result<u16, ConfigError> {
    let read = || {
        let (hours, minutes) = text.split_once(':')?;
        let is_two = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        let (hours, minutes) = (Some(hours).filter(|part| is_two(part))?, Some(minutes).filter(|part| is_two(part))?);
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        (minutes < 60 && hours * 60 + minutes <= MINUTES_PER_DAY).then_some(hours * 60 + minutes)
    };
    read().ok_or_else(|| ConfigError::new(setting, text, "is no time of a day", "write one such as `08:00` or `18:30`"))
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("time")?;
        if let Some((start, end)) = self.minutes {
            write!(f, " {:02}:{:02} to {:02}:{:02}", start / 60, start % 60, end / 60, end % 60)?;
        }
        for (at, day) in DAYS.iter().enumerate() {
            if self.days & (1 << at) != 0 {
                write!(f, " {day}")?;
            }
        }
        let seconds = |moment: SystemTime| moment.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if let Some(start) = self.not_before {
            write!(f, " from {}", seconds(start))?;
        }
        if let Some(end) = self.until {
            write!(f, " until {}", seconds(end))?;
        }
        Ok(())
    }
}
