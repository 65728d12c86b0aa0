//! How long a server asks its clients to wait.

use std::time::Duration;
#[cfg(any(feature = "circuit-breaker", feature = "retry"))]
use std::time::SystemTime;

use http::{HeaderMap, header};

#[cfg(any(feature = "circuit-breaker", feature = "retry"))]
use crate::spine::date;

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, which is compared with the answer's own `Date`, since clocks
/// differ. Of several lines the longest wait counts; what is neither says nothing. `wall` is the time of day.
#[cfg(any(feature = "circuit-breaker", feature = "retry"))]
pub(crate) fn retry_after(headers: &HeaderMap, wall: impl Fn() -> SystemTime) -> Option<Duration> {
    let now = || date::of(headers, &header::DATE).unwrap_or_else(&wall);
    let until = |text: &[u8]| Some(date::parse(text)?.duration_since(now()).unwrap_or_default());
    longest(headers, |text| number(text).or_else(|| until(text)))
}

/// The same where nobody knows the time: in seconds alone.
pub(crate) fn seconds(headers: &HeaderMap) -> Option<Duration> {
    longest(headers, number)
}

fn longest(headers: &HeaderMap, wait: impl Fn(&[u8]) -> Option<Duration>) -> Option<Duration> {
    headers.get_all(header::RETRY_AFTER).iter().filter_map(|line| wait(line.as_bytes().trim_ascii())).max()
}

fn number(text: &[u8]) -> Option<Duration> {
    let digits = std::str::from_utf8(text).ok().filter(|text| is_digits(text))?;
    // More seconds than a number holds are more than anybody waits.
    Some(digits.parse().map_or(Duration::MAX, Duration::from_secs))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
