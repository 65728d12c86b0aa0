//! How long a server asks its clients to wait.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, header};

use crate::spine::date;

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, which is compared with the answer's own `Date`, since clocks
/// differ. Of several lines the longest wait counts; what is neither says nothing. `wall` is the time of day.
pub(crate) fn retry_after(headers: &HeaderMap, wall: impl Fn() -> SystemTime) -> Option<Duration> {
    let lines = headers.get_all(header::RETRY_AFTER).iter();
    lines.filter_map(|line| wait(line.as_bytes(), || date::of(headers, &header::DATE).unwrap_or_else(&wall))).max()
}

fn wait(text: &[u8], now: impl FnOnce() -> SystemTime) -> Option<Duration> {
    let text = text.trim_ascii();
    if let Some(digits) = std::str::from_utf8(text).ok().filter(|text| is_digits(text)) {
        // More seconds than a number holds are more than anybody waits.
        return Some(digits.parse().map_or(Duration::MAX, Duration::from_secs));
    }
    let date = date::parse(text)?;
    Some(date.duration_since(now()).unwrap_or_default())
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
