//! `[[rate_limit]]`.

use std::ops::Range;
use std::time::Duration;

use http::StatusCode;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::key_part::{self, Part};
use super::located::{self, Located};
use super::parse::carry_from;
use super::status;
use crate::layers::rate_limit::{HeaderStyle, Mode, OnMissingKey, Policy, Quota, RateLimit, ThrottleLayer};
use crate::spine::config::ConfigError;
use crate::spine::key::{ClientIp, KeyExtractor};
use crate::spine::path::PathPattern;

/// The `[[rate_limit]]` tables: a policy each.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `name` | what clients and metrics call it | `default` |
/// | `kind` | `token-bucket`, `fixed-window` or `concurrent` | `token-bucket` |
/// | `quota` | requests for each window; in flight for `concurrent` | 100 |
/// | `window` | how long (`15m`); none for `concurrent` | `15m` |
/// | `burst` | what a rested client may send at once | `quota` |
/// | `key` | list of `client-ip`, `subject`, `tenant`, `api-key`, `route`, `method`, `grpc-method`, `header:<name>`, `cookie:<name>`, `global` | `["client-ip"]` |
/// | `on_missing_key` | `client-ip` in its stead, `refuse`, `shared` or `pass` | `client-ip` |
/// | `paths` | patterns; `*` is a segment, `**` any number | `["/**"]` |
/// | `count_status` | only responses with these statuses stay charged | all |
/// | `mode` | `enforce` or `shadow` | `enforce` |
/// | `max_keys` | how many keys are remembered | 1000000 |
/// | `max_wait` | waits up to this long instead of refusing | `0s` |
/// | `max_waiting` | requests that wait at a time, over all tables | 1024 |
/// | `headers` | `ietf`, `draft-6`, `x-ratelimit` or `none`; a response has those of the policy that refused, else of the tightest | `ietf` |
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
    count_status: Vec<StatusCode>,
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
    #[serde(default = "default_quota")]
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

impl<'de> Deserialize<'de> for RateLimitConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tables = Vec::<Table>::deserialize(deserializer)?;
        let policies = tables.into_iter().map(PolicyConfig::check).collect::<Result<Vec<_>, _>>();
        let policies = policies.map_err(|(place, error)| carry_from(place, &error))?;
        // What the tables are together is found here too, where the line is known.
        if policies.is_empty() {
            return Ok(Self::default());
        }
        match Self(policies.clone()).to_builder(&ClientIp::new()).and_then(|limit| limit.on_trial().build_throttle()) {
            Ok(_) => Ok(Self(policies)),
            Err(error) => Err(carry_from(place_at_fault(&policies), &error)),
        }
    }
}

/// The table that cannot stand beside those before it.
fn place_at_fault(policies: &[PolicyConfig]) -> Range<usize> {
    let odd = policies
        .iter()
        .enumerate()
        .find(|(at, policy)| policies.iter().take(*at).any(|before| before.name == policy.name));
    odd.map(|(_, policy)| policy).or_else(|| policies.last()).map_or(0..0, |policy| policy.place.clone())
}

impl RateLimitConfig {
    /// Whether there is no table.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

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
    /// Two tables of one name, or more than 16: what [`parse`](super::parse) finds too.
    pub fn to_layer(&self, client_ip: &ClientIp) -> Result<ThrottleLayer, ConfigError> {
        if self.0.is_empty() { Ok(ThrottleLayer::empty()) } else { self.to_builder(client_ip)?.build_throttle() }
    }

    /// The builder of the layer, for what no tables say. It can be built where there is a table.
    ///
    /// # Errors
    ///
    /// Those of [`to_layer`](Self::to_layer).
    pub fn to_builder(&self, client_ip: &ClientIp) -> Result<RateLimit, ConfigError> {
        let Self(policies) = self;
        if policies.len() > MAX_TABLES {
            const MEND: &str = "write at most 16 `[[rate_limit]]` tables";
            return Err(ConfigError::new("rate_limit", policies.len(), "is too many tables", MEND));
        }
        let mut limit = RateLimit::new();
        let waiting = policies.iter().filter(|policy| !policy.max_wait.is_zero());
        if let Some(max_waiting) = waiting.map(|policy| policy.max_waiting.unwrap_or(DEFAULT_MAX_WAITING)).max() {
            limit = limit.max_waiting(max_waiting);
        }
        Ok(policies.iter().fold(limit, |limit, policy| limit.add_policy(policy.policy(client_ip))))
    }
}

impl PolicyConfig {
    fn check(table: Table) -> Result<Self, Located> {
        let places = Places::of(&table);
        let (limit, place) = (limit_of(&table)?, places.of_setting("name"));
        let max_wait = located::duration_or(Duration::ZERO, "max_wait", table.max_wait.as_ref())?;
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
            count_status: table.count_status.iter().map(status::read).collect::<Result<_, _>>()?,
            mode: table.mode,
            max_keys: located::value(table.max_keys.as_ref()),
            max_wait,
            max_waiting,
            headers: table.headers,
            place,
        };
        // What a policy finds in itself is found here, where the line is known.
        let built = RateLimit::new().add_policy(config.policy(&ClientIp::new())).on_trial().build_throttle();
        built.map(|_| config).map_err(|error| (places.of_setting(error.setting()), error))
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
            .count_statuses(self.count_status.iter().copied())
            .mode(match self.mode {
                ModeConfig::Enforce => Mode::Enforce,
                ModeConfig::Shadow => Mode::Shadow,
            })
            .max_wait(self.max_wait)
            .headers(self.headers.unwrap_or(Headers::Ietf).into())
    }

    fn extractor(&self, client_ip: &ClientIp) -> impl KeyExtractor + use<> {
        let parts = self.key.iter().map(|part| part.extractor(client_ip, &self.paths)).collect();
        let in_its_stead = (self.on_missing_key == Missing::ClientIp).then(|| client_ip.clone());
        key_part::all_of(parts, in_its_stead, self.name.clone())
    }
}

fn parts_of(parts: &Spanned<Vec<Spanned<String>>>) -> Result<Vec<Part>, Located> {
    if parts.get_ref().is_empty() {
        const MEND: &str = "leave it out for `client-ip`, or write `[\"global\"]` to count all together";
        return Err((parts.span(), ConfigError::new("key", "[]", "counts by nothing", MEND)));
    }
    parts.get_ref().iter().map(|part| part.get_ref().parse().map_err(|error| (part.span(), error))).collect()
}

/// A hundred in a quarter of an hour, where nothing is said.
const DEFAULT_WINDOW: Duration = Duration::from_secs(900);

fn default_quota() -> Spanned<u32> {
    Spanned::new(0..0, 100)
}

fn limit_of(table: &Table) -> Result<Limit, Located> {
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
    let window_place = window.map_or_else(|| table.quota.span(), Spanned::span);
    let per = window.map_or(Ok(DEFAULT_WINDOW), |window| located::duration("window", window))?;
    let mut builder = Quota::new(quota).per(per);
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
            let shown = window.map_or("15m", |window| window.get_ref());
            return (window_place.clone(), ConfigError::new("window", shown, BREACH, "write a shorter one"));
        }
        let place = match error.setting() {
            "window" => window_place.clone(),
            "burst" => burst.unwrap_or_else(|| window_place.clone()),
            _ => table.quota.span(),
        };
        (place, error)
    })
}

/// Where the settings stand in the file.
struct Places(Vec<(&'static str, Range<usize>)>);

impl Places {
    fn of(table: &Table) -> Self {
        fn place<T>(name: &'static str, value: Option<&Spanned<T>>) -> Option<(&'static str, Range<usize>)> {
            Some((name, located::place(value)?))
        }
        let places = [
            place("quota", Some(&table.quota)),
            place("name", table.name.as_ref()),
            place("max_keys", table.max_keys.as_ref()),
            place("max_wait", table.max_wait.as_ref()),
            place("paths", table.paths.first()),
        ];
        Self(places.into_iter().flatten().collect())
    }

    /// The place of a setting, as a policy names it; that of the quota, which is always there, for any other.
    fn of_setting(&self, setting: &str) -> Range<usize> {
        let setting = setting.rsplit('.').next().unwrap_or(setting);
        let named = self.0.iter().find(|(name, _)| *name == setting);
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
