//! The tables of a whole stack.

use std::path::Path;

use serde::Deserialize;

#[cfg(feature = "cache")]
use super::CacheConfig;
#[cfg(all(feature = "cache", feature = "redis"))]
use super::CacheStoreConfig;
use super::ClientIpConfig;
#[cfg(feature = "load-shed")]
use super::LoadShedConfig;
#[cfg(feature = "rate-limit")]
use super::RateLimitConfig;
#[cfg(feature = "redis")]
use super::RateLimitStoreConfig;
#[cfg(feature = "security-headers")]
use super::SecurityHeadersConfig;
#[cfg(feature = "deadline")]
use super::TimeoutsConfig;
#[cfg(feature = "validate")]
use super::ValidateConfig;
#[cfg(feature = "rate-limit")]
use super::configured::Limits;
use super::configured::StackLayers;
use super::renderer::Renderer;
#[cfg(feature = "_auth")]
use super::{AuthConfig, AuthzConfig};
#[cfg(feature = "cache")]
use crate::layers::cache::Cache;
#[cfg(feature = "deadline")]
use crate::layers::deadline::DeadlineLayer;
#[cfg(feature = "load-shed")]
use crate::layers::load_shed::LoadShedLayer;
#[cfg(feature = "rate-limit")]
use crate::layers::rate_limit::ThrottleLayer;
#[cfg(feature = "security-headers")]
use crate::layers::security_headers::SecurityHeadersLayer;
#[cfg(feature = "validate")]
use crate::layers::validate::ValidateLayer;
#[cfg(feature = "openapi")]
use crate::layers::validate::ValidateResponsesLayer;
#[cfg(feature = "_auth")]
use crate::layers::{auth::AuthLayer, authz::AuthzLayer};
use crate::spine::config::ConfigError;
#[cfg(feature = "rate-limit")]
use crate::spine::key::ClientIp;
use crate::spine::rejection::RenderRejection;

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
    /// `[rate_limit_store]`.
    #[cfg(feature = "redis")]
    pub rate_limit_store: Option<RateLimitStoreConfig>,
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
    /// `[cache_store]`.
    #[cfg(all(feature = "cache", feature = "redis"))]
    pub cache_store: Option<CacheStoreConfig>,
    /// Fields that the service writes into requests further in: see
    /// [`CacheBuilder::written_inside`](crate::cache::CacheBuilder::written_inside). No key of the file.
    #[cfg(feature = "cache")]
    #[serde(skip)]
    pub written_inside: Vec<String>,
    #[serde(skip)]
    renderer: Renderer,
}

impl StackConfig {
    /// Replaces what turns the refusals of all layers into responses. No key of the file.
    #[must_use]
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.renderer = Renderer::new(renderer);
        self
    }

    /// Reads the files that the tables name, and makes the layers. Names are relative to `base`.
    ///
    /// # Errors
    ///
    /// What a layer's own table finds; and rules that ask for callers, where there is no `[auth]`.
    pub fn load(&self, base: &Path) -> Result<StackLayers, ConfigError> {
        let _ = (base, &self.renderer);
        let client_ip = self.client_ip.to_client_ip();
        Ok(StackLayers {
            config: self.clone(),
            #[cfg(feature = "security-headers")]
            security_headers: match &self.security_headers {
                Some(table) => table.to_layer(&client_ip)?,
                None => SecurityHeadersLayer::empty(),
            },
            #[cfg(feature = "load-shed")]
            load_shed: match &self.load_shed {
                Some(table) => table.to_builder().with_renderer(self.renderer.clone()).build()?,
                None => LoadShedLayer::empty(),
            },
            #[cfg(feature = "deadline")]
            deadline: match &self.timeouts {
                Some(table) => table.to_builder().with_renderer(self.renderer.clone()).build()?,
                None => DeadlineLayer::empty(),
            },
            #[cfg(feature = "rate-limit")]
            limits: self.limits(&client_ip)?,
            #[cfg(feature = "_auth")]
            auth: self.auth_layer(base)?,
            #[cfg(feature = "_auth")]
            authz: self.authz_layer()?.client_ip(client_ip.clone()).with_renderer(self.renderer.clone()),
            #[cfg(feature = "validate")]
            validate: self.validate_layer(base)?,
            #[cfg(feature = "openapi")]
            validate_responses: match &self.validate {
                Some(table) => table.responses_layer(base, &self.renderer)?,
                None => ValidateResponsesLayer::empty(),
            },
            #[cfg(feature = "cache")]
            cache: self.cache()?,
            client_ip,
        })
    }

    #[cfg(feature = "rate-limit")]
    fn limits(&self, client_ip: &ClientIp) -> Result<Limits, ConfigError> {
        #[cfg_attr(not(feature = "_auth"), allow(unused_variables, reason = "nobody is known"))]
        let [by_address, by_identity] = self.limit_tables();
        // One connection for both.
        #[cfg(feature = "redis")]
        let counts = self.rate_limit_store.as_ref().map(RateLimitStoreConfig::to_counts).transpose()?;
        let layer = |tables: &RateLimitConfig| {
            if tables.is_empty() {
                return Ok(ThrottleLayer::empty());
            }
            let limit = tables.to_builder(client_ip)?.with_renderer(self.renderer.clone());
            #[cfg(feature = "redis")]
            let limit = match &counts {
                Some(counts) => limit.shared_counts(counts.clone()),
                None => limit,
            };
            limit.build_throttle()
        };
        Ok(Limits {
            by_address: layer(&by_address)?,
            #[cfg(feature = "_auth")]
            by_identity: layer(&by_identity)?,
        })
    }

    /// Limits for outside authentication and for inside. Where nobody is known, all stand in one place and agree with each
    /// other.
    #[cfg(feature = "rate-limit")]
    fn limit_tables(&self) -> [RateLimitConfig; 2] {
        #[cfg(feature = "_auth")]
        if self.auth.is_some() {
            return self.rate_limit.split_by_identity().into();
        }
        [self.rate_limit.clone(), RateLimitConfig::default()]
    }

    #[cfg(feature = "_auth")]
    fn auth_layer(&self, base: &Path) -> Result<AuthLayer, ConfigError> {
        let Some(table) = &self.auth else { return Ok(AuthLayer::empty()) };
        let auth = match &self.authz {
            Some(authz) => table.to_builder_before(authz, base)?,
            None => table.to_builder(base)?,
        };
        AuthConfig::build(auth.with_renderer(self.renderer.clone()))
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
        let Some(table) = &self.validate else { return Ok(ValidateLayer::empty()) };
        let validate = if has_auth { table.to_builder_behind_auth(base)? } else { table.to_builder(base)? };
        ValidateConfig::build(validate.with_renderer(self.renderer.clone()))
    }

    #[cfg(feature = "cache")]
    fn cache(&self) -> Result<Option<Cache>, ConfigError> {
        let Some(table) = &self.cache else {
            #[cfg(feature = "redis")]
            if self.cache_store.is_some() {
                const MEND: &str = "write `[cache]` too, or leave it out";
                return Err(ConfigError::new("cache_store", "", "has nothing to share", MEND));
            }
            return Ok(None);
        };
        let builder = table.to_builder().written_inside(self.written_inside.iter().map(String::as_str));
        #[cfg(feature = "redis")]
        let builder = match &self.cache_store {
            Some(store) => store.add_to(builder)?,
            None => builder,
        };
        builder.with_renderer(self.renderer.clone()).build().map(Some).map_err(|error| error.within("cache"))
    }
}
