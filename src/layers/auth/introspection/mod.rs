//! Opaque tokens: the server that issued them says what they mean (RFC 7662).

mod answer;
mod client;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use self::answer::Rules;
use super::http::HttpClient;
use super::known::Known;
use crate::spine::address::{is_trustworthy, without_login};
use crate::spine::config::ConfigError;
use crate::spine::event::Sampler;
use crate::spine::identity::Identity;
use crate::spine::slots::Slots;

/// Asks an authorization server what opaque tokens mean.
///
/// Where a [`JwtVerifier`](super::JwtVerifier) stands beside it, tokens with a dot in them are JWTs and are never sent
/// anywhere. Answers are remembered for a short time: a token that was revoked opens the door no longer than that. While
/// the server cannot be asked, clients are told to come again (503), not that their token is no good.
///
/// ```no_run
/// use tower_rampart::auth::{Auth, HttpClient, Introspection};
///
/// # #[cfg(feature = "auth-https-client")] {
/// let server = Introspection::with_secret("https://idp.example/introspect", "api", "secret", HttpClient::https()?)?
///     .issuer("https://idp.example/")
///     .audience("api");
/// let layer = Auth::new().introspection(server).build()?;
/// # }
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "tokens are asked about when a layer knows whom to ask"]
pub struct Introspection {
    endpoint: Uri,
    credential: HeaderValue,
    client: HttpClient,
    rules: Rules,
    remember_for: Duration,
    timeout: Duration,
    known: Arc<Known<Known7662>>,
    slots: Slots,
    sampler: Arc<Sampler>,
}

/// What was said of a token, and when.
#[derive(Clone)]
struct Known7662 {
    said: f64,
    /// Nobody, when the token is no good.
    caller: Option<(Identity, Option<f64>)>,
}

const DEFAULT_REMEMBER_FOR: Duration = Duration::from_secs(60);
/// A token that was no good may be good soon: it was asked about before its issuer's replicas knew it.
const REMEMBER_REFUSED: Duration = Duration::from_secs(5);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_KNOWN: usize = 10_000;
/// Questions under way at once; strangers with made-up tokens must not be a flood for the server that is asked.
const MAX_RUNNING: usize = 256;

/// What is known of a token without asking.
pub(super) enum Recalled {
    Caller(Identity),
    NoGood,
    Unknown,
}

impl Introspection {
    /// Asks here, as a client with a secret (RFC 6749 section 2.3.1).
    ///
    /// # Errors
    ///
    /// What is no https URL, and no http URL of this machine.
    pub fn with_secret(url: &str, id: &str, secret: &str, client: HttpClient) -> Result<Self, ConfigError> {
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
        let login = STANDARD.encode(format!("{}:{}", encode(id), encode(secret)));
        Self::new(url, &format!("Basic {login}"), client)
    }

    /// Asks here, with a token of our own.
    ///
    /// # Errors
    ///
    /// What is no https URL and no http URL of this machine, and what is no token.
    pub fn with_bearer(url: &str, token: &str, client: HttpClient) -> Result<Self, ConfigError> {
        Self::new(url, &format!("Bearer {token}"), client)
    }

    fn new(url: &str, credential: &str, client: HttpClient) -> Result<Self, ConfigError> {
        const MEND: &str = "write an https URL; http is for `localhost` and loopback addresses";
        let endpoint = url.parse::<Uri>().ok().filter(is_trustworthy);
        let endpoint = endpoint.ok_or_else(|| {
            ConfigError::new("introspection", without_login(url), "is no address that is trusted", MEND)
        })?;
        let mut credential = HeaderValue::from_str(credential).map_err(|_| {
            ConfigError::new("introspection, token", "", "is no token", "write printable ASCII without spaces")
        })?;
        credential.set_sensitive(true);
        let issuer = format!(
            "{}://{}",
            endpoint.scheme_str().unwrap_or_default(),
            endpoint.authority().map(http::uri::Authority::as_str).unwrap_or_default()
        );
        Ok(Self {
            endpoint,
            credential,
            client,
            rules: Rules::new(issuer.into()),
            remember_for: DEFAULT_REMEMBER_FOR,
            timeout: DEFAULT_TIMEOUT,
            known: Arc::new(Known::with_room_for(MAX_KNOWN)),
            slots: Slots::for_at_most(MAX_RUNNING),
            sampler: Arc::default(),
        })
    }

    /// The issuer of those who are known so; where an answer names one, it must be this. The endpoint's origin unless it
    /// is said.
    pub fn issuer(mut self, issuer: impl Into<Box<str>>) -> Self {
        self.rules.issuer = issuer.into();
        self
    }

    /// The name by which tokens mean this service. Where there is none, the server that is asked decides whom it tells what.
    pub fn audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.rules.audiences = vec![audience.into()];
        self
    }

    /// A further name of this service. A token must mean one of them.
    pub fn add_audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// Which member lists the caller's roles; `roles` unless it is said. Dots lead into objects.
    pub fn roles_claim(mut self, claim: impl Into<Box<str>>) -> Self {
        self.rules.roles_claim = claim.into();
        self
    }

    /// For how long an answer counts, at most until the token expires; a minute unless it is said, never at zero.
    pub const fn remember_for(mut self, time: Duration) -> Self {
        self.remember_for = time;
        self
    }

    /// How long an answer is waited for; five seconds unless it is said.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What was said of a token a moment ago. `now` is in seconds.
    pub(super) fn recall(&self, token: &[u8], now: f64) -> Recalled {
        let Some(known) = self.known.get(self.known.key(token)) else { return Recalled::Unknown };
        let counts_for =
            if known.caller.is_some() { self.remember_for } else { REMEMBER_REFUSED.min(self.remember_for) };
        if !(0.0..counts_for.as_secs_f64()).contains(&(now - known.said)) {
            return Recalled::Unknown;
        }
        match known.caller {
            Some((caller, expires)) if expires.is_none_or(|expires| now < expires) => Recalled::Caller(caller),
            _ => Recalled::NoGood,
        }
    }
}

impl fmt::Debug for Introspection {
    /// Without the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Introspection").field("rules", &self.rules).finish_non_exhaustive()
    }
}
