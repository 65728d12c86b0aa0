//! Reporting-Endpoints (W3C Reporting API) and Integrity-Policy (W3C Subresource Integrity).

use http::{HeaderValue, Uri};

use super::permissions::is_key;
use super::values::IntegrityDestination;
use crate::spine::config::ConfigError;

/// Named places that browsers send their reports to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ReportingEndpoints(Vec<(String, String)>);

impl ReportingEndpoints {
    pub(super) fn add(&mut self, group: String, url: String) {
        self.0.push((group, url));
    }

    pub(super) fn declares(&self, group: &str) -> bool {
        self.0.iter().any(|(declared, _)| declared == group)
    }

    pub(super) fn value(&self) -> Result<Option<HeaderValue>, ConfigError> {
        let refuse = |value: &str, breach, mend| Err(ConfigError::new("reporting_endpoint", value, breach, mend));
        for (index, (group, url)) in self.0.iter().enumerate() {
            if !is_key(group) {
                return refuse(group, "is no group name", "use lower-case letters, digits, `-` and `_`");
            }
            if self.0.iter().take(index).any(|(earlier, _)| earlier == group) {
                return refuse(group, "is declared twice", "give each endpoint a name of its own");
            }
            if !is_trustworthy(url) {
                return refuse(url, "is no URL that browsers report to", "use an `https://` URL or an absolute path");
            }
        }
        let members: Vec<String> = self.0.iter().map(|(group, url)| format!("{group}=\"{url}\"")).collect();
        if members.is_empty() {
            return Ok(None);
        }
        let text = members.join(", ");
        match HeaderValue::try_from(&text) {
            Ok(value) => Ok(Some(value)),
            Err(_) => refuse(&text, "is no field value", "percent-encode what is not visible ASCII"),
        }
    }
}

/// An HTTPS URL, or a path on the own origin; nothing that would end the quoted string.
fn is_trustworthy(url: &str) -> bool {
    let is_text = url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\".contains(&byte));
    let is_https = url.parse::<Uri>().is_ok_and(|uri| uri.scheme_str() == Some("https") && uri.host().is_some());
    let is_path = url.starts_with('/') && !url.starts_with("//");
    is_text && (is_https || is_path)
}

/// `Integrity-Policy`: scripts or stylesheets without an `integrity` attribute are not loaded.
///
/// ```
/// use tower_rampart::security_headers::{IntegrityDestination, IntegrityPolicy, SecurityHeaders};
///
/// let layer = SecurityHeaders::web()
///     .reporting_endpoint("integrity", "https://reports.example/integrity")
///     .integrity_policy(IntegrityPolicy::block([IntegrityDestination::Script]).report_to("integrity"))
///     .build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IntegrityPolicy {
    blocked: Vec<IntegrityDestination>,
    groups: Vec<String>,
}

impl IntegrityPolicy {
    /// Blocks these when they lack an `integrity` attribute.
    #[must_use]
    pub fn block(destinations: impl IntoIterator<Item = IntegrityDestination>) -> Self {
        Self { blocked: destinations.into_iter().collect(), groups: Vec::new() }
    }

    /// Reports what was blocked to a declared endpoint.
    #[must_use]
    pub fn report_to(mut self, group: impl Into<String>) -> Self {
        self.groups.push(group.into());
        self
    }

    pub(super) fn report_groups(&self) -> &[String] {
        &self.groups
    }

    pub(super) fn value(&self) -> Result<HeaderValue, ConfigError> {
        let refuse = |value: &str, breach, mend| Err(ConfigError::new("integrity_policy", value, breach, mend));
        if self.blocked.is_empty() {
            return refuse("", "the policy blocks nothing", "name at least `IntegrityDestination::Script`");
        }
        let mut names: Vec<&str> = self.blocked.iter().map(|destination| destination.as_str()).collect();
        names.dedup();
        let mut text = format!("blocked-destinations=({})", names.join(" "));
        if !self.groups.is_empty() {
            text.push_str(&format!(", endpoints=({})", self.groups.join(" ")));
        }
        HeaderValue::try_from(&text).or_else(|_| refuse(&text, "is no field value", "use visible ASCII characters"))
    }
}
