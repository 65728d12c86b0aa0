//! `[auth]`.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use toml::Spanned;
use toml::value::Datetime;

use super::authz::AuthzConfig;
use super::duration;
use super::moment;
use super::parse::carry_from;
use crate::layers::auth::{
    Algorithm, ApiKey, ApiKeys, Auth, AuthLayer, HttpClient, Issuer, JwtVerifier, KeySet, Keys, Profile, RemoteKeys,
    Resource, VerifyingKey,
};
#[cfg(not(feature = "auth-https-client"))]
use crate::spine::address::without_login;
use crate::spine::challenge::Challenge;
use crate::spine::config::ConfigError;

/// The `[auth]` table, with `[[auth.issuer]]` and `[[auth.api_key]]`.
///
/// | key | meaning | default |
/// |---|---|---|
/// | `optional` | lets strangers through | `false` |
/// | `max_token_bytes` | the longest token that is looked at | 8192 |
/// | `resource_metadata` | where clients learn how to get a token (RFC 9728); answered here when it is a well-known URL | |
/// | `forward_credentials` | whether the upstream sees them; a program's own affair | `false` |
/// | `issuer.issuer` | the `iss` of its tokens, byte for byte | |
/// | `issuer.audience` | the names by which tokens mean this service | |
/// | `issuer.algorithms` | what its tokens may be signed with | `["RS256", "ES256", "EdDSA"]`; `["HS256"]` beside a secret |
/// | `issuer.profile` | `access-token` (RFC 9068) or `any-jwt` | `access-token` |
/// | `issuer.jwks_file` | its keys | |
/// | `issuer.jwks_url` | or where they are fetched from | |
/// | `issuer.discovery` | or whether it says itself where (OpenID Connect, RFC 8414) | `false` |
/// | `issuer.hmac_secret_env` | or the variable that holds its secret | |
/// | `issuer.jwks_cooldown` | the least between two fetches that tokens ask for | `30s` |
/// | `issuer.max_stale` | for how long keys serve that cannot be fetched anew; twice the cooldown at least | `24h` |
/// | `issuer.tenant_claim` | which claim names the caller's tenant, for limits by `tenant`; dots lead into objects | |
/// | `issuer.leeway` | by how much clocks may differ | `60s` |
/// | `api_key.id`, `.sha256` | a client, and the SHA-256 of its secret | |
/// | `api_key.roles`, `.scopes`, `.expires` | what it may, and until when | |
///
/// ```
/// use std::path::Path;
/// use tower_rampart::config::{self, AuthConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Config {
///     auth: AuthConfig,
/// }
///
/// let text = "[[auth.api_key]]\nid = \"batch\"\n\
///     sha256 = \"2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b\"\n";
/// let config: Config = config::parse(text, "app.toml")?;
/// let layer = config.auth.to_layer(Path::new("."))?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    max_token_bytes: Option<usize>,
    #[serde(default, deserialize_with = "metadata")]
    resource_metadata: Metadata,
    #[serde(default)]
    forward_credentials: bool,
    #[serde(default)]
    issuer: Vec<IssuerTable>,
    #[serde(default)]
    api_key: Vec<ApiKeyTable>,
    #[serde(skip)]
    client: Option<HttpClient>,
}

/// Where clients learn how to get a token, and the document there, if it is ours to answer.
#[derive(Debug, Clone, Default)]
struct Metadata {
    challenge: Challenge,
    resource: Option<Resource>,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerTable {
    issuer: String,
    audience: Vec<String>,
    #[serde(default, deserialize_with = "algorithms")]
    algorithms: Option<Vec<Algorithm>>,
    #[serde(default)]
    profile: ProfileConfig,
    jwks_file: Option<String>,
    jwks_url: Option<String>,
    #[serde(default)]
    discovery: bool,
    hmac_secret_env: Option<String>,
    tenant_claim: Option<String>,
    #[serde(default, deserialize_with = "duration_of")]
    leeway: Option<Duration>,
    #[serde(default, deserialize_with = "duration_of")]
    jwks_cooldown: Option<Duration>,
    #[serde(default, deserialize_with = "duration_of")]
    max_stale: Option<Duration>,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ProfileConfig {
    #[default]
    AccessToken,
    AnyJwt,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyTable {
    id: String,
    sha256: String,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default, deserialize_with = "moment::expires")]
    expires: Option<Datetime>,
}

impl AuthConfig {
    /// Fetches keys by this client. Without it, and with feature `auth-https-client`, by `HttpClient::https`.
    #[must_use]
    pub fn with_http_client(mut self, client: HttpClient) -> Self {
        self.client = Some(client);
        self
    }

    /// The layer that the table describes. File names are relative to `base`.
    ///
    /// # Errors
    ///
    /// A file or variable that cannot be read or holds no key, an issuer without keys, and what the layer finds weak.
    pub fn to_layer(&self, base: &Path) -> Result<AuthLayer, ConfigError> {
        Self::build(self.builder(base, None)?)
    }

    /// The same for a service with a policy: who may come in unknown is the policy's affair, and so is where tokens list
    /// roles.
    ///
    /// # Errors
    ///
    /// Those of [`to_layer`](Self::to_layer).
    pub fn to_layer_before(&self, authz: &AuthzConfig, base: &Path) -> Result<AuthLayer, ConfigError> {
        Self::build(self.builder(base, Some(authz))?)
    }

    /// The builder of the layer, for what no table says.
    ///
    /// # Errors
    ///
    /// Those of [`to_layer`](Self::to_layer).
    pub fn to_builder(&self, base: &Path) -> Result<Auth, ConfigError> {
        self.builder(base, None)
    }

    /// The builder of the layer for a service with a policy.
    ///
    /// # Errors
    ///
    /// Those of [`to_layer`](Self::to_layer).
    pub fn to_builder_before(&self, authz: &AuthzConfig, base: &Path) -> Result<Auth, ConfigError> {
        self.builder(base, Some(authz))
    }

    /// What strangers are told.
    #[must_use]
    pub fn challenge(&self) -> Challenge {
        self.resource_metadata.challenge.clone()
    }

    fn builder(&self, base: &Path, authz: Option<&AuthzConfig>) -> Result<Auth, ConfigError> {
        let mut auth = Auth::new().optional(self.optional || authz.is_some()).challenge(self.challenge());
        if let Some(resource) = &self.resource_metadata.resource {
            let servers = self.issuer.iter().map(|table| table.issuer.as_str());
            let scopes = authz.map(AuthzConfig::scopes).unwrap_or_default();
            auth = auth.resource(resource.clone().authorization_servers(servers).scopes(scopes));
        }
        if !self.issuer.is_empty() {
            let roles_claim = authz.map(AuthzConfig::roles_claim);
            let issuer = |table: &IssuerTable| {
                let issuer = table.to_issuer(base, self.client.as_ref())?;
                Ok(match roles_claim {
                    Some(claim) => issuer.roles_claim(claim),
                    None => issuer,
                })
            };
            let issuers = self.issuer.iter().map(issuer).collect::<Result<Vec<_>, ConfigError>>()?;
            let verifier = JwtVerifier::new(issuers)?;
            auth = auth.jwt(match self.max_token_bytes {
                Some(bytes) => verifier.max_token_bytes(bytes),
                None => verifier,
            });
        }
        if !self.api_key.is_empty() {
            let keys = self.api_key.iter().map(ApiKeyTable::to_key).collect::<Result<Vec<_>, _>>()?;
            auth = auth.api_keys(ApiKeys::new(keys)?);
        }
        Ok(auth)
    }

    pub(super) fn build(auth: Auth) -> Result<AuthLayer, ConfigError> {
        auth.build().map_err(|error| {
            const MEND: &str = "add an `[[auth.issuer]]` or an `[[auth.api_key]]` table";
            ConfigError::new("auth", error.value(), "knows no credential", MEND)
        })
    }

    /// Whether credentials that were checked are passed on.
    #[must_use]
    pub const fn forward_credentials(&self) -> bool {
        self.forward_credentials
    }

    /// The files that the table names, for whoever watches them.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.issuer.iter().filter_map(|table| table.jwks_file.as_deref()).map(Path::new)
    }
}

impl IssuerTable {
    fn to_issuer(&self, base: &Path, client: Option<&HttpClient>) -> Result<Issuer, ConfigError> {
        let issuer = Issuer::new(&*self.issuer)
            .algorithms(self.algorithms())
            .profile(match self.profile {
                ProfileConfig::AccessToken => Profile::AccessToken,
                ProfileConfig::AnyJwt => Profile::AnyJwt,
            })
            .keys(self.keys(base, client)?);
        let issuer = self.audience.iter().fold(issuer, |issuer, audience| issuer.add_audience(&**audience));
        let issuer = self.tenant_claim.iter().fold(issuer, |issuer, claim| issuer.tenant_claim(&**claim));
        Ok(match self.leeway {
            Some(leeway) => issuer.leeway(leeway),
            None => issuer,
        })
    }

    /// Those that are named, or what issuers use most.
    fn algorithms(&self) -> Vec<Algorithm> {
        match &self.algorithms {
            Some(named) => named.clone(),
            None if self.hmac_secret_env.is_some() => vec![Algorithm::Hs256],
            None => vec![Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa],
        }
    }

    fn keys(&self, base: &Path, client: Option<&HttpClient>) -> Result<Keys, ConfigError> {
        match (&self.jwks_file, &self.jwks_url, self.discovery, &self.hmac_secret_env) {
            (Some(file), None, false, None) => {
                self.check_public()?;
                keys_in_file(file, base).map(Keys::from)
            }
            (None, None, false, Some(name)) => self.secret(name).map(Keys::from),
            (None, Some(url), false, None) => {
                let keys = RemoteKeys::at(url, client_for(url, client)?);
                self.fetched(keys.map_err(|error| error.for_setting("auth.issuer.jwks_url"))?)
            }
            (None, None, true, None) => {
                let keys = RemoteKeys::discover(&self.issuer, client_for(&self.issuer, client)?);
                self.fetched(keys.map_err(|error| error.for_setting("auth.issuer.issuer"))?)
            }
            _ => {
                const MEND: &str = "write `jwks_file`, `jwks_url`, `discovery = true`, or `hmac_secret_env` for HS256";
                Err(ConfigError::new("auth.issuer", &self.issuer, "has no keys, or two kinds of them", MEND))
            }
        }
    }

    /// A key set holds public keys alone, so that with a secret's algorithm every token would be refused.
    fn check_public(&self) -> Result<(), ConfigError> {
        const MEND: &str = "name public-key algorithms, or give the secret with `hmac_secret_env`";
        let algorithms = self.algorithms();
        let hmac = algorithms.iter().find(|algorithm| matches!(algorithm.name(), "HS256" | "HS384" | "HS512"));
        hmac.map_or(Ok(()), |hmac| Err(ConfigError::new("auth.issuer.algorithms", hmac, "takes a secret", MEND)))
    }

    fn fetched(&self, keys: RemoteKeys) -> Result<Keys, ConfigError> {
        self.check_public()?;
        let keys = self.jwks_cooldown.into_iter().fold(keys, RemoteKeys::cooldown);
        Ok(self.max_stale.into_iter().fold(keys, RemoteKeys::max_stale).into())
    }

    fn secret(&self, name: &str) -> Result<KeySet, ConfigError> {
        let refuse = |breach: String, mend: String| ConfigError::new("auth.issuer.hmac_secret_env", name, breach, mend);
        let secret = std::env::var_os(name)
            .ok_or_else(|| refuse(String::from("is not set"), String::from("set the variable to the secret")))?;
        let key = |algorithm: &Algorithm| VerifyingKey::hmac(secret.as_encoded_bytes(), *algorithm);
        let keys = self.algorithms().iter().map(key).collect::<Result<Vec<_>, _>>();
        // The secret's length is told, the secret is not.
        keys.map(KeySet::new).map_err(|error| refuse(error.breach().to_owned(), error.mend().to_owned()))
    }
}

fn keys_in_file(file: &str, base: &Path) -> Result<KeySet, ConfigError> {
    let refuse = |breach: String, mend: String| ConfigError::new("auth.issuer.jwks_file", file, breach, mend);
    let document = std::fs::read(base.join(file)).map_err(|error| {
        refuse(format!("cannot be read ({error})"), String::from("name a file that this user can read"))
    })?;
    KeySet::from_jwks(&document).map_err(|error| refuse(error.breach().to_owned(), error.mend().to_owned()))
}

/// The client that was given, or one of our own that reaches this address.
#[cfg(feature = "auth-https-client")]
fn client_for(url: &str, given: Option<&HttpClient>) -> Result<HttpClient, ConfigError> {
    match given {
        Some(client) => Ok(client.clone()),
        // A machine without certificates may have an issuer of its own.
        None if url.starts_with("http://") => HttpClient::loopback(),
        None => HttpClient::https(),
    }
}

#[cfg(not(feature = "auth-https-client"))]
fn client_for(url: &str, given: Option<&HttpClient>) -> Result<HttpClient, ConfigError> {
    given.cloned().ok_or_else(|| {
        const MEND: &str = "give one with `AuthConfig::with_http_client`, or turn on the feature `auth-https-client`";
        ConfigError::new("auth.issuer", without_login(url), "cannot be fetched from without a client", MEND)
    })
}

impl ApiKeyTable {
    fn to_key(&self) -> Result<ApiKey, ConfigError> {
        let name = |error: ConfigError| {
            // Which of them it is: what was written may be the secret itself.
            let breach = if error.value().is_empty() {
                format!("of `{}` {}", self.id, error.breach())
            } else {
                error.breach().to_owned()
            };
            let setting = error.setting().to_owned();
            ConfigError::new(setting, error.value(), breach, error.mend().to_owned()).within("auth.api_key")
        };
        let key = ApiKey::new(&self.id, &self.sha256).map_err(name)?;
        let key = key.roles(self.roles.iter().map(String::as_str)).scopes(self.scopes.iter().map(String::as_str));
        let Some(expires) = &self.expires else { return Ok(key) };
        let at = moment::of(expires).ok_or_else(|| {
            const MEND: &str = "write one such as 2027-01-31T12:00:00Z, with its offset";
            ConfigError::new("auth.api_key.expires", expires, "is no moment", MEND)
        })?;
        Ok(key.expires(at))
    }
}

impl fmt::Debug for AuthConfig {
    /// Names alone: an address may hold a login, and what stands for a hash may be the secret itself, by mistake.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let issuers: Vec<_> = self.issuer.iter().map(|table| &table.issuer).collect();
        let api_keys: Vec<_> = self.api_key.iter().map(|table| &table.id).collect();
        f.debug_struct("AuthConfig")
            .field("optional", &self.optional)
            .field("issuers", &issuers)
            .field("api_keys", &api_keys)
            .finish_non_exhaustive()
    }
}

fn metadata<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Metadata, D::Error> {
    let url = Spanned::<String>::deserialize(deserializer)?;
    let challenge =
        Challenge::default().resource_metadata(url.get_ref()).map_err(|error| carry_from(url.span(), &error))?;
    // A URL of another form is somebody else's to answer.
    Ok(Metadata { challenge, resource: Resource::described_at(url.get_ref()).ok() })
}

fn algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Algorithm>>, D::Error> {
    let names = Vec::<Spanned<String>>::deserialize(deserializer)?;
    let parsed = names.iter().map(|name| name.get_ref().parse().map_err(|error| carry_from(name.span(), &error)));
    parsed.collect::<Result<_, _>>().map(Some)
}

fn duration_of<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = Spanned::<String>::deserialize(deserializer)?;
    duration::parse_duration("duration", text.get_ref()).map(Some).map_err(|error| carry_from(text.span(), &error))
}
