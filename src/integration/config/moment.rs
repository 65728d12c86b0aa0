//! Dates as TOML has them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Deserializer};
use toml::value::{Datetime, Offset};

use super::parse::carry;
use crate::spine::config::ConfigError;

/// A date with time and offset (RFC 3339), after 1970.
pub(super) fn of(text: &Datetime) -> Option<SystemTime> {
    let (date, time) = (text.date?, text.time?);
    let offset_minutes = match text.offset? {
        Offset::Z => 0,
        Offset::Custom { minutes } => i64::from(minutes),
    };
    // Days since 1970, by years that begin in March.
    let (year, month, day) = (i64::from(date.year), i64::from(date.month), i64::from(date.day));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
            - 1
            - 719_468;
    let seconds =
        days * 86_400 + i64::from(time.hour) * 3600 + i64::from(time.minute) * 60 + i64::from(time.second.unwrap_or(0));
    let since = u64::try_from(seconds - offset_minutes * 60).ok()?;
    UNIX_EPOCH.checked_add(Duration::from_secs(since))
}

/// A date as TOML has them, or the same in quotes.
pub(super) fn expires<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Datetime>, D::Error> {
    let refuse = |shown: &str| {
        const MEND: &str = "write one such as 2027-01-31T12:00:00Z, with its offset";
        carry(&ConfigError::new("expires", shown, "is no moment", MEND))
    };
    match toml::Value::deserialize(deserializer)? {
        toml::Value::Datetime(moment) => Ok(Some(moment)),
        toml::Value::String(text) => text.parse().map(Some).map_err(|_| refuse(&text)),
        _ => Err(refuse("")),
    }
}
