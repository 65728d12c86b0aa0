//! gRPC's own fields, which stand in the trailers, or in the head of an answer that has no more (gRPC over HTTP/2,
//! "Responses"): each is read and written in one way.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::spine::problem::ProblemKind;

pub(crate) const STATUS: HeaderName = HeaderName::from_static("grpc-status");
pub(crate) const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
pub(crate) const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

/// What a server says of another try (gRPC's retry design, A6, "Pushback").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushback {
    /// Nothing.
    None,
    /// It may come after so long.
    After(Duration),
    /// It should not come at all: what is said is negative, cannot be understood, or is said more than once.
    Never,
}

/// The status, as it is written.
#[inline]
pub(crate) fn status(fields: &HeaderMap) -> Option<&[u8]> {
    fields.get(STATUS).map(HeaderValue::as_bytes)
}

/// An `int32` of milliseconds.
pub(crate) fn pushback(fields: &HeaderMap) -> Pushback {
    let mut lines = fields.get_all(PUSHBACK).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Pushback::None,
        (Some(line), None) => millis(line).map_or(Pushback::Never, Pushback::After),
        (Some(_), Some(_)) => Pushback::Never,
    }
}

fn millis(line: &HeaderValue) -> Option<Duration> {
    let digits = line.to_str().ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    let millis: i32 = digits.parse().ok()?;
    Some(Duration::from_millis(millis.unsigned_abs().into()))
}

/// Says how it went, in the fields of trailers or of a head.
pub(crate) fn write(fields: &mut HeaderMap, kind: ProblemKind, message: HeaderValue) {
    fields.insert(STATUS, HeaderValue::from(u16::from(kind.grpc_code().get())));
    fields.insert(MESSAGE, message);
}

/// Asks for a wait, rounded up; no wait at all would be no pushback.
pub(crate) fn write_pushback(fields: &mut HeaderMap, wait: Duration) {
    let wait_ms = wait.as_nanos().div_ceil(1_000_000).clamp(1, i32::MAX as u128);
    fields.insert(PUSHBACK, HeaderValue::from(wait_ms as u32));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (wait, read_ms) in [
            (Duration::ZERO, 1),
            (Duration::from_micros(1), 1),
            (Duration::from_millis(1500), 1500),
            (Duration::MAX, i32::MAX.unsigned_abs().into()),
        ] {
            let mut fields = HeaderMap::new();
            write_pushback(&mut fields, wait);
            assert_eq!(pushback(&fields), Pushback::After(Duration::from_millis(read_ms)), "{wait:?}");
        }
        let mut fields = HeaderMap::new();
        write(&mut fields, ProblemKind::DeadlineExceeded, HeaderValue::from_static("late"));
        assert_eq!((status(&fields), fields.len()), (Some(&b"4"[..]), 2));
    }
}
