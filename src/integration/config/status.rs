//! Statuses.

use std::ops::Range;

use http::StatusCode;
use toml::Spanned;

use crate::spine::config::ConfigError;

/// A status that services answer with.
pub(super) fn read(status: &Spanned<u16>) -> Result<StatusCode, (Range<usize>, ConfigError)> {
    let known = StatusCode::from_u16(*status.get_ref()).ok().filter(|status| status.as_u16() < 600);
    known.ok_or_else(|| {
        const MEND: &str = "write one from 100 to 599";
        (status.span(), ConfigError::new("count_status", status.get_ref(), "is no status", MEND))
    })
}
