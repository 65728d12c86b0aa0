//! Durations as people write them: `900ms`, `15m`, `2y`.

use std::time::Duration;

use crate::spine::config::ConfigError;

const UNITS: [(&str, u64); 7] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
    ("w", 7 * 86_400_000),
    // 365 days.
    ("y", 365 * 86_400_000),
];

/// Reads a duration as the tables write them: a whole number and a unit, for `Deserialize` implementations of your own.
///
/// ```
/// use std::time::Duration;
/// use tower_rampart::config;
///
/// assert_eq!(config::parse_duration("idle", "15m")?, Duration::from_secs(900));
/// assert!(config::parse_duration("idle", "a while").is_err());
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
///
/// # Errors
///
/// A text that is none, under the name of its setting.
pub fn parse_duration(setting: &'static str, text: &str) -> Result<Duration, ConfigError> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis = UNITS.iter().find(|(name, _)| *name == unit).and_then(|(_, millis)| {
        let number: u64 = number.parse().ok()?;
        number.checked_mul(*millis)
    });
    millis.map(Duration::from_millis).ok_or_else(|| {
        let mend = "write a whole number and one of `ms s m h d w y`, such as `900ms` or `15m`";
        ConfigError::new(setting, text, "is no duration", mend)
    })
}
