//! The tables of a whole stack.

use std::path::Path;

use serde::Deserialize;

#[cfg(feature = "cache")]
use super::CacheConfig;
use super::ClientIpConfig;
#[cfg(feature = "load-shed")]
use super::LoadShedConfig;
#[cfg(feature = "rate-limit")]
use super::RateLimitConfig;
#[cfg(feature = "security-headers")]
use super::SecurityHeadersConfig;
#[cfg(feature = "deadline")]
use super::TimeoutsConfig;
#[cfg(feature = "validate")]
use super::ValidateConfig;
use super::configured::StackLayers;
#[cfg(feature = "_auth")]
use super::{AuthConfig, AuthzConfig};
#[cfg(feature = "cache")]
use crate::layers::cache::Cache;
#[cfg(feature = "deadline")]
use crate::layers::deadline::DeadlineLayer;
#[cfg(feature = "load-shed")]
use crate::layers::load_shed::LoadShedLayer;
#[cfg(feature = "security-headers")]
use crate::layers::security_headers::SecurityHeadersLayer;
#[cfg(feature = "validate")]
use crate::layers::validate::ValidateLayer;
#[cfg(feature = "openapi")]
use crate::layers::validate::ValidateResponsesLayer;
#[cfg(feature = "_auth")]
use crate::layers::{auth::AuthLayer, authz::AuthzLayer};
use crate::spine::config::ConfigError;

/// All tables of a server's stack: a whole file, or a table of yours. A table that is absent leaves its layer out.
///
/// A program whose file holds more has tables of its own beside these, and fills this in.
///
/// ```
/// # #[cfg(all(feature = "deadline", feature = "security-headers"))] {
/// use std::path::Path;
/// use tower_rampart::config::{self, StackConfig};
///
/// let text = "[security_headers]\npreset = \"api\"\n\n[timeouts]\nrequest = \"10s\"\n";
/// let layers = config::parse::<StackConfig>(text, "stack.toml")?.load(Path::new("."))?;
/// let layer = layers.stack().build()?;
/// assert_eq!(
///     layer.describe(),
///     "security headers  8 fields, HSTS when secure; 78 removed\n\
///      deadline          10s at most, less by grpc-timeout, up to the head",
/// );
/// # }
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct StackConfig {
    /// `[client_ip]`, for all layers that ask.
    pub client_ip: ClientIpConfig,
    /// `[security_headers]`.
    #[cfg(feature = "security-headers")]
    pub security_headers: Option<SecurityHeadersConfig>,
    /// `[load_shed]`.
    #[cfg(feature = "load-shed")]
    pub load_shed: Option<LoadShedConfig>,
    /// `[timeouts]`, of which `request` is the deadline.
    #[cfg(feature = "deadline")]
    pub timeouts: Option<TimeoutsConfig>,
    /// `[[rate_limit]]`: those that count by who the caller is stand behind authentication, if there is any.
    #[cfg(feature = "rate-limit")]
    pub rate_limit: RateLimitConfig,
    /// `[auth]`.
    #[cfg(feature = "_auth")]
    pub auth: Option<AuthConfig>,
    /// `[authz]`.
    #[cfg(feature = "_auth")]
    pub authz: Option<AuthzConfig>,
    /// `[validate]`, requests and responses.
    #[cfg(feature = "validate")]
    pub validate: Option<ValidateConfig>,
    /// `[cache]`.
    #[cfg(feature = "cache")]
    pub cache: Option<CacheConfig>,
    /// Fields that the service writes into requests further in: see
    /// [`CacheBuilder::written_inside`](crate::cache::CacheBuilder::written_inside). No key of the file.
    #[cfg(feature = "cache")]
    #[serde(skip)]
    pub written_inside: Vec<String>,
}

impl StackConfig {
    /// Reads the files that the tables name, and makes the layers. Names are relative to `base`.
    ///
    /// # Errors
    ///
    /// What a layer's own table finds; and rules that ask for callers, where there is no `[auth]`.
    pub fn load(&self, base: &Path) -> Result<StackLayers, ConfigError> {
        let _ = base;
        let client_ip = self.client_ip.to_client_ip();
        Ok(StackLayers {
            config: self.clone(),
            #[cfg(feature = "security-headers")]
            security_headers: match &self.security_headers {
                Some(table) => table.to_layer(&client_ip)?,
                None => SecurityHeadersLayer::empty(),
            },
            #[cfg(feature = "load-shed")]
            load_shed: self.load_shed.as_ref().map_or_else(|| Ok(LoadShedLayer::empty()), LoadShedConfig::to_layer)?,
            #[cfg(feature = "deadline")]
            deadline: match &self.timeouts {
                Some(table) => table.to_deadline_layer()?,
                None => DeadlineLayer::empty(),
            },
            #[cfg(feature = "rate-limit")]
            limits: {
                #[cfg_attr(not(feature = "_auth"), allow(unused_variables, reason = "nobody is known"))]
                let [by_address, by_identity] = self.limits();
                super::configured::Limits {
                    by_address: by_address.to_layer(&client_ip)?,
                    #[cfg(feature = "_auth")]
                    by_identity: by_identity.to_layer(&client_ip)?,
                }
            },
            #[cfg(feature = "_auth")]
            auth: match (&self.auth, &self.authz) {
                (Some(table), Some(authz)) => table.to_layer_before(authz, base)?,
                (Some(table), None) => table.to_layer(base)?,
                (None, _) => AuthLayer::empty(),
            },
            #[cfg(feature = "_auth")]
            authz: self.authz_layer()?.with_client_ip(client_ip.clone()),
            #[cfg(feature = "validate")]
            validate: self.validate_layer(base)?,
            #[cfg(feature = "openapi")]
            validate_responses: match &self.validate {
                Some(table) => table.to_responses_layer(base)?,
                None => ValidateResponsesLayer::empty(),
            },
            #[cfg(feature = "cache")]
            cache: self.cache.as_ref().map(|table| self.cache(table)).transpose()?,
            client_ip,
        })
    }

    /// Limits for outside authentication and for inside. Where nobody is known, all stand in one place and agree with each
    /// other.
    #[cfg(feature = "rate-limit")]
    fn limits(&self) -> [RateLimitConfig; 2] {
        #[cfg(feature = "_auth")]
        if self.auth.is_some() {
            return self.rate_limit.split_by_identity().into();
        }
        [self.rate_limit.clone(), RateLimitConfig::default()]
    }

    #[cfg(feature = "_auth")]
    fn authz_layer(&self) -> Result<AuthzLayer, ConfigError> {
        let Some(table) = &self.authz else { return Ok(AuthzLayer::empty()) };
        let layer = table.to_layer()?;
        match &self.auth {
            Some(auth) => Ok(layer.challenge(auth.challenge())),
            None => match table.rule_for_callers() {
                None => Ok(layer),
                Some(rule) => {
                    const BREACH: &str = "asks who the caller is, and nothing finds out";
                    const MEND: &str = "add an `[auth]` table, or write `allow = \"public\"`";
                    Err(ConfigError::new("authz.rule", rule, BREACH, MEND))
                }
            },
        }
    }

    #[cfg(feature = "validate")]
    fn validate_layer(&self, base: &Path) -> Result<ValidateLayer, ConfigError> {
        #[cfg(feature = "_auth")]
        let has_auth = self.auth.is_some();
        #[cfg(not(feature = "_auth"))]
        let has_auth = false;
        match &self.validate {
            Some(table) if has_auth => table.to_layer_behind_auth(base),
            Some(table) => table.to_layer(base),
            None => Ok(ValidateLayer::empty()),
        }
    }

    #[cfg(feature = "cache")]
    fn cache(&self, table: &CacheConfig) -> Result<Cache, ConfigError> {
        table.to_builder().written_inside(self.written_inside.iter().map(String::as_str)).build().map_err(|error| {
            let setting = format!("cache.{}", error.setting());
            error.for_setting(setting)
        })
    }
}
