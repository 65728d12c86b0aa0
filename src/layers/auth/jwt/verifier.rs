//! The whole check of a token.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::algorithm::Algorithm;
use super::fault::TokenFault;
use super::issuer::Issuer;
use super::key_set::KeySet;
use super::token::Token;
use crate::spine::config::ConfigError;
use crate::spine::identity::Identity;
use crate::spine::json::Json;

/// Checks JSON Web Tokens of one or several issuers.
///
/// The cheapest check comes first: size, characters, header, algorithm, key, and only then the signature, and only then
/// what the claims say.
#[derive(Debug, Clone)]
pub struct JwtVerifier {
    issuers: Vec<Issuer>,
    max_token_bytes: usize,
}

/// Why a token did not become an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a token is refused, or cannot be judged")]
pub enum VerifyError {
    /// The token is at fault.
    Refused(TokenFault),
    /// There are no keys to judge it by.
    NoKeys,
}

/// A token of 8 KiB carries more claims than any that is sound.
const DEFAULT_MAX_TOKEN_BYTES: usize = 8192;
const MAX_ISSUERS: usize = 64;
/// The most roles, and the most scopes, of a caller.
const MAX_NAMES: usize = 256;
/// The most claims that a caller is known by.
const MAX_CLAIMS: usize = 64;

impl JwtVerifier {
    /// Trusts these issuers.
    ///
    /// # Errors
    ///
    /// No issuer, more than 64, two of one name, and whatever weakens one: no audience, no algorithm, secrets beside
    /// public keys, a leeway of more than five minutes.
    pub fn new(issuers: impl IntoIterator<Item = Issuer>) -> Result<Self, ConfigError> {
        let issuers: Vec<_> = issuers.into_iter().collect();
        if !(1..=MAX_ISSUERS).contains(&issuers.len()) {
            return Err(ConfigError::new("issuers", issuers.len(), "is no number of issuers", "name 1 to 64"));
        }
        for (at, issuer) in issuers.iter().enumerate() {
            issuer.check()?;
            let name = &issuer.rules().issuer;
            if issuers.iter().take(at).any(|before| before.rules().issuer == *name) {
                return Err(ConfigError::new("issuer", name, "is named twice", "put its settings together"));
            }
        }
        Ok(Self { issuers, max_token_bytes: DEFAULT_MAX_TOKEN_BYTES })
    }

    /// The most bytes of a token that are looked at; 8192 unless it is said.
    #[must_use]
    pub const fn max_token_bytes(mut self, bytes: usize) -> Self {
        self.max_token_bytes = bytes;
        self
    }

    /// Checks a token at a wall time, and says who its bearer is.
    ///
    /// # Errors
    ///
    /// Why it is refused, or that there are no keys to judge it by.
    pub fn verify(&self, token: &[u8], now: SystemTime) -> Result<Identity, VerifyError> {
        self.verify_claims(token, now).map(|(identity, _)| identity)
    }

    pub(in super::super) fn verify_claims(
        &self,
        token: &[u8],
        now: SystemTime,
    ) -> Result<(Identity, Json), VerifyError> {
        let token = Token::parse(token, self.max_token_bytes)?;
        let algorithm = token.header.algorithm;
        if !self.issuers.iter().any(|issuer| issuer.allowed().contains(algorithm)) {
            return Err(TokenFault::Algorithm.into());
        }
        let (issuer, early_claims) = match &*self.issuers {
            [only] => (only, None),
            // The name that a token gives itself chooses whose keys it is checked by, and nothing else.
            issuers => {
                let claims = token.claims()?;
                let name = claims.get("iss").ok_or(TokenFault::ClaimMissing("iss"))?.text();
                let named = issuers.iter().find(|issuer| name == Some(&issuer.rules().issuer));
                (named.ok_or(TokenFault::ClaimInvalid("iss"))?, Some(claims))
            }
        };
        if !issuer.allowed().contains(algorithm) {
            return Err(TokenFault::Algorithm.into());
        }
        if !issuer.rules().profile.accepts(token.header.typ.as_deref()) {
            return Err(TokenFault::Type.into());
        }
        let (keys, _) = issuer.key_source().now();
        check_signature(&token, &*keys.ok_or(VerifyError::NoKeys)?)?;
        let claims = match early_claims {
            Some(claims) => claims,
            None => token.claims()?,
        };
        issuer.rules().check(&claims, seconds(now))?;
        Ok((identity(issuer, &claims)?, claims))
    }
}

fn check_signature(token: &Token<'_>, keys: &KeySet) -> Result<(), TokenFault> {
    let algorithm = token.header.algorithm;
    let key = keys.find(token.header.key_id.as_deref(), algorithm).ok_or(TokenFault::Key)?;
    let signature = token.signature()?;
    if key.verifies(algorithm, token.signed, &signature) { Ok(()) } else { Err(TokenFault::Signature) }
}

/// Checks a signature and nothing else, and returns what was signed: for published test vectors, and for tokens that
/// are not JWTs. Whoever calls it must judge the payload.
///
/// # Errors
///
/// A token whose form is unsound, whose algorithm is not allowed, or that none of the keys has signed.
///
/// ```
/// use tower_rampart::auth::{Algorithm, KeySet, TokenFault, VerifyingKey, verify_jws};
///
/// let keys = KeySet::new([VerifyingKey::hmac(&[7; 32], Algorithm::Hs256)?]);
/// assert_eq!(verify_jws(b"e30.e30.AAAA", &keys, &[Algorithm::Hs256]), Err(TokenFault::HeaderForm));
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
pub fn verify_jws(token: &[u8], keys: &KeySet, algorithms: &[Algorithm]) -> Result<Vec<u8>, TokenFault> {
    const MAX_BYTES: usize = 1 << 20;
    let token = Token::parse(token, MAX_BYTES)?;
    if !algorithms.contains(&token.header.algorithm) {
        return Err(TokenFault::Algorithm);
    }
    check_signature(&token, keys)?;
    token.payload()
}

impl From<TokenFault> for VerifyError {
    fn from(fault: TokenFault) -> Self {
        Self::Refused(fault)
    }
}

impl std::fmt::Display for VerifyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(fault) => fault.fmt(f),
            Self::NoKeys => f.write_str("there are no keys to check the token by"),
        }
    }
}

impl std::error::Error for VerifyError {}

/// Seconds since 1970; none before.
fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO).as_secs_f64()
}

fn identity(issuer: &Issuer, claims: &Json) -> Result<Identity, TokenFault> {
    let text = |name: &str| claims.get(name).and_then(Json::text);
    // A token of a client for itself may name no other subject.
    let subject = text("sub").or_else(|| text("client_id")).ok_or(TokenFault::ClaimMissing("sub"))?;
    let roles = path(claims, &issuer.roles_claim).map(names).unwrap_or_default();
    // `scope` is a list in one string (RFC 8693 section 4.2); `scp` is what others call it.
    let scopes = claims.get("scope").or_else(|| claims.get("scp")).map(names).unwrap_or_default();
    if roles.len() > MAX_NAMES || scopes.len() > MAX_NAMES {
        return Err(TokenFault::ClaimInvalid("roles"));
    }
    let texts =
        claims.members().unwrap_or_default().iter().filter_map(|(name, value)| Some((name.as_str(), value.text()?)));
    let identity = Identity::new(&*issuer.rules().issuer, subject)
        .with_roles(roles)
        .with_scopes(scopes)
        .with_claims(texts.take(MAX_CLAIMS));
    let tenant = issuer.tenant_claim.as_ref().and_then(|claim| path(claims, claim)).and_then(Json::text);
    Ok(match tenant {
        Some(tenant) => identity.with_tenant(tenant),
        None => identity,
    })
}

/// A claim, through objects where its name has dots and no claim has the whole name.
fn path<'a>(claims: &'a Json, name: &str) -> Option<&'a Json> {
    claims.get(name).or_else(|| name.split('.').try_fold(claims, |value, name| value.get(name)))
}

/// The names in a list, or in a string with spaces between them.
fn names(claim: &Json) -> Vec<&str> {
    match claim {
        Json::Text(text) => text.split(' ').filter(|name| !name.is_empty()).collect(),
        Json::List(items) => items.iter().filter_map(Json::text).collect(),
        _ => Vec::new(),
    }
}
