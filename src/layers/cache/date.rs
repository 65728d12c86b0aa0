//! Dates (RFC 9110 section 5.6.7): read in all three forms and in any case, as RFC 9111 section 4.2 asks caches to.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The longest form is `Wednesday, 06-Nov-94 08:49:37 GMT`.
const MAX_BYTES: usize = 33;
/// The last second that the format can write: 9999-12-31T23:59:59Z.
const LAST_SECOND: u64 = 253_402_300_799;

/// A date, if it is one: GMT and nothing else, no other spelling, no number left short.
pub(super) fn parse(text: &[u8]) -> Option<SystemTime> {
    let text = text.trim_ascii();
    if text.len() > MAX_BYTES {
        return None;
    }
    let mut canonical = [0; MAX_BYTES];
    let mut in_word = false;
    for (to, from) in canonical.iter_mut().zip(text) {
        *to = if in_word { from.to_ascii_lowercase() } else { from.to_ascii_uppercase() };
        in_word = from.is_ascii_alphabetic();
    }
    let canonical = canonical.get_mut(..text.len())?;
    if let Some((_, zone)) = canonical.split_last_chunk_mut::<3>().filter(|(_, zone)| *zone == b"Gmt") {
        *zone = *b"GMT";
    }
    httpdate::parse_http_date(std::str::from_utf8(canonical).ok()?).ok()
}

/// The date in a field's first line.
pub(super) fn of(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    parse(headers.get(name)?.as_bytes())
}

/// A date as a field value.
pub(super) fn format(at: SystemTime) -> HeaderValue {
    // The format ends with the year 9999, and the crate at a panic.
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()).min(LAST_SECOND);
    let text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds));
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9110 section 5.6.7: three forms, one moment. RFC 9111 section 4.2: match case-insensitively.
    #[test]
    fn three_forms_in_any_case() {
        let moment = Some(UNIX_EPOCH + Duration::from_secs(784_111_777));
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "sUN, 06 nov 1994 08:49:37 gMt",
        ] {
            assert_eq!(parse(text.as_bytes()), moment, "{text}");
        }
    }

    /// RFC 9111 section 4.2: what is no date, and any zone but GMT, is in the past.
    #[test]
    fn what_is_none() {
        for text in [
            "",
            "0",
            "-1",
            "Sun, 06 Nov 1994 08:49:37 UTC",
            "Sun, 06 Nov 1994 08:49:37 AEST",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 94 08:49:37 GMT",
            "Sun, 6 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-1994 08:49:37 GMT",
            "Sun  06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 8:49:37 GMT",
            "Sun, 06 Nov 1994 08.49.37 GMT",
            "Sun, 06 Nov 1994  08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 GMT and something more",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn written_dates_are_read_again_and_none_is_too_late() {
        for seconds in [0, 784_111_777, LAST_SECOND] {
            let at = UNIX_EPOCH + Duration::from_secs(seconds);
            assert_eq!(parse(format(at).as_bytes()), Some(at));
        }
        let last = UNIX_EPOCH + Duration::from_secs(LAST_SECOND);
        assert_eq!(format(last + Duration::from_secs(1)), format(last));
        assert_eq!(format(UNIX_EPOCH - Duration::from_secs(1)), format(UNIX_EPOCH));
    }
}
