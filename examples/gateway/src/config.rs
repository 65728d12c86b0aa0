//! The configuration: one TOML file, and flags that count for more.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use http::Uri;
use http::uri::Authority;
use rustls::ServerConfig;
use serde::{Deserialize, Deserializer};
use tower_rampart::ConfigError;
use tower_rampart::config::{
    self, AuthConfig, AuthzConfig, BulkheadConfig, CacheConfig, CacheStoreConfig, CircuitBreakerConfig, ClientIpConfig,
    LoadShedConfig, RateLimitConfig, RateLimitStoreConfig, RetryConfig, SecurityHeadersConfig, StackConfig,
    StackLayers, TimeoutsConfig, UpstreamConfig, ValidateConfig,
};

use crate::connections::Patience;
use crate::proxy::{self, Layers};
use crate::tls::TlsConfig;

/// Puts tower-rampart's layers before an HTTP service.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Flags {
    /// The TOML file; without it, `[security_headers]` is on and everything else has its default.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The address to listen on, whatever the file says.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// The service to protect, whatever the file says.
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,
}

/// What the file says.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    #[serde(deserialize_with = "some_address")]
    pub admin_listen: Option<SocketAddr>,
    #[serde(deserialize_with = "upstream")]
    pub upstream: Authority,
    pub upstream_http2: bool,
    pub tls: Option<TlsConfig>,
    pub connections: ConnectionsConfig,
    pub client_ip: ClientIpConfig,
    pub security_headers: Option<SecurityHeadersConfig>,
    pub rate_limit: RateLimitConfig,
    pub rate_limit_store: Option<RateLimitStoreConfig>,
    pub auth: Option<AuthConfig>,
    pub authz: Option<AuthzConfig>,
    pub validate: Option<ValidateConfig>,
    pub cache: Option<CacheConfig>,
    pub cache_store: Option<CacheStoreConfig>,
    pub timeouts: Option<TimeoutsConfig>,
    pub retry: Option<RetryConfig>,
    pub bulkhead: Option<BulkheadConfig>,
    pub load_shed: Option<LoadShedConfig>,
    pub circuit_breaker: Option<CircuitBreakerConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            admin_listen: None,
            upstream: Authority::from_static("127.0.0.1:9000"),
            upstream_http2: false,
            tls: None,
            connections: ConnectionsConfig::default(),
            client_ip: ClientIpConfig::default(),
            security_headers: None,
            rate_limit: RateLimitConfig::default(),
            rate_limit_store: None,
            auth: None,
            authz: None,
            validate: None,
            cache: None,
            cache_store: None,
            timeouts: None,
            retry: None,
            bulkhead: None,
            load_shed: None,
            circuit_breaker: None,
        }
    }
}

/// `[connections]`: how long clients are waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConnectionsConfig {
    /// For the head of a request, and so for the next request on a connection.
    #[serde(deserialize_with = "head")]
    head: Duration,
    /// At a stop, how long connections are still taken while `/-/readyz` says that there shall be no more.
    #[serde(deserialize_with = "unready_for")]
    unready_for: Duration,
    /// At a stop, for requests in flight.
    #[serde(deserialize_with = "drain")]
    drain: Duration,
}

impl Default for ConnectionsConfig {
    fn default() -> Self {
        let Patience { head, drain } = Patience::default();
        Self { head, unready_for: Duration::ZERO, drain }
    }
}

impl ConnectionsConfig {
    pub const fn patience(&self) -> Patience {
        Patience { head: self.head, drain: self.drain }
    }

    pub const fn unready_for(&self) -> Duration {
        self.unready_for
    }
}

/// A configuration that is known to work: every file it names was read.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub tls: Option<Arc<ServerConfig>>,
    /// What stands before the proxy.
    pub stack: StackLayers,
    /// What stands before the upstream.
    pub layers: Layers,
}

/// The most bytes of a configuration file that are read.
const MAX_FILE_BYTES: u64 = 4 << 20;

impl Loaded {
    /// Reads the file, then the flags, then the files that the configuration names.
    pub fn read(flags: &Flags) -> Result<Self, ConfigError> {
        let Some(file) = &flags.config else {
            let headers = Some(SecurityHeadersConfig::default());
            return Self::of(Config { security_headers: headers, ..Config::default() }, flags, Path::new(""));
        };
        let (text, name) = (read_file(file)?, file.to_string_lossy());
        let base = file.parent().unwrap_or_else(|| Path::new(""));
        let loaded = config::parse(&text, &name).and_then(|config| Self::of(config, flags, base));
        // What is found when layers are made has a line, too.
        loaded.map_err(|error| config::locate(error, &text, &name))
    }

    fn of(mut config: Config, flags: &Flags, base: &Path) -> Result<Self, ConfigError> {
        if let Some(listen) = &flags.listen {
            config.listen = parse_address(listen).map_err(|error| error.for_setting("--listen"))?;
        }
        if let Some(upstream) = &flags.upstream {
            config.upstream = parse_upstream(upstream).map_err(|error| error.for_setting("--upstream"))?;
        }
        let tls = config.tls.as_ref().map(|tls| tls.load(base)).transpose()?;
        let stack = config.stack().load(base)?;
        let layers = config.before_upstream().load(config.upstream.as_str(), proxy::errors())?;
        Ok(Self { config, tls, stack, layers })
    }
}

impl Config {
    /// The tables of what stands before the proxy.
    fn stack(&self) -> StackConfig {
        let mut stack = StackConfig::default();
        stack.client_ip.clone_from(&self.client_ip);
        stack.security_headers.clone_from(&self.security_headers);
        stack.rate_limit.clone_from(&self.rate_limit);
        stack.rate_limit_store.clone_from(&self.rate_limit_store);
        stack.auth.clone_from(&self.auth);
        stack.authz.clone_from(&self.authz);
        stack.validate.clone_from(&self.validate);
        stack.cache.clone_from(&self.cache);
        stack.cache_store.clone_from(&self.cache_store);
        stack.timeouts.clone_from(&self.timeouts);
        stack.load_shed.clone_from(&self.load_shed);
        stack.written_inside = WRITTEN_BY_PROXY.map(String::from).into();
        stack
    }

    /// The tables of what stands before the upstream.
    fn before_upstream(&self) -> UpstreamConfig {
        let mut upstream = UpstreamConfig::default();
        upstream.timeouts.clone_from(&self.timeouts);
        upstream.retry.clone_from(&self.retry);
        upstream.circuit_breaker.clone_from(&self.circuit_breaker);
        upstream.bulkhead.clone_from(&self.bulkhead);
        upstream
    }
}

/// Fields that the proxy writes, or takes away from a refresh: what varies by them varies by something that the cache does
/// not see.
const WRITTEN_BY_PROXY: [&str; 8] =
    ["x-auth-", "x_auth_", "x-forwarded-for", "forwarded", "x-real-ip", "cf-connecting-ip", "x-request-id", "via"];

fn read_file(file: &Path) -> Result<String, ConfigError> {
    let refuse = |breach: String| {
        ConfigError::new("--config", file.display(), breach, "name a TOML file that this user can read")
    };
    let metadata = std::fs::metadata(file).map_err(|error| refuse(format!("cannot be read ({error})")))?;
    if metadata.len() > MAX_FILE_BYTES {
        return Err(refuse(String::from("is larger than 4 MiB")));
    }
    std::fs::read_to_string(file).map_err(|error| refuse(format!("cannot be read ({error})")))
}

fn parse_address(text: &str) -> Result<SocketAddr, ConfigError> {
    text.parse().map_err(|_| {
        ConfigError::new("listen", text, "is no socket address", "write one such as `127.0.0.1:8080` or `[::1]:8080`")
    })
}

fn parse_upstream(text: &str) -> Result<Authority, ConfigError> {
    let refuse = |breach| ConfigError::new("upstream", text, breach, "write one such as `http://127.0.0.1:9000`");
    let uri: Uri = text.parse().map_err(|_| refuse("is no URL"))?;
    let parts = uri.into_parts();
    match (parts.scheme, parts.authority) {
        (Some(scheme), _) if scheme == http::uri::Scheme::HTTPS => {
            Err(refuse("would be encrypted, which is left to a proxy beside the upstream"))
        }
        (Some(scheme), _) if scheme != http::uri::Scheme::HTTP => Err(refuse("is no http URL")),
        (Some(_), Some(authority)) if authority.as_str().contains('@') => Err(refuse("holds credentials")),
        (Some(_), Some(authority)) => match parts.path_and_query {
            Some(path) if path.as_str() != "/" => Err(refuse("has a path: paths are passed on as they come")),
            _ => Ok(authority),
        },
        _ => Err(refuse("is no http URL")),
    }
}

fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parse_address(&String::deserialize(deserializer)?).map_err(|error| config::carry(&error))
}

fn some_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    address(deserializer).map(Some)
}

fn upstream<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Authority, D::Error> {
    parse_upstream(&String::deserialize(deserializer)?).map_err(|error| config::carry(&error))
}

/// The longest that a client is waited for.
const MAX_PATIENCE: Duration = Duration::from_secs(3600);

fn time<'de, D: Deserializer<'de>>(
    setting: &'static str,
    least: Duration,
    deserializer: D,
) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let time = config::parse_duration(setting, &text).map_err(|error| config::carry(&error))?;
    if (least..=MAX_PATIENCE).contains(&time) {
        return Ok(time);
    }
    let mend = format!("write {}ms to 1h", least.as_millis());
    Err(config::carry(&ConfigError::new(setting, text, "is too short or too long", mend)))
}

fn head<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    time("head", Duration::from_millis(1), deserializer)
}

fn unready_for<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    time("unready_for", Duration::ZERO, deserializer)
}

fn drain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    time("drain", Duration::ZERO, deserializer)
}
