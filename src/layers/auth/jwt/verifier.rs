//! The whole check of a token.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::algorithm::Algorithm;
use super::cache::{MAX_AGE_SECS, TokenCache, Verified};
use super::fault::TokenFault;
use super::issuer::Issuer;
use super::key_set::KeySet;
use super::revocation::{Revocation, TokenFacts};
use super::token::Token;
use crate::spine::config::ConfigError;
use crate::spine::identity::Identity;
use crate::spine::json::Json;

/// Checks JSON Web Tokens of one or several issuers.
///
/// The cheapest check comes first: size, characters, header, algorithm, key, and only then the signature, and only then
/// what the claims say.
///
/// Tokens that were verified before are known again, for five minutes at most: by a keyed hash, and with their dates,
/// the issuer's keys and revocations looked at anew. Clones share what they know.
#[derive(Clone)]
pub struct JwtVerifier {
    issuers: Arc<[Issuer]>,
    max_token_bytes: usize,
    cache: Option<Arc<TokenCache>>,
    revocation: Option<Arc<dyn Revocation>>,
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
const DEFAULT_CACHED_TOKENS: usize = 10_000;
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
        // A secret's signature costs less than the parsing that a hit saves.
        let is_worth_it = issuers.iter().any(|issuer| !issuer.uses_secrets());
        Ok(Self {
            issuers: issuers.into(),
            max_token_bytes: DEFAULT_MAX_TOKEN_BYTES,
            cache: is_worth_it.then(|| Arc::new(TokenCache::new(DEFAULT_CACHED_TOKENS))),
            revocation: None,
        })
    }

    /// How many verified tokens are remembered; 10,000 unless it is said, none at 0. Where all issuers sign with secrets,
    /// none are unless it is said.
    #[must_use]
    pub fn cached_tokens(mut self, tokens: usize) -> Self {
        self.cache = (tokens > 0).then(|| Arc::new(TokenCache::new(tokens)));
        self
    }

    /// Asks whether a token was revoked, also of one that was verified before.
    #[must_use]
    pub fn revocation(mut self, revocation: impl Revocation) -> Self {
        self.revocation = Some(Arc::new(revocation));
        self
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
        if token.len() > self.max_token_bytes {
            return Err(TokenFault::TooLong.into());
        }
        let cached = self.cache.as_deref().map(|cache| (cache, cache.key(token)));
        if let Some((cache, key)) = cached
            && let Some(known) = cache.get(key)
        {
            if let Some(issuer) = self.issuers.get(known.issuer).filter(|issuer| is_fresh(issuer, &known, now)) {
                issuer.rules().check_dates(known.dates, seconds(now))?;
                self.check_revocation(&known, now)?;
                return Ok(known.identity);
            }
            cache.remove(key);
        }
        let verified = self.verify_anew(token, now)?;
        self.check_revocation(&verified, now)?;
        let identity = verified.identity.clone();
        if let Some((cache, key)) = cached {
            cache.put(key, verified);
        }
        Ok(identity)
    }

    fn verify_anew(&self, token: &[u8], now: SystemTime) -> Result<Verified, VerifyError> {
        let token = Token::parse(token, self.max_token_bytes)?;
        let algorithm = token.header.algorithm;
        if !self.issuers.iter().any(|issuer| issuer.allowed().contains(algorithm)) {
            return Err(TokenFault::Algorithm.into());
        }
        let (index, early_claims) = if self.issuers.len() == 1 {
            (0, None)
        } else {
            // The name that a token gives itself chooses whose keys it is checked by, and nothing else.
            let claims = token.claims()?;
            let name = claims.get("iss").ok_or(TokenFault::ClaimMissing("iss"))?.text();
            let named = self.issuers.iter().position(|issuer| name == Some(&issuer.rules().issuer));
            (named.ok_or(TokenFault::ClaimInvalid("iss"))?, Some(claims))
        };
        let issuer = self.issuers.get(index).ok_or(TokenFault::ClaimInvalid("iss"))?;
        if !issuer.allowed().contains(algorithm) {
            return Err(TokenFault::Algorithm.into());
        }
        if !issuer.rules().profile.accepts(token.header.typ.as_deref()) {
            return Err(TokenFault::Type.into());
        }
        let (keys, generation) = issuer.key_source().now();
        check_signature(&token, &*keys.ok_or(VerifyError::NoKeys)?)?;
        let claims = match early_claims {
            Some(claims) => claims,
            None => token.claims()?,
        };
        let dates = issuer.rules().check(&claims, seconds(now))?;
        let id = claims.get("jti").and_then(Json::text).map(Into::into);
        let identity = identity(issuer, &claims)?;
        Ok(Verified { identity, dates, id, issuer: index, generation, since: seconds(now) })
    }

    fn check_revocation(&self, token: &Verified, now: SystemTime) -> Result<(), TokenFault> {
        let Some(revocation) = &self.revocation else { return Ok(()) };
        let facts = TokenFacts {
            issuer: token.identity.issuer(),
            subject: token.identity.subject(),
            id: token.id.as_deref(),
            issued: token.dates.issued.map(|issued| UNIX_EPOCH + Duration::from_secs_f64(issued)),
        };
        if revocation.is_revoked(facts, now) { Err(TokenFault::Revoked) } else { Ok(()) }
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("issuers", &self.issuers)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

/// Whether what was found out about a token still counts: the keys are the same, and it was not long ago.
fn is_fresh(issuer: &Issuer, known: &Verified, now: SystemTime) -> bool {
    let age = seconds(now) - known.since;
    issuer.key_source().now().1 == known.generation && (0.0..MAX_AGE_SECS).contains(&age)
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

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
