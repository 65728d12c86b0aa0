//! Tables whose settings know where they stand in the file, so that what is wrong with them names its line.

use std::ops::Range;
use std::time::Duration;

#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "load-shed"))]
use serde::{Deserialize, Deserializer};
use toml::Spanned;

#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "load-shed"))]
use super::parse::carry_from;
use crate::spine::config::ConfigError;

/// An error, and where it stands in the file.
pub(super) type Located = (Range<usize>, ConfigError);

/// What is written.
pub(super) fn value<T: Copy>(written: Option<&Spanned<T>>) -> Option<T> {
    written.map(|value| *value.get_ref())
}

/// Where it is written.
pub(super) fn place<T>(written: Option<&Spanned<T>>) -> Option<Range<usize>> {
    written.map(Spanned::span)
}

/// A duration that is written.
pub(super) fn duration(setting: &'static str, written: &Spanned<String>) -> Result<Duration, Located> {
    super::duration::parse_duration(setting, written.get_ref()).map_err(|error| (written.span(), error))
}

/// One that may be left out.
pub(super) fn duration_or(
    default: Duration,
    setting: &'static str,
    written: Option<&Spanned<String>>,
) -> Result<Duration, Located> {
    written.map_or(Ok(default), |written| duration(setting, written))
}

/// A table as it is written, made into what it means.
#[cfg(any(feature = "bulkhead", feature = "circuit-breaker", feature = "load-shed"))]
pub(super) fn deserialized<'de, D, T, C>(deserializer: D, check: fn(&T) -> Result<C, Located>) -> Result<C, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    check(&T::deserialize(deserializer)?).map_err(|(place, error)| carry_from(place, &error))
}
