//! How long a client waits, as fields say it: read, and written for the next server.

use std::fmt::Write as _;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The field by which gRPC tells how long a call may take.
pub(super) const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// Digits of a number in `grpc-timeout`, at most (gRPC over HTTP/2, "Requests").
const GRPC_DIGITS: usize = 8;
const GRPC_MOST: u128 = 99_999_999;
/// Each unit of gRPC, and its nanoseconds: from the finest to the coarsest.
const GRPC_UNITS: [(u8, u64); 6] = [
    (b'n', 1),
    (b'u', 1_000),
    (b'm', 1_000_000),
    (b'S', 1_000_000_000),
    (b'M', 60 * 1_000_000_000),
    (b'H', 3600 * 1_000_000_000),
];

/// Digits of milliseconds and of whole seconds, at most: three years, which is longer than anybody waits.
const DIGITS: usize = 11;
/// Digits behind the point of seconds: nanoseconds.
const DECIMALS: usize = 9;

/// A request field that says how long the client waits.
///
/// ```
/// use http::HeaderName;
/// use tower_rampart::deadline::TimeoutField;
///
/// let envoy = TimeoutField::milliseconds(HeaderName::from_static("x-envoy-upstream-rq-timeout-ms"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeoutField {
    name: HeaderName,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Grpc,
    Milliseconds,
    Seconds,
}

/// A field that says nothing which can be understood in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

impl TimeoutField {
    /// `grpc-timeout`: at most eight digits and a unit.
    #[must_use]
    pub const fn grpc() -> Self {
        Self { name: GRPC_TIMEOUT, form: Form::Grpc }
    }

    /// A field with a whole number of milliseconds.
    #[must_use]
    pub const fn milliseconds(name: HeaderName) -> Self {
        Self { name, form: Form::Milliseconds }
    }

    /// A field with seconds, whole or decimal: `3`, `0.25`.
    #[must_use]
    pub const fn seconds(name: HeaderName) -> Self {
        Self { name, form: Form::Seconds }
    }

    /// The field's name.
    #[must_use]
    pub const fn name(&self) -> &HeaderName {
        &self.name
    }

    /// What the field says; a second line of it, which another server may read instead, is a fault.
    pub(super) fn read(&self, headers: &HeaderMap) -> Result<Option<Duration>, Malformed> {
        let mut lines = headers.get_all(&self.name).iter();
        match (lines.next(), lines.next()) {
            (None, _) => Ok(None),
            (Some(line), None) => self.parse(line.as_bytes()).map(Some).ok_or(Malformed),
            (Some(_), Some(_)) => Err(Malformed),
        }
    }

    fn parse(&self, text: &[u8]) -> Option<Duration> {
        match self.form {
            Form::Grpc => {
                let (unit, number) = text.split_last()?;
                let (_, nanos) = GRPC_UNITS.iter().find(|(letter, _)| letter == unit)?;
                let number = digits(number, GRPC_DIGITS)?;
                let nanos = u128::from(number) * u128::from(*nanos);
                // 99999999 hours are far below what 64 bits of seconds hold.
                Some(Duration::new((nanos / 1_000_000_000) as u64, (nanos % 1_000_000_000) as u32))
            }
            Form::Milliseconds => digits(text, DIGITS).map(Duration::from_millis),
            Form::Seconds => {
                let (whole, decimals) = match text.iter().position(|byte| *byte == b'.') {
                    None => (text, None),
                    Some(point) => (text.get(..point)?, Some(text.get(point + 1..)?)),
                };
                let seconds = digits(whole, DIGITS)?;
                let nanos = match decimals {
                    None => 0,
                    Some(decimals) => {
                        let missing = DECIMALS.checked_sub(decimals.len())?;
                        digits(decimals, DECIMALS)? * 10_u64.pow(missing as u32)
                    }
                };
                Some(Duration::new(seconds, nanos as u32))
            }
        }
    }

    /// The field's value for what is left: rounded down, so that the next server does not wait longer than this one; and
    /// none for what is too short to be written, since zero would be another word for it.
    pub(super) fn write(&self, left: Duration) -> Option<HeaderValue> {
        let mut text = String::with_capacity(12);
        let written = match self.form {
            Form::Grpc => {
                let nanos = left.as_nanos();
                let in_unit = |&(unit, of): &(u8, u64)| (nanos / u128::from(of), char::from(unit));
                let fitting = GRPC_UNITS.iter().map(in_unit).find(|(number, _)| *number <= GRPC_MOST);
                let (number, unit) = fitting.unwrap_or((GRPC_MOST, 'H'));
                (number > 0).then(|| write!(text, "{number}{unit}"))
            }
            Form::Milliseconds => {
                let millis = left.as_millis().min(u128::from(most()));
                (millis > 0).then(|| write!(text, "{millis}"))
            }
            Form::Seconds => {
                let (seconds, millis) = (left.as_secs().min(most()), left.subsec_millis());
                match (seconds, millis) {
                    (0, 0) => None,
                    (_, 0) => Some(write!(text, "{seconds}")),
                    _ => Some(write!(text, "{seconds}.{millis:03}")),
                }
            }
        };
        written?.ok()?;
        HeaderValue::try_from(text).ok()
    }
}

/// The largest number of as many digits as are read.
const fn most() -> u64 {
    10_u64.pow(DIGITS as u32) - 1
}

/// A number of digits alone, at least one and so many at most: no sign, no space.
fn digits(text: &[u8], most: usize) -> Option<u64> {
    if text.is_empty() || text.len() > most {
        return None;
    }
    text.iter().try_fold(0_u64, |number, byte| byte.is_ascii_digit().then(|| number * 10 + u64::from(byte - b'0')))
}

#[cfg(test)]
#[path = "timeout_tests.rs"]
mod tests;
