//! The whole check of a token.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::DeserializeOwned;

use super::super::claims::{ReadClaims, TypedClaims, read_claims};
use super::super::known::Known;
use super::algorithm::Algorithm;
use super::caller::caller;
use super::claims::Dates;
use super::fault::TokenFault;
use super::issuer::Issuer;
use super::key_set::KeySet;
use super::keys::Lookup;
use super::revocation::{Revocation, TokenFacts};
use super::token::{Token, claims_in};
use crate::spine::config::ConfigError;
use crate::spine::identity::Identity;
use crate::spine::json::Json;
use crate::spine::signal::Wait;

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
    known: Option<Arc<Known<Verified>>>,
    revocation: Option<Arc<dyn Revocation>>,
    read_claims: Option<ReadClaims>,
}

/// A verified token.
#[derive(Clone)]
pub(in crate::layers::auth) struct Verified {
    pub(in crate::layers::auth) identity: Identity,
    /// The claims in the type that was asked for.
    pub(in crate::layers::auth) claims: Option<Arc<dyn TypedClaims>>,
    dates: Dates,
    id: Option<Box<str>>,
    /// Which of the verifier's issuers, and the generation of its keys.
    issuer: usize,
    generation: u64,
    /// When it was verified.
    since: f64,
}

/// Why a token is not verified, or not yet.
pub(in crate::layers::auth) enum Unverified {
    Refused(TokenFault),
    /// There are no keys to judge it by, before so long at least.
    NoKeys(Duration),
    /// Keys are being fetched; then it can be judged.
    Fetching(Wait),
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

/// The longest time in which a token is not verified anew.
const MAX_KNOWN_SECS: f64 = 300.0;
/// A token of 8 KiB carries more claims than any that is sound.
const DEFAULT_MAX_TOKEN_BYTES: usize = 8192;
const DEFAULT_CACHED_TOKENS: usize = 10_000;
const MAX_ISSUERS: usize = 64;

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
            known: is_worth_it.then(|| Arc::new(Known::with_room_for(DEFAULT_CACHED_TOKENS))),
            revocation: None,
            read_claims: None,
        })
    }

    /// How many verified tokens are remembered; 10,000 unless it is said, none at 0. Where all issuers sign with secrets,
    /// none are unless it is said.
    #[must_use]
    pub fn max_cached_tokens(mut self, tokens: usize) -> Self {
        self.known = (tokens > 0).then(|| Arc::new(Known::with_room_for(tokens)));
        self
    }

    /// Reads the claims into a type of yours, too, which handlers find in the request's extensions as
    /// [`Claims<C>`](super::super::Claims). A token whose claims do not fit is refused.
    #[must_use]
    pub fn with_claims<C: DeserializeOwned + Send + Sync + 'static>(mut self) -> Self {
        self.read_claims = Some(read_claims::<C>);
        // What is known was read into another type, or none.
        self.known = self.known.map(|known| Arc::new(Known::with_room_for(known.room())));
        self
    }

    /// Begins to fetch keys that are remote, and keeps them fresh: to be called where a runtime is there, when the
    /// verifier was made where there was none.
    pub fn start(&self) {
        self.issuers.iter().for_each(|issuer| issuer.key_source().start());
    }

    /// Goes on with the keys that another verifier has fetched for issuers of the same name, from the same places: after a
    /// configuration was read anew. They are fetched on by the rules of this one. Made within a runtime, this one has begun
    /// to fetch already; who builds it outside of one spares its issuers that.
    #[must_use]
    pub fn adopt_keys(mut self, other: &Self) -> Self {
        let adopted = self.issuers.iter().map(|issuer| {
            let theirs = other.issuers.iter().find(|held| held.rules().issuer == issuer.rules().issuer);
            match theirs.and_then(|held| issuer.key_source().going_on_from(held.key_source())) {
                Some(keys) => issuer.clone().keys(keys),
                None => issuer.clone(),
            }
        });
        self.issuers = adopted.collect();
        // What clones remember was verified by other keys, whose generations mean nothing here.
        self.known = self.known.map(|known| Arc::new(Known::with_room_for(known.room())));
        self
    }

    /// Whether each issuer's keys are there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.issuers.iter().all(|issuer| issuer.key_source().is_ready())
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

    #[cfg(feature = "auth-introspection")]
    pub(in crate::layers::auth) const fn token_bytes(&self) -> usize {
        self.max_token_bytes
    }

    /// Checks a token at a wall time, and says who its bearer is. It never waits: keys that have to be fetched first are
    /// none, and are fetched meanwhile.
    ///
    /// # Errors
    ///
    /// Why it is refused, or that there are no keys to judge it by.
    pub fn verify(&self, token: &[u8], now: SystemTime) -> Result<Identity, VerifyError> {
        match self.check(token, now, false) {
            Ok(verified) => Ok(verified.identity),
            Err(Unverified::Refused(fault)) => Err(fault.into()),
            Err(Unverified::NoKeys(_) | Unverified::Fetching(_)) => Err(VerifyError::NoKeys),
        }
    }

    /// The same, with what it takes to wait. `waited` says that this token has waited for keys already.
    pub(in crate::layers::auth) fn check(
        &self,
        token: &[u8],
        now: SystemTime,
        waited: bool,
    ) -> Result<Verified, Unverified> {
        if token.len() > self.max_token_bytes {
            return Err(TokenFault::TooLong.into());
        }
        let known = self.known.as_deref().map(|known| (known, known.key(token)));
        if let Some((known, key)) = known
            && let Some(verified) = known.get(key)
        {
            if let Some(issuer) = self.issuers.get(verified.issuer).filter(|issuer| is_fresh(issuer, &verified, now)) {
                issuer.rules().check_dates(verified.dates, seconds(now))?;
                self.check_revocation(&verified, now)?;
                return Ok(verified);
            }
            known.remove(key);
        }
        let verified = self.check_anew(token, now, waited)?;
        self.check_revocation(&verified, now)?;
        if let Some((known, key)) = known {
            known.put(key, verified.since, verified.clone());
        }
        Ok(verified)
    }

    fn check_anew(&self, token: &[u8], now: SystemTime, waited: bool) -> Result<Verified, Unverified> {
        let token = Token::parse(token, self.max_token_bytes)?;
        let algorithm = token.header.algorithm;
        if !self.issuers.iter().any(|issuer| issuer.allowed().contains(algorithm)) {
            return Err(TokenFault::Algorithm.into());
        }
        let payload = token.payload()?;
        let (index, early_claims) = if self.issuers.len() == 1 {
            (0, None)
        } else {
            // The name that a token gives itself chooses whose keys it is checked by, and nothing else.
            let claims = claims_in(&payload)?;
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
        let key_id = token.header.key_id.as_deref();
        let (keys, generation) = match issuer.key_source().look_up(key_id, algorithm, waited) {
            Lookup::Keys(keys, generation) => (keys, generation),
            Lookup::NoKeys(wait) => return Err(Unverified::NoKeys(wait)),
            Lookup::Fetching(wait) => return Err(Unverified::Fetching(wait)),
        };
        check_signature(&token, &keys)?;
        let claims = match early_claims {
            Some(claims) => claims,
            None => claims_in(&payload)?,
        };
        let dates = issuer.rules().check(&claims, seconds(now))?;
        let id = claims.get("jti").and_then(Json::text).map(Into::into);
        let name = &issuer.rules().issuer;
        let identity = caller(name, &issuer.roles_claim, issuer.tenant_claim.as_deref(), &claims)?;
        let identity = identity.with_expiry(UNIX_EPOCH + dates.expires());
        let claims = match self.read_claims {
            Some(read) => Some(read(&claims).ok_or(TokenFault::ClaimsForm)?),
            None => None,
        };
        Ok(Verified { identity, claims, dates, id, issuer: index, generation, since: seconds(now) })
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

impl JwtVerifier {
    /// Whose tokens are accepted.
    pub(in crate::layers::auth) fn issuers(&self) -> impl Iterator<Item = &str> {
        self.issuers.iter().map(|issuer| &*issuer.rules().issuer)
    }
}

impl fmt::Debug for JwtVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtVerifier")
            .field("issuers", &self.issuers)
            .field("known", &self.known)
            .finish_non_exhaustive()
    }
}

/// Whether what was found out about a token still counts: the keys are the same, and it was not long ago.
fn is_fresh(issuer: &Issuer, known: &Verified, now: SystemTime) -> bool {
    let age = seconds(now) - known.since;
    (0.0..MAX_KNOWN_SECS).contains(&age) && issuer.key_source().generation() == Some(known.generation)
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

impl From<TokenFault> for Unverified {
    fn from(fault: TokenFault) -> Self {
        Self::Refused(fault)
    }
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
