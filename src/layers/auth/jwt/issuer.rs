//! An issuer: whose tokens are taken, by which keys and rules.

use std::time::Duration;

use super::algorithm::{Algorithm, Algorithms, Family};
use super::claims::{ClaimRules, Profile};
use super::keys::Keys;
use crate::spine::config::ConfigError;

/// Whose tokens are taken.
///
/// ```
/// use tower_rampart::auth::{Algorithm, Issuer, KeySet};
/// # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
///
/// let issuer = Issuer::new("https://idp.example/")
///     .audience("api")
///     .algorithms([Algorithm::EdDsa])
///     .keys(KeySet::from_jwks(jwks)?);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "an issuer is trusted when it is given to a verifier"]
pub struct Issuer {
    rules: ClaimRules,
    any_audience: bool,
    algorithms: Vec<Algorithm>,
    /// What was given, or what says that there are none yet.
    keys: Option<Keys>,
    no_keys: Keys,
    pub(super) roles_claim: Box<str>,
    pub(super) tenant_claim: Option<Box<str>>,
}

const DEFAULT_LEEWAY: Duration = Duration::from_secs(60);
/// A longer one would be a second lifetime.
pub(super) const MAX_LEEWAY: Duration = Duration::from_secs(300);

impl Issuer {
    /// An issuer by its exact name: the `iss` of its tokens, byte for byte.
    pub fn new(name: impl Into<Box<str>>) -> Self {
        Self {
            rules: ClaimRules {
                issuer: name.into(),
                audiences: Vec::new(),
                profile: Profile::default(),
                leeway: DEFAULT_LEEWAY,
                max_age: None,
                max_lifetime: None,
            },
            any_audience: false,
            algorithms: Vec::new(),
            keys: None,
            no_keys: Keys::none(),
            roles_claim: "roles".into(),
            tenant_claim: None,
        }
    }

    /// The name by which tokens mean this service (`aud`).
    pub fn audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.rules.audiences = vec![audience.into()];
        self
    }

    /// A further name of this service. A token must mean one of them.
    pub fn add_audience(mut self, audience: impl Into<Box<str>>) -> Self {
        self.rules.audiences.push(audience.into());
        self
    }

    /// Takes tokens that were made for any service of this issuer. One that was handed to another service opens this one
    /// too.
    pub const fn dangerous_any_audience(mut self) -> Self {
        self.any_audience = true;
        self
    }

    /// Which algorithms tokens may be signed with.
    pub fn algorithms(mut self, algorithms: impl IntoIterator<Item = Algorithm>) -> Self {
        self.algorithms = algorithms.into_iter().collect();
        self
    }

    /// What kind of token they are; [`Profile::AccessToken`] unless it is said.
    pub fn profile(mut self, profile: Profile) -> Self {
        self.rules.profile = profile;
        self
    }

    /// The keys: a [`KeySet`](super::KeySet), [`RemoteKeys`](super::RemoteKeys), or [`Keys::none`] where somebody will give
    /// them later.
    pub fn keys(mut self, keys: impl Into<Keys>) -> Self {
        self.keys = Some(keys.into());
        self
    }

    /// By how much clocks may differ; a minute unless it is said.
    pub const fn leeway(mut self, leeway: Duration) -> Self {
        self.rules.leeway = leeway;
        self
    }

    /// Refuses tokens that were issued longer ago.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.rules.max_age = Some(age);
        self
    }

    /// Refuses tokens that are valid for longer, from `iat` to `exp`.
    pub const fn max_lifetime(mut self, lifetime: Duration) -> Self {
        self.rules.max_lifetime = Some(lifetime);
        self
    }

    /// Which claim lists the caller's roles; `roles` unless it is said. Dots lead into objects: `realm_access.roles`.
    pub fn roles_claim(mut self, claim: impl Into<Box<str>>) -> Self {
        self.roles_claim = claim.into();
        self
    }

    /// Which claim names the caller's tenant. Dots lead into objects.
    pub fn tenant_claim(mut self, claim: impl Into<Box<str>>) -> Self {
        self.tenant_claim = Some(claim.into());
        self
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let name = &self.rules.issuer;
        let blame = |setting: &str, value: String, breach: &'static str, mend: &'static str| {
            Err(ConfigError::new(format!("issuer `{name}`, {setting}"), value, breach, mend))
        };
        if name.is_empty() {
            return blame("name", String::new(), "is missing", "write the `iss` of its tokens, byte for byte");
        }
        if self.rules.audiences.is_empty() && !self.any_audience {
            const MEND: &str = "name this service with `.audience(\"...\")`: a token for another one must not open it";
            return blame("audience", String::new(), "is missing", MEND);
        }
        if self.algorithms.is_empty() {
            return blame("algorithms", String::new(), "are missing", "name those that the issuer signs with");
        }
        let hmac = self.algorithms.iter().filter(|algorithm| algorithm.family() == Family::Hmac).count();
        if hmac > 0 && hmac < self.algorithms.len() {
            const BREACH: &str = "mix secrets and public keys, by which a public key can be taken for a secret";
            return blame("algorithms", String::new(), BREACH, "name HMACs alone or public-key algorithms alone");
        }
        let Some(keys) = &self.keys else {
            const MEND: &str = "give `.keys(KeySet::from_jwks(..)?)`, `.keys(RemoteKeys::discover(..)?)`, or a secret with \
                                `.keys(KeySet::new([VerifyingKey::hmac(..)?]))`; `Keys::none()` if they come later";
            return blame("keys", String::new(), "are missing", MEND);
        };
        if hmac > 0 && keys.are_fetched() {
            const BREACH: &str = "are no algorithms for keys that are fetched: what everybody can fetch is no secret";
            return blame("algorithms", String::new(), BREACH, "name public-key algorithms");
        }
        if !keys.are_fetched() && keys.now().set.is_some_and(|set| !set.fits(self.allowed())) {
            const BREACH: &str = "fit none of its keys, so that every token would be refused";
            return blame("algorithms", String::new(), BREACH, "name those that its keys are for");
        }
        if self.rules.leeway > MAX_LEEWAY {
            let shown = format!("{}s", self.rules.leeway.as_secs());
            return blame("leeway", shown, "is more than clocks differ", "write 5 minutes or less");
        }
        Ok(())
    }

    pub(super) const fn rules(&self) -> &ClaimRules {
        &self.rules
    }

    pub(super) fn uses_secrets(&self) -> bool {
        self.algorithms.iter().any(|algorithm| algorithm.family() == Family::Hmac)
    }

    pub(super) fn allowed(&self) -> Algorithms {
        self.algorithms.iter().copied().collect()
    }

    pub(super) fn key_source(&self) -> &Keys {
        self.keys.as_ref().unwrap_or(&self.no_keys)
    }
}
