//! `[[rate_limit]]`.

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::duration;
use super::key_part::Part;
use super::parse::carry_from;
use crate::layers::rate_limit::{HeaderStyle, Mode, OnMissingKey, Policy, Quota, RateLimit, ThrottleLayer};
use crate::spine::config::ConfigError;
use crate::spine::event::{self, Origin};
use crate::spine::key::{self, ClientIp, KeyExtractor};
use crate::spine::path::PathPattern;

/// The `[[rate_limit]]` tables: a policy each.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `name` | what clients and metrics call it | `default` |
/// | `kind` | `token-bucket`, `fixed-window` or `concurrent` | `token-bucket` |
/// | `quota` | requests for each window; in flight for `concurrent` | |
/// | `window` | how long (`15m`); none for `concurrent` | |
/// | `burst` | what a rested client may send at once | `quota` |
/// | `key` | list of `client-ip`, `subject`, `tenant`, `api-key`, `route`, `method`, `grpc-method`, `header:<name>`, `cookie:<name>`, `global` | `["client-ip"]` |
/// | `on_missing_key` | `client-ip` in its stead, `refuse`, `shared` or `pass` | `client-ip` |
/// | `paths` | patterns; `*` is a segment, `**` any number | `["/**"]` |
/// | `count_status` | only responses with these statuses stay charged | all |
/// | `mode` | `enforce` or `shadow` | `enforce` |
/// | `max_keys` | how many keys are remembered | 1000000 |
/// | `max_wait` | waits up to this long instead of refusing | `0s` |
/// | `max_waiting` | requests that wait at a time, over all tables | 1024 |
/// | `headers` | `ietf`, `draft-6`, `x-ratelimit` or `none`; the same for all tables | `ietf` |
///
/// ```
/// use tower_rampart::config::{self, RateLimitConfig};
/// use tower_rampart::key::ClientIp;
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     #[serde(default)]
///     rate_limit: RateLimitConfig,
/// }
///
/// let text = "[[rate_limit]]\nname = \"login\"\nquota = 5\nwindow = \"1h\"\npaths = [\"/login\"]\ncount_status = [401]";
/// let config: Config = config::parse(text, "app.toml")?;
/// let layer = config.rate_limit.to_layer(&ClientIp::new())?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RateLimitConfig(pub(super) Vec<PolicyConfig>);

/// One table, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PolicyConfig {
    name: String,
    limit: Limit,
    key: Vec<Part>,
    on_missing_key: Missing,
    paths: Vec<PathPattern>,
    count_status: Vec<u16>,
    mode: ModeConfig,
    max_keys: Option<usize>,
    max_wait: Duration,
    max_waiting: Option<usize>,
    headers: Option<Headers>,
    /// Where it stands in the file.
    place: Range<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Limit {
    Rate(Quota),
    Concurrent(u32),
}

/// The table as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default)]
    name: Option<Spanned<String>>,
    #[serde(default)]
    kind: Kind,
    quota: Spanned<u32>,
    window: Option<Spanned<String>>,
    burst: Option<Spanned<u32>>,
    key: Option<Spanned<Vec<Spanned<String>>>>,
    #[serde(default)]
    on_missing_key: Missing,
    #[serde(default)]
    paths: Vec<Spanned<String>>,
    #[serde(default)]
    count_status: Vec<Spanned<u16>>,
    #[serde(default)]
    mode: ModeConfig,
    max_keys: Option<Spanned<usize>>,
    max_wait: Option<Spanned<String>>,
    max_waiting: Option<Spanned<usize>>,
    headers: Option<Headers>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    #[default]
    TokenBucket,
    FixedWindow,
    Concurrent,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Missing {
    #[default]
    ClientIp,
    Refuse,
    Shared,
    Pass,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModeConfig {
    #[default]
    Enforce,
    Shadow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Headers {
    Ietf,
    #[serde(rename = "draft-6")]
    Draft6,
    #[serde(rename = "x-ratelimit")]
    XRateLimit,
    None,
}

/// As many policies as a layer takes.
const MAX_TABLES: usize = 16;
/// Requests that wait at a time where a table does not say.
const DEFAULT_MAX_WAITING: usize = 1024;

/// An error, and where it stands in the file.
type Fault = (Range<usize>, ConfigError);

impl<'de> Deserialize<'de> for RateLimitConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tables = Vec::<Table>::deserialize(deserializer)?;
        let policies = tables.into_iter().map(PolicyConfig::check).collect::<Result<Vec<_>, _>>();
        let policies = policies.map_err(|(place, error)| carry_from(place, &error))?;
        // What the tables are together is found here too, where the line is known.
        if policies.is_empty() {
            return Ok(Self::default());
        }
        match Self(policies.clone()).to_limit(&ClientIp::new()).and_then(|limit| limit.on_trial().build_throttle()) {
            Ok(_) => Ok(Self(policies)),
            Err(error) => Err(carry_from(place_at_fault(&policies), &error)),
        }
    }
}

/// The table that cannot stand beside those before it.
fn place_at_fault(policies: &[PolicyConfig]) -> Range<usize> {
    let style = policies.first().map(PolicyConfig::style);
    let odd = policies.iter().enumerate().find(|(at, policy)| {
        let before = policies.iter().take(*at);
        before.clone().any(|before| before.name == policy.name) || Some(policy.style()) != style
    });
    odd.map(|(_, policy)| policy).or_else(|| policies.last()).map_or(0..0, |policy| policy.place.clone())
}

impl RateLimitConfig {
    /// The tables for outside an authentication layer, and those for inside, which count by who the caller is: by
    /// `subject`, `tenant` or `api-key`.
    #[must_use]
    pub fn split_by_identity(&self) -> (Self, Self) {
        let (inside, outside) =
            self.0.iter().cloned().partition(|policy| policy.key.iter().any(Part::asks_for_identity));
        (Self(outside), Self(inside))
    }

    /// The layer that the tables describe; none of them, and it counts nothing. `client_ip` finds the client.
    ///
    /// # Errors
    ///
    /// Two tables of one name, more than 16, or tables that want different `headers`: what [`parse`](super::parse)
    /// finds too.
    pub fn to_layer(&self, client_ip: &ClientIp) -> Result<ThrottleLayer, ConfigError> {
        if self.0.is_empty() { Ok(ThrottleLayer::empty()) } else { self.to_limit(client_ip)?.build_throttle() }
    }

    pub(super) fn to_limit(&self, client_ip: &ClientIp) -> Result<RateLimit, ConfigError> {
        let Self(policies) = self;
        if policies.len() > MAX_TABLES {
            const MEND: &str = "write at most 16 `[[rate_limit]]` tables";
            return Err(ConfigError::new("rate_limit", policies.len(), "is too many tables", MEND));
        }
        let mut limit = RateLimit::new();
        let style = policies.first().map_or(Headers::Ietf, PolicyConfig::style);
        if let Some(other) = policies.iter().find(|policy| policy.style() != style) {
            const BREACH: &str = "has other `headers` than the table before";
            const MEND: &str = "write the same in all of them: a response has one set of fields";
            return Err(ConfigError::new("rate_limit.headers", &other.name, BREACH, MEND));
        }
        limit = limit.headers(style.into());
        let waiting = policies.iter().filter(|policy| !policy.max_wait.is_zero());
        if let Some(max_waiting) = waiting.map(|policy| policy.max_waiting.unwrap_or(DEFAULT_MAX_WAITING)).max() {
            limit = limit.max_waiting(max_waiting);
        }
        Ok(policies.iter().fold(limit, |limit, policy| limit.add_policy(policy.policy(client_ip))))
    }
}

impl PolicyConfig {
    fn check(table: Table) -> Result<Self, Fault> {
        let places = Places::of(&table);
        let (limit, place) = (limit_of(&table)?, places.of_setting("name"));
        let max_wait = table.max_wait.map_or(Ok(Duration::ZERO), |wait| duration_at("max_wait", &wait))?;
        let max_waiting = match table.max_waiting {
            Some(waiting) if *waiting.get_ref() == 0 => {
                const MEND: &str = "write 1 or more, or leave `max_wait` out";
                return Err((waiting.span(), ConfigError::new("max_waiting", 0, "lets nobody wait", MEND)));
            }
            waiting => waiting.map(Spanned::into_inner),
        };
        let key = match table.key {
            Some(parts) => parts_of(&parts)?,
            None => vec![Part::ClientIp],
        };
        let paths = table.paths.iter().map(|path| path.get_ref().parse().map_err(|error| (path.span(), error)));
        let config = Self {
            name: table.name.map_or_else(|| String::from("default"), Spanned::into_inner),
            limit,
            key,
            on_missing_key: table.on_missing_key,
            paths: paths.collect::<Result<_, _>>()?,
            count_status: table.count_status.into_iter().map(Spanned::into_inner).collect(),
            mode: table.mode,
            max_keys: table.max_keys.map(Spanned::into_inner),
            max_wait,
            max_waiting,
            headers: table.headers,
            place,
        };
        // What a policy finds in itself is found here, where the line is known.
        let built = RateLimit::new().add_policy(config.policy(&ClientIp::new())).on_trial().build_throttle();
        built.map(|_| config).map_err(|error| (places.of_setting(error.setting()), error))
    }

    fn style(&self) -> Headers {
        self.headers.unwrap_or(Headers::Ietf)
    }

    fn policy(&self, client_ip: &ClientIp) -> Policy {
        let name = self.name.as_str();
        let mut policy = match self.limit {
            Limit::Rate(quota) => Policy::new(name, quota),
            Limit::Concurrent(limit) => Policy::concurrent(name, limit),
        };
        if let Some(max_keys) = self.max_keys {
            policy = policy.max_keys(max_keys);
        }
        policy
            .key(self.extractor(client_ip))
            .on_missing_key(match self.on_missing_key {
                // The part that is missing is replaced; what is missing after that can only be refused.
                Missing::ClientIp | Missing::Refuse => OnMissingKey::Refuse,
                Missing::Shared => OnMissingKey::Shared,
                Missing::Pass => OnMissingKey::Pass,
            })
            .paths(self.paths.iter().map(PathPattern::as_str))
            .count_status(self.count_status.iter().copied())
            .mode(match self.mode {
                ModeConfig::Enforce => Mode::Enforce,
                ModeConfig::Shadow => Mode::Shadow,
            })
            .max_wait(self.max_wait)
    }

    fn extractor(&self, client_ip: &ClientIp) -> impl KeyExtractor + use<> {
        let parts: Vec<_> = self.key.iter().map(|part| part.extractor(client_ip, &self.paths)).collect();
        let in_its_stead = (self.on_missing_key == Missing::ClientIp).then(|| client_ip.clone());
        let (name, said) = (self.name.clone(), AtomicBool::new(false));
        key::from_fn(move |request, key| {
            parts.iter().try_for_each(|part| match (part.extract(request, key), &in_its_stead) {
                (Err(missing), Some(client_ip)) => {
                    event::fault_once_with(&said, Origin::RateLimit, "key_missing", || {
                        let part = missing.part();
                        format!(
                            "policy `{name}`: a request has no {part}, and is counted by its address instead; see that \
                             requests have one, or write another `key` or `on_missing_key`"
                        )
                    });
                    // So that an address in the stead of a subject is no subject of that name.
                    key.part(b"\0client-ip");
                    client_ip.extract(request, key)
                }
                (extracted, _) => extracted,
            })
        })
    }
}

fn parts_of(parts: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<Part>, Fault> {
    if parts.get_ref().is_empty() {
        const MEND: &str = "leave it out for `client-ip`, or write `[\"global\"]` to count all together";
        return Err((parts.span(), ConfigError::new("key", "[]", "counts by nothing", MEND)));
    }
    parts.get_ref().iter().map(|part| part.get_ref().parse().map_err(|error| (part.span(), error))).collect()
}

fn limit_of(table: &Table) -> Result<Limit, Fault> {
    let quota = *table.quota.get_ref();
    let window = table.window.as_ref();
    if table.kind == Kind::Concurrent {
        let odd = [
            window.map(|window| ("window", window.get_ref().clone(), window.span())),
            table.burst.as_ref().map(|burst| ("burst", burst.get_ref().to_string(), burst.span())),
            table.count_status.first().map(|status| ("count_status", status.get_ref().to_string(), status.span())),
        ];
        if let Some((setting, value, place)) = odd.into_iter().flatten().next() {
            const BREACH: &str = "means nothing beside `kind = \"concurrent\"`";
            return Err((place, ConfigError::new(setting, value, BREACH, "leave it out")));
        }
        return Ok(Limit::Concurrent(quota));
    }
    let Some(window) = window else {
        const MEND: &str = "write `window = \"1m\"`, say";
        return Err((table.quota.span(), ConfigError::new("window", quota, "stands without a window", MEND)));
    };
    let mut builder = Quota::new(quota).per(duration_at("window", window)?);
    if let Some(burst) = &table.burst {
        builder = builder.burst(*burst.get_ref());
    }
    if table.kind == Kind::FixedWindow {
        builder = builder.fixed_window();
    }
    builder.build().map(Limit::Rate).map_err(|error| {
        let burst = table.burst.as_ref().map(Spanned::span);
        if error.setting() == "burst" && burst.is_none() {
            const BREACH: &str = "is more than 73 years, or leads to it";
            return (window.span(), ConfigError::new("window", window.get_ref(), BREACH, "write a shorter one"));
        }
        let place = match error.setting() {
            "window" => window.span(),
            "burst" => burst.unwrap_or_else(|| window.span()),
            _ => table.quota.span(),
        };
        (place, error)
    })
}

fn duration_at(setting: &'static str, text: &Spanned<String>) -> Result<Duration, Fault> {
    duration::parse(setting, text.get_ref()).map_err(|error| (text.span(), error))
}

/// Where the settings stand in the file.
struct Places(Vec<(&'static str, Range<usize>)>);

impl Places {
    fn of(table: &Table) -> Self {
        fn place<T>(name: &'static str, value: Option<&Spanned<T>>) -> Option<(&'static str, Range<usize>)> {
            Some((name, value?.span()))
        }
        let places = [
            place("quota", Some(&table.quota)),
            place("name", table.name.as_ref()),
            place("max_keys", table.max_keys.as_ref()),
            place("max_wait", table.max_wait.as_ref()),
            place("count_status", table.count_status.first()),
            place("paths", table.paths.first()),
        ];
        Self(places.into_iter().flatten().collect())
    }

    /// The place of a setting, as a policy names it; that of the quota, which is always there, for any other.
    fn of_setting(&self, setting: &str) -> Range<usize> {
        let named = self.0.iter().find(|(name, _)| setting == *name || setting.ends_with(&format!(", {name}")));
        named.or_else(|| self.0.first()).map_or(0..0, |(_, place)| place.clone())
    }
}

impl From<Headers> for HeaderStyle {
    fn from(headers: Headers) -> Self {
        match headers {
            Headers::Ietf => Self::Ietf,
            Headers::Draft6 => Self::Draft6,
            Headers::XRateLimit => Self::XRateLimit,
            Headers::None => Self::None,
        }
    }
}
