//! Flags, and the layers' configuration: what is built in, and over it what `--config` says, table by table.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use serde::Deserialize;
use tower_rampart::ConfigError;
use tower_rampart::config::{
    self, AuthzConfig, BulkheadConfig, CacheConfig, CacheStoreConfig, CircuitBreakerConfig, ClientIpConfig,
    LoadShedConfig, RateLimitConfig, RateLimitStoreConfig, RetryConfig, SecurityHeadersConfig, TimeoutsConfig,
    UpstreamConfig, ValidateConfig,
};

use crate::marks;

/// A polling service with tower-rampart's layers around it.
#[derive(Clone, Parser)]
#[command(version)]
pub struct Flags {
    /// The address to listen on.
    #[arg(long, env = "POLL_LISTEN", value_name = "ADDR", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    /// The database: `sqlite:FILE` or `postgres://...`.
    #[arg(
        long,
        env = "POLL_DATABASE_URL",
        value_name = "URL",
        default_value = "sqlite:polls.db",
        hide_env_values = true
    )]
    pub database_url: String,
    /// A replica of it to read from.
    #[arg(long, env = "POLL_DATABASE_READ_URL", value_name = "URL", hide_env_values = true)]
    pub database_read_url: Option<String>,
    /// A Redis or Valkey server, or a cluster as `redis+cluster://host:port,host:port`, through which several processes
    /// count, store and revoke as one.
    #[arg(long, env = "POLL_REDIS_URL", value_name = "URL", hide_env_values = true)]
    pub redis_url: Option<String>,
    /// The layers' configuration, TOML: its tables stand for those that are built in.
    #[arg(long, env = "POLL_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Prints the configuration that is in effect, and stops.
    #[arg(long)]
    pub print_config: bool,
    /// The password of the first admin; made up and printed once where none is given.
    #[arg(long, env = "POLL_ADMIN_PASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    pub admin_password: Option<String>,
    /// An external polling service that new polls are forwarded to.
    #[arg(long, env = "POLL_UPSTREAM_URL", value_name = "URL")]
    pub upstream_url: Option<String>,
    /// What it knows this service by.
    #[arg(long, env = "POLL_UPSTREAM_KEY", value_name = "KEY", hide_env_values = true)]
    pub upstream_key: Option<String>,
    /// An OpenTelemetry collector that a span of each request is sent to, OTLP over gRPC.
    #[arg(long, env = "POLL_OTLP_ENDPOINT", value_name = "URL")]
    pub otlp_endpoint: Option<String>,
    /// A certificate chain, PEM: encrypts, with `--tls-key`.
    #[arg(long, env = "POLL_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, env = "POLL_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Only these layers, for measuring what each costs: whatever protects the service is gone with the others.
    #[arg(long, value_name = "LAYERS", value_delimiter = ',')]
    pub dangerous_only_layers: Option<Vec<LayerName>>,
    /// How log lines are written.
    #[arg(long, env = "POLL_LOG_FORMAT", value_name = "FORMAT", default_value = "text")]
    pub log_format: LogFormat,
}

impl fmt::Debug for Flags {
    /// Without what may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flags").field("listen", &self.listen).field("config", &self.config).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// A layer, by its table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LayerName {
    SecurityHeaders,
    RateLimit,
    Auth,
    Authz,
    Validate,
    Cache,
    LoadShed,
    Timeouts,
    /// No layer at all.
    None,
}

/// What a file may say.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tables {
    client_ip: Option<ClientIpConfig>,
    security_headers: Option<SecurityHeadersConfig>,
    rate_limit: Option<RateLimitConfig>,
    authz: Option<AuthzConfig>,
    validate: Option<ValidateConfig>,
    cache: Option<CacheConfig>,
    load_shed: Option<LoadShedConfig>,
    timeouts: Option<TimeoutsConfig>,
    retry: Option<RetryConfig>,
    circuit_breaker: Option<CircuitBreakerConfig>,
    bulkhead: Option<BulkheadConfig>,
    rate_limit_store: Option<RateLimitStoreConfig>,
    cache_store: Option<CacheStoreConfig>,
}

/// What is in effect: a table that is nowhere leaves its layer out.
#[derive(Debug, Clone)]
pub struct Config {
    pub client_ip: ClientIpConfig,
    pub security_headers: Option<SecurityHeadersConfig>,
    pub rate_limit: RateLimitConfig,
    /// The limit on failed logins, which stands where the user's name has been read.
    pub login_failures: RateLimitConfig,
    /// Whether tokens are looked at.
    pub has_auth: bool,
    pub authz: Option<AuthzConfig>,
    pub validate: Option<ValidateConfig>,
    pub cache: Option<CacheConfig>,
    pub rate_limit_store: Option<RateLimitStoreConfig>,
    pub cache_store: Option<CacheStoreConfig>,
    pub load_shed: Option<LoadShedConfig>,
    /// How long requests may take.
    pub timeouts: Option<TimeoutsConfig>,
    pub upstream: UpstreamConfig,
    /// The directory that file names are relative to.
    pub base: PathBuf,
    /// As TOML.
    pub text: String,
}

const BUILT_IN: &str = include_str!("builtin.toml");
const BUILT_IN_NAME: &str = "built-in configuration";
/// What the keys at a Redis server begin with.
const NAMESPACE: &str = "poll-api";
/// The policy on failed logins.
const LOGIN_FAILURES: &str = "login-failures";

impl Config {
    /// Reads the file that the flags name, if they do, over what is built in.
    pub fn read(flags: &Flags) -> Result<Self, ConfigError> {
        let config = Self::read_file(flags)?;
        Ok(match &flags.dangerous_only_layers {
            Some(layers) => config.only(layers),
            None => config,
        })
    }

    fn read_file(flags: &Flags) -> Result<Self, ConfigError> {
        let redis_url = flags.redis_url.as_deref();
        let Some(file) = &flags.config else { return Self::over("", BUILT_IN_NAME, PathBuf::new(), redis_url) };
        let text = std::fs::read_to_string(file).map_err(|error| {
            const MEND: &str = "name a TOML file that this user can read";
            ConfigError::new("--config", file.display(), format!("cannot be read ({error})"), MEND)
        })?;
        let base = file.parent().map(Path::to_owned).unwrap_or_default();
        Self::over(&text, &file.to_string_lossy(), base, redis_url)
    }

    fn over(text: &str, name: &str, base: PathBuf, redis_url: Option<&str>) -> Result<Self, ConfigError> {
        // By itself first, so that an error tells its line.
        config::parse::<Tables>(text, name)?;
        let mut effective: toml::Table = config::parse(BUILT_IN, BUILT_IN_NAME)?;
        effective.extend(config::parse::<toml::Table>(text, name)?);
        let text = shown(&effective)?;
        // Not in what is shown: it may hold a password.
        if let Some(url) = redis_url {
            let store = toml::Table::from_iter([
                ("url".to_owned(), toml::Value::from(url)),
                ("namespace".to_owned(), toml::Value::from(NAMESPACE)),
            ]);
            effective.entry("rate_limit_store").or_insert_with(|| store.clone().into());
            if effective.contains_key("cache") {
                effective.entry("cache_store").or_insert_with(|| store.into());
            }
        }
        let login_failures = take_policy(&mut effective, LOGIN_FAILURES);
        refuse_what_does_nothing(&effective)?;
        let tables: Tables = config::parse(&shown(&effective)?, name)?;
        let login_failures: Tables = config::parse(&shown(&login_failures)?, name)?;
        let mut upstream = UpstreamConfig::default();
        upstream.timeouts.clone_from(&tables.timeouts);
        upstream.retry = tables.retry;
        upstream.circuit_breaker = tables.circuit_breaker;
        upstream.bulkhead = tables.bulkhead;
        let config = Self {
            client_ip: tables.client_ip.unwrap_or_default(),
            security_headers: tables.security_headers,
            rate_limit: tables.rate_limit.unwrap_or_default(),
            login_failures: login_failures.rate_limit.unwrap_or_default(),
            has_auth: true,
            authz: tables.authz,
            validate: tables.validate,
            cache: tables.cache,
            rate_limit_store: tables.rate_limit_store,
            cache_store: tables.cache_store,
            load_shed: tables.load_shed,
            upstream,
            timeouts: tables.timeouts,
            base,
            text,
        };
        Ok(config)
    }

    /// Without the other layers.
    fn only(self, layers: &[LayerName]) -> Self {
        let has = |layer| layers.contains(&layer);
        let limits = |limits| if has(LayerName::RateLimit) { limits } else { RateLimitConfig::default() };
        Self {
            security_headers: self.security_headers.filter(|_| has(LayerName::SecurityHeaders)),
            rate_limit: limits(self.rate_limit),
            login_failures: limits(self.login_failures),
            // The others ask who the caller is.
            has_auth: has(LayerName::Auth) || has(LayerName::Authz) || has(LayerName::RateLimit),
            authz: self.authz.filter(|_| has(LayerName::Authz)),
            validate: self.validate.filter(|_| has(LayerName::Validate)),
            cache: self.cache.filter(|_| has(LayerName::Cache)),
            cache_store: self.cache_store.filter(|_| has(LayerName::Cache)),
            load_shed: self.load_shed.filter(|_| has(LayerName::LoadShed)),
            timeouts: self.timeouts.filter(|_| has(LayerName::Timeouts)),
            ..self
        }
    }
}

/// What a table may say elsewhere, and what would do nothing here.
fn refuse_what_does_nothing(tables: &toml::Table) -> Result<(), ConfigError> {
    const DESCRIBED: [&str; 5] = ["openapi", "base_path", "unknown_query", "ignore_security", "responses"];
    let validate = tables.get("validate").and_then(toml::Value::as_table);
    if let Some(key) = DESCRIBED.into_iter().find(|key| validate.is_some_and(|table| table.contains_key(*key))) {
        const MEND: &str = "leave it out: the service checks by the description that it publishes";
        return Err(ConfigError::new(format!("validate.{key}"), "", "does nothing here", MEND));
    }
    let policies = tables.get("rate_limit").and_then(toml::Value::as_array).into_iter().flatten();
    for policy in policies.filter_map(toml::Value::as_table) {
        let keys = policy.get("key").and_then(toml::Value::as_array).into_iter().flatten();
        let by_login = format!("header:{}", marks::LOGIN);
        if keys.filter_map(toml::Value::as_str).any(|key| key.eq_ignore_ascii_case(&by_login)) {
            const MEND: &str = "name the policy `login-failures`, which stands where the user's name has been read";
            return Err(ConfigError::new("rate_limit.key", by_login, "is not known yet", MEND));
        }
    }
    Ok(())
}

/// Takes one policy out of `rate_limit`; a table with it alone.
fn take_policy(tables: &mut toml::Table, name: &str) -> toml::Table {
    let mut taken = toml::Table::new();
    if let Some(toml::Value::Array(policies)) = tables.get_mut("rate_limit") {
        let is_named = |policy: &toml::Value| policy.get("name").and_then(toml::Value::as_str) == Some(name);
        let (named, others): (Vec<_>, Vec<_>) = policies.drain(..).partition(is_named);
        *policies = others;
        if !named.is_empty() {
            taken.insert("rate_limit".to_owned(), toml::Value::Array(named));
        }
    }
    if tables.get("rate_limit").and_then(toml::Value::as_array).is_some_and(Vec::is_empty) {
        tables.remove("rate_limit");
    }
    taken
}

fn shown(tables: &toml::Table) -> Result<String, ConfigError> {
    toml::to_string(tables)
        .map_err(|error| ConfigError::new("--config", "", format!("cannot be written ({error})"), "look at its values"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_in_is_valid_and_is_printed() {
        let config = Config::over("", BUILT_IN_NAME, PathBuf::new(), None).unwrap();
        assert!(config.authz.is_some() && config.cache.is_some() && config.validate.is_some());
        assert_ne!(config.login_failures, RateLimitConfig::default());
        assert_ne!(config.rate_limit, RateLimitConfig::default());
        // What was printed can be given back.
        let again = Config::over(&config.text, "printed.toml", PathBuf::new(), None).unwrap();
        assert_eq!(again.text, config.text);
        assert_eq!(again.rate_limit.split_by_identity().1, config.rate_limit.split_by_identity().1);
    }

    #[test]
    fn a_table_stands_for_the_whole_table() {
        let config =
            Config::over("[[rate_limit]]\nquota = 5\nwindow = \"1m\"\n", "app.toml", PathBuf::new(), None).unwrap();
        assert_eq!(config.login_failures, RateLimitConfig::default());
        assert!(config.authz.is_some());
        assert!(config.text.contains("quota = 5") && !config.text.contains("login-failures"));
    }

    #[test]
    fn layers_can_be_left_out() {
        let all = || Config::over("", BUILT_IN_NAME, PathBuf::new(), None).unwrap();
        let cache = all().only(&[LayerName::Cache]);
        assert!(cache.cache.is_some() && cache.authz.is_none() && !cache.has_auth);
        assert!(all().only(&[LayerName::None]).cache.is_none());
        assert_ne!(all().only(&[LayerName::RateLimit]).login_failures, RateLimitConfig::default());
    }

    #[test]
    fn errors_name_their_line() {
        let error = |text| Config::over(text, "app.toml", PathBuf::new(), None).map(|_| ()).unwrap_err().to_string();
        assert!(error("\n[cache]\nbites = 1\n").starts_with("app.toml:3: "), "{}", error("\n[cache]\nbites = 1\n"));
        assert!(error("[auth]\n").starts_with("app.toml:1: "));
        assert!(
            error("[[rate_limit]]\nname = \"login-failures\"\nquota = 0\nwindow = \"1m\"").starts_with("app.toml:3: ")
        );
    }

    #[test]
    fn what_would_do_nothing_is_refused() {
        let error = |text| Config::over(text, "app.toml", PathBuf::new(), None).map(|_| ()).unwrap_err().to_string();
        assert!(error("[validate]\nresponses = \"enforce\"\n").contains("validate.responses"));
        let elsewhere =
            "[[rate_limit]]\nname = \"logins\"\nquota = 5\nwindow = \"1m\"\nkey = [\"header:x-poll-login\"]\n";
        assert!(error(elsewhere).contains("login-failures"));
        let there = elsewhere.replace("\"logins\"", "\"login-failures\"");
        assert!(Config::over(&there, "app.toml", PathBuf::new(), None).is_ok());
    }
}
