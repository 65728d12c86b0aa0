//! Keys that signatures are checked with.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;

use super::super::provider::PROVIDER;
use super::algorithm::{Algorithm, Algorithms, Family};
use crate::spine::config::ConfigError;
use crate::spine::json::Json;

/// The least modulus of an RSA key (RFC 7518 section 3.3), and the most that verification takes.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// The longest key id. One is a name, not a document.
pub(super) const MAX_KEY_ID_BYTES: usize = 256;

/// A key that signatures are checked with, bound to the algorithms it may be used for.
///
/// ```
/// use tower_rampart::auth::{Algorithm, VerifyingKey};
///
/// let error = VerifyingKey::hmac(b"secret", Algorithm::Hs256).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "secret: `6 bytes` is shorter than HS256's hash; draw 32 random bytes or more (RFC 7518 section 3.2)",
/// );
/// ```
#[derive(Clone)]
pub struct VerifyingKey {
    id: Option<Box<str>>,
    algorithms: Algorithms,
    key: DecodingKey,
}

/// Why a key of a set is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is no public key of a kind that is known here.
    Kind,
    /// Its own members say that it signs nothing, or by another algorithm.
    Use,
    /// It is malformed, or too weak.
    Material,
    /// Its id is no text, or too long.
    Id,
}

impl VerifyingKey {
    /// A shared secret for one HMAC algorithm.
    ///
    /// # Errors
    ///
    /// A secret that is shorter than the algorithm's hash (RFC 7518 section 3.2), and an algorithm that is no HMAC.
    pub fn hmac(secret: &[u8], algorithm: Algorithm) -> Result<Self, ConfigError> {
        if algorithm.family() != Family::Hmac {
            const MEND: &str = "use `HS256`, `HS384` or `HS512`, or give a public key";
            return Err(ConfigError::new("algorithm", algorithm, "takes no secret", MEND));
        }
        let least = algorithm.hash_bytes();
        if secret.len() < least {
            let breach = format!("is shorter than {algorithm}'s hash");
            let mend = format!("draw {least} random bytes or more (RFC 7518 section 3.2)");
            return Err(ConfigError::new("secret", format!("{} bytes", secret.len()), breach, mend));
        }
        Ok(Self { id: None, algorithms: [algorithm].into_iter().collect(), key: DecodingKey::from_secret(secret) })
    }

    /// A public key in PEM: RSA, P-256, P-384 or Ed25519.
    ///
    /// # Errors
    ///
    /// What is no such key, and RSA keys of less than 2048 bits.
    pub fn from_pem(pem: &[u8]) -> Result<Self, ConfigError> {
        const MEND: &str = "give `-----BEGIN PUBLIC KEY-----` of RSA (2048 bits or more), P-256, P-384 or Ed25519";
        let refuse = |breach: &'static str| ConfigError::new("key", "PEM", breach, MEND);
        if let Ok(key) = DecodingKey::from_rsa_pem(pem) {
            // PKCS #1: the modulus makes up all but a few bytes.
            let bits = key.try_get_as_bytes().map_or(0, |der| der.len().saturating_sub(9) * 8);
            if bits < *RSA_BITS.start() {
                return Err(refuse("is an RSA key of less than 2048 bits"));
            }
            return Ok(Self { id: None, algorithms: Algorithms::of_family(Family::Rsa), key });
        }
        if let Ok(key) = DecodingKey::from_ec_pem(pem) {
            // An uncompressed point: one byte and two coordinates.
            let family = match key.try_get_as_bytes().map_or(0, <[u8]>::len) {
                65 => Family::P256,
                97 => Family::P384,
                _ => return Err(refuse("is a key over another curve")),
            };
            return Ok(Self { id: None, algorithms: Algorithms::of_family(family), key });
        }
        let key = DecodingKey::from_ed_pem(pem).map_err(|_| refuse("is no public key that is known here"))?;
        Ok(Self { id: None, algorithms: Algorithms::of_family(Family::Ed25519), key })
    }

    /// Names the key, as tokens do with `kid`.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Box<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The key's name.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    pub(super) const fn algorithms(&self) -> Algorithms {
        self.algorithms
    }

    /// A public key of a set (RFC 7517). A symmetric one is no public key, and is never taken from a set.
    pub(super) fn from_jwk(jwk: &Json<'_>) -> Result<Self, Unusable> {
        let text = |name: &str| jwk.get(name).and_then(Json::text);
        let (key, family) = match text("kty").ok_or(Unusable::Kind)? {
            "RSA" => (rsa(&member(jwk, "n")?, &member(jwk, "e")?)?, Family::Rsa),
            "EC" => {
                let (family, bytes) = match text("crv").ok_or(Unusable::Kind)? {
                    "P-256" => (Family::P256, 32),
                    "P-384" => (Family::P384, 48),
                    _ => return Err(Unusable::Kind),
                };
                (point(&member(jwk, "x")?, &member(jwk, "y")?, bytes)?, family)
            }
            "OKP" if text("crv") == Some("Ed25519") => (edwards(&member(jwk, "x")?)?, Family::Ed25519),
            _ => return Err(Unusable::Kind),
        };
        let id = match jwk.get("kid") {
            None => None,
            Some(id) => {
                let id = id.text().filter(|id| !id.is_empty() && id.len() <= MAX_KEY_ID_BYTES);
                Some(id.ok_or(Unusable::Id)?.into())
            }
        };
        let algorithms = Algorithms::of_family(family).and(allowed_by(jwk)?);
        if algorithms.is_empty() { Err(Unusable::Use) } else { Ok(Self { id, algorithms, key }) }
    }

    /// Whether this key made this signature of this message.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &Vec<u8>) -> bool {
        // jsonwebtoken's HMAC, RSA, EC and Ed25519 verifiers each look at the key's family again.
        self.algorithms.contains(algorithm)
            && (PROVIDER.verifier_factory)(&algorithm.backend(), &self.key)
                .is_ok_and(|verifier| verifier.verify(message, signature).is_ok())
    }
}

/// The algorithms that a key's own members leave (RFC 7517 sections 4.2 to 4.4).
fn allowed_by(jwk: &Json<'_>) -> Result<Algorithms, Unusable> {
    if jwk.get("use").is_some_and(|purpose| purpose.text() != Some("sig")) {
        return Err(Unusable::Use);
    }
    if let Some(operations) = jwk.get("key_ops") {
        let verifies =
            operations.list().is_some_and(|all| all.iter().any(|operation| operation.text() == Some("verify")));
        if !verifies {
            return Err(Unusable::Use);
        }
    }
    match jwk.get("alg") {
        None => Ok(Algorithms::of_family(Family::Rsa)
            .or(Algorithms::of_family(Family::P256))
            .or(Algorithms::of_family(Family::P384))
            .or(Algorithms::of_family(Family::Ed25519))),
        Some(name) => {
            let algorithm = name.text().and_then(Algorithm::of_name).ok_or(Unusable::Use)?;
            Ok([algorithm].into_iter().collect())
        }
    }
}

/// The bytes of a member in base64url.
fn member(jwk: &Json<'_>, name: &str) -> Result<Vec<u8>, Unusable> {
    let text = jwk.get(name).and_then(Json::text).ok_or(Unusable::Material)?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Unusable::Material)
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, Unusable> {
    let strip = |bytes: &[u8]| bytes.iter().skip_while(|byte| **byte == 0).copied().collect::<Vec<u8>>();
    let (modulus, exponent) = (strip(modulus), strip(exponent));
    let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    let bits = (modulus.len() * 8).saturating_sub(leading);
    let exponent_is_odd = exponent.last().is_some_and(|byte| byte % 2 == 1);
    let is_sound = RSA_BITS.contains(&bits) && exponent_is_odd && exponent != [1] && exponent.len() <= 8;
    if is_sound { Ok(DecodingKey::from_rsa_raw_components(&modulus, &exponent)) } else { Err(Unusable::Material) }
}

/// A point, whose coordinates have the curve's full length (RFC 7518 section 6.2.1.2).
fn point(x: &[u8], y: &[u8], bytes: usize) -> Result<DecodingKey, Unusable> {
    if x.len() != bytes || y.len() != bytes {
        return Err(Unusable::Material);
    }
    Ok(DecodingKey::from_ec_der(&[&[4], x, y].concat()))
}

fn edwards(x: &[u8]) -> Result<DecodingKey, Unusable> {
    if x.len() == 32 { Ok(DecodingKey::from_ed_der(x)) } else { Err(Unusable::Material) }
}

impl fmt::Debug for VerifyingKey {
    /// Without the key, and without its id, which a set's owner chose.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}
