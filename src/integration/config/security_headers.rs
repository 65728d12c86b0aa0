//! `[security_headers]`.

use serde::{Deserialize, Deserializer};

use super::parse::carry;
use crate::layers::security_headers::{ContentSecurityPolicy, HstsWhen, SecurityHeaders, SecurityHeadersLayer};
use crate::spine::config::ConfigError;
use crate::spine::key::ClientIp;

/// The `[security_headers]` table.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `preset` | `api`, `web`, `grpc` or `owasp` | `api` |
/// | `hsts` | `when-secure`, `always` or `never` | `when-secure` |
/// | `content_security_policy` | a policy instead of the preset's, checked like one built in code | the preset's |
///
/// ```
/// use tower_rampart::config::{self, SecurityHeadersConfig};
/// use tower_rampart::key::ClientIp;
///
/// let table: SecurityHeadersConfig = config::parse("preset = \"web\"\nhsts = \"always\"", "app.toml")?;
/// let layer = table.to_layer(&ClientIp::new())?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SecurityHeadersConfig {
    preset: Preset,
    hsts: HstsConfig,
    #[serde(deserialize_with = "policy")]
    content_security_policy: Option<ContentSecurityPolicy>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Preset {
    #[default]
    Api,
    Web,
    Grpc,
    Owasp,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum HstsConfig {
    #[default]
    WhenSecure,
    Always,
    Never,
}

impl SecurityHeadersConfig {
    /// The layer that the table describes. `client_ip` knows the proxies whose word about the protocol counts.
    ///
    /// # Errors
    ///
    /// What [`SecurityHeaders::build`] finds.
    pub fn to_layer(&self, client_ip: &ClientIp) -> Result<SecurityHeadersLayer, ConfigError> {
        let preset = match self.preset {
            Preset::Api => SecurityHeaders::api(),
            Preset::Web => SecurityHeaders::web(),
            Preset::Grpc => SecurityHeaders::grpc(),
            Preset::Owasp => SecurityHeaders::owasp(),
        };
        let hsts_when = match self.hsts {
            HstsConfig::WhenSecure => HstsWhen::Secure,
            HstsConfig::Always => HstsWhen::Always,
            HstsConfig::Never => HstsWhen::Never,
        };
        let headers = preset.hsts_when(hsts_when).client_ip(client_ip.clone());
        match &self.content_security_policy {
            Some(policy) => headers.content_security_policy(policy.clone()).build(),
            None => headers.build(),
        }
    }
}

fn policy<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<ContentSecurityPolicy>, D::Error> {
    let text = String::deserialize(deserializer)?;
    let policy: ContentSecurityPolicy = text.parse().map_err(|error| carry(&error))?;
    // The table has no key that declares endpoints, so a group in the policy is always undeclared.
    match SecurityHeaders::empty().content_security_policy(policy.clone()).build() {
        Ok(_) => Ok(Some(policy)),
        Err(error) => Err(carry(&error)),
    }
}
