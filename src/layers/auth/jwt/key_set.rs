//! Sets of keys (RFC 7517 section 5).

use super::algorithm::{Algorithm, Algorithms};
use super::key::{Unusable, VerifyingKey};
use crate::spine::config::ConfigError;
use crate::spine::json::{Json, JsonFault, JsonLimits, read};

/// Keys of one issuer.
///
/// ```
/// use tower_rampart::auth::KeySet;
///
/// let set = KeySet::from_jwks(br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1",
///     "x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#)?;
/// assert_eq!(set.len(), 1);
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<VerifyingKey>,
    skipped: usize,
    /// Those of the skipped that share name and algorithm with another.
    twins: usize,
}

/// How a set is read.
const LIMITS: JsonLimits = JsonLimits::of_whole(256 << 10, 8, 20_000);
/// The most keys of a set: each is tried where tokens name none.
const MAX_KEYS: usize = 100;

impl KeySet {
    /// Keys given one by one.
    pub fn new(keys: impl IntoIterator<Item = VerifyingKey>) -> Self {
        let mut set = Self { keys: keys.into_iter().collect(), skipped: 0, twins: 0 };
        set.drop_twins();
        set
    }

    /// Reads a JWK Set. Keys that cannot be used are skipped, one by one: unknown kinds, keys for encryption, symmetric
    /// keys, weak ones, and all that share name and algorithm with another.
    ///
    /// # Errors
    ///
    /// What is no JWK Set, more than 256 KiB or 100 keys, and a set without a single usable key.
    pub fn from_jwks(document: &[u8]) -> Result<Self, ConfigError> {
        let refuse = |breach: String| {
            const MEND: &str = "give a JWK Set with a public key of RSA (2048 bits or more), P-256, P-384 or Ed25519";
            ConfigError::new("jwks", "", breach, MEND)
        };
        let set = Self::read(document).map_err(|fault| refuse(format!("is no key set: {fault}")))?;
        if set.is_empty() {
            return Err(refuse(format!("has no usable key, and {} that cannot be used", set.skipped)));
        }
        Ok(set)
    }

    fn read(document: &[u8]) -> Result<Self, JsonFault> {
        let document = read(document, LIMITS)?;
        let keys = document.get("keys").and_then(Json::list).ok_or(JsonFault::Syntax)?;
        if keys.len() > MAX_KEYS {
            return Err(JsonFault::TooManyValues);
        }
        let keys: Vec<Result<VerifyingKey, Unusable>> = keys.iter().map(VerifyingKey::from_jwk).collect();
        let skipped = keys.iter().filter(|key| key.is_err()).count();
        let mut set = Self { keys: keys.into_iter().flatten().collect(), skipped, twins: 0 };
        set.drop_twins();
        Ok(set)
    }

    /// Two keys of one name and algorithm are both dropped: nobody can say which of them a token means.
    fn drop_twins(&mut self) {
        let before = self.keys.len();
        let all = self.keys.clone();
        let is_twin = |key: &VerifyingKey| {
            let same = |other: &&VerifyingKey| {
                key.id().is_some() && other.id() == key.id() && !other.algorithms().and(key.algorithms()).is_empty()
            };
            all.iter().filter(same).count() > 1
        };
        self.keys.retain(|key| !is_twin(key));
        self.twins = before - self.keys.len();
        self.skipped += self.twins;
    }

    pub(super) const fn twins(&self) -> usize {
        self.twins
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// How many keys of the document are not used.
    #[must_use]
    pub const fn skipped(&self) -> usize {
        self.skipped
    }

    /// Whether there is a key for one of these algorithms.
    pub(super) fn fits(&self, algorithms: Algorithms) -> bool {
        self.keys.iter().any(|key| !key.algorithms().and(algorithms).is_empty())
    }

    /// The key that a token means: the one it names, or, when it names none, the only one that fits.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&VerifyingKey> {
        let mut fitting = self
            .keys
            .iter()
            .filter(|key| key.algorithms().contains(algorithm) && id.is_none_or(|id| key.id() == Some(id)));
        let found = fitting.next()?;
        fitting.next().is_none().then_some(found)
    }
}
