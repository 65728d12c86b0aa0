//! Time, as it is stored and shown.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The time in RFC 3339, in UTC. A time that has no year of four digits is shown as 1970.
pub fn show(ms: i64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// Reads RFC 3339.
pub fn read(text: &str) -> Option<i64> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_shown() {
        for text in ["2027-01-31T12:00:00Z", "1999-12-31T23:59:59.125Z"] {
            assert_eq!(show(read(text).unwrap()), text);
        }
        assert_eq!(read("2027-01-31T13:00:00+01:00"), read("2027-01-31T12:00:00Z"));
        for text in ["", "tomorrow", "2027-01-31", "2027-01-31 12:00", "2027-02-30T12:00:00Z"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
