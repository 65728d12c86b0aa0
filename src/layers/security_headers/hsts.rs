//! Strict-Transport-Security (RFC 6797).

use std::time::Duration;

use http::HeaderValue;

use crate::spine::config::ConfigError;

const YEAR_SECS: u64 = 365 * 24 * 60 * 60;

/// How long browsers are to use HTTPS alone.
///
/// ```
/// use tower_rampart::security_headers::{Hsts, SecurityHeaders};
///
/// let layer = SecurityHeaders::api().hsts(Hsts::years(2).include_subdomains()).build()?;
/// // The preload lists ask for a year at least, and for subdomains.
/// assert!(SecurityHeaders::api().hsts(Hsts::years(2).preload()).build().is_err());
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    max_age_secs: u64,
    include_subdomains: bool,
    preload: bool,
}

impl Hsts {
    /// For so long; fractions of a second are dropped. Zero makes browsers forget the host.
    #[must_use]
    pub const fn max_age(max_age: Duration) -> Self {
        Self { max_age_secs: max_age.as_secs(), include_subdomains: false, preload: false }
    }

    /// For so many years of 365 days.
    #[must_use]
    pub const fn years(years: u32) -> Self {
        Self::max_age(Duration::from_secs(years as u64 * YEAR_SECS))
    }

    /// For the subdomains too.
    #[must_use]
    pub const fn include_subdomains(mut self) -> Self {
        self.include_subdomains = true;
        self
    }

    /// Consents to the browsers' built-in lists. It needs a year at least and the subdomains, and is slow to undo.
    #[must_use]
    pub const fn preload(mut self) -> Self {
        self.preload = true;
        self
    }

    pub(super) fn value(self) -> Result<HeaderValue, ConfigError> {
        let refuse = |breach, mend| Err(ConfigError::new("strict_transport_security", self.text(), breach, mend));
        if self.preload && self.max_age_secs < YEAR_SECS {
            return refuse("is too short for preloading", "use a max-age of at least 31536000 seconds (a year)");
        }
        if self.preload && !self.include_subdomains {
            return refuse("leaves the subdomains out, which preloading asks for", "add `include_subdomains()`");
        }
        HeaderValue::try_from(self.text()).or_else(|_| refuse("is no field value", "report this as a bug"))
    }

    fn text(self) -> String {
        let mut text = format!("max-age={}", self.max_age_secs);
        if self.include_subdomains {
            text.push_str("; includeSubDomains");
        }
        if self.preload {
            text.push_str("; preload");
        }
        text
    }
}

/// On which responses HSTS is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::exhaustive_enums, reason = "there is no fourth way")]
pub enum HstsWhen {
    /// On those to secure requests, as RFC 6797 section 7.2 asks. A handler's own HSTS is removed from the others.
    #[default]
    Secure,
    /// On all, for a server that stands behind a TLS terminator it cannot tell from a client.
    Always,
    /// On none, not even a handler's own.
    Never,
}
