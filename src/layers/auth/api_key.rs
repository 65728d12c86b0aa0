//! API keys: `id.secret`, of which the hash of the secret alone is kept.

use std::collections::HashMap;
use std::fmt;
use std::time::SystemTime;

use crate::spine::config::ConfigError;
use crate::spine::field::hex;
use crate::spine::identity::Identity;

/// The issuer of callers that are known by an API key.
pub(super) const ISSUER: &str = "api-key";
/// The longest credential that is looked at.
const MAX_BYTES: usize = 512;
/// Keys of one client: the old one and the new one while they are exchanged, and some to spare.
const MAX_KEYS_PER_ID: usize = 8;

/// API keys, sent as `X-API-Key: <id>.<secret>`.
///
/// Only the SHA-256 of each secret is kept. A client may have several keys, so that one can be exchanged for another
/// without a gap. Draw secrets of at least 128 random bits: a hash this quick is no protection for passwords.
///
/// ```
/// use tower_rampart::auth::{ApiKey, ApiKeys};
///
/// // printf %s secret | sha256sum
/// let sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
/// let keys = ApiKeys::new([ApiKey::new("batch", sha256)?.roles(["reader"])])?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone, Default)]
pub struct ApiKeys(pub(super) HashMap<Box<str>, Vec<ApiKey>>);

/// One API key.
#[derive(Clone)]
pub struct ApiKey {
    id: Box<str>,
    sha256: [u8; 32],
    roles: Vec<Box<str>>,
    scopes: Vec<Box<str>>,
    expires: Option<SystemTime>,
}

impl ApiKey {
    /// A key of the client `id`, by the SHA-256 of its secret in hexadecimal.
    ///
    /// # Errors
    ///
    /// An id that holds anything but letters, digits, `-` and `_`, and what is no SHA-256.
    pub fn new(id: &str, sha256: &str) -> Result<Self, ConfigError> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if id.is_empty() || id.len() > 64 || !id.bytes().all(is_plain) {
            return Err(ConfigError::new("id", id, "is no id for a key", "write 1 to 64 of `A-Z a-z 0-9 - _`"));
        }
        const MEND: &str = "write its 64 digits, as `printf %s SECRET | sha256sum` prints them";
        let digits = sha256.as_bytes().as_chunks::<2>();
        let bytes: Option<Vec<u8>> = digits.0.iter().map(|[high, low]| Some(hex(*high)? << 4 | hex(*low)?)).collect();
        let sha256 = bytes.filter(|_| digits.1.is_empty()).and_then(|bytes| bytes.try_into().ok());
        // The value is not shown: somebody may have written the secret itself.
        let sha256 = sha256.ok_or_else(|| ConfigError::new("sha256", "", "is no SHA-256 in hexadecimal", MEND))?;
        Ok(Self { id: id.into(), sha256, roles: Vec::new(), scopes: Vec::new(), expires: None })
    }

    /// The client's roles.
    #[must_use]
    pub fn roles<T: Into<Box<str>>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.roles = roles.into_iter().map(Into::into).collect();
        self
    }

    /// The client's scopes.
    #[must_use]
    pub fn scopes<T: Into<Box<str>>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    /// The moment from which on the key is none.
    #[must_use]
    pub const fn expires(mut self, at: SystemTime) -> Self {
        self.expires = Some(at);
        self
    }
}

impl ApiKeys {
    /// Knows these keys.
    ///
    /// # Errors
    ///
    /// More than eight keys of one client, or one key twice.
    pub fn new(keys: impl IntoIterator<Item = ApiKey>) -> Result<Self, ConfigError> {
        let mut by_id: HashMap<Box<str>, Vec<ApiKey>> = HashMap::new();
        for key in keys {
            let of_client = by_id.entry(key.id.clone()).or_default();
            if of_client.iter().any(|held| held.sha256 == key.sha256) {
                return Err(ConfigError::new("api_key", &key.id, "has one key twice", "take one of them away"));
            }
            if of_client.len() == MAX_KEYS_PER_ID {
                return Err(ConfigError::new("api_key", &key.id, "has more than eight keys", "take the old ones away"));
            }
            of_client.push(key);
        }
        Ok(Self(by_id))
    }

    /// Who sent this credential.
    pub(super) fn identify(&self, credential: &[u8], now: SystemTime) -> Option<Identity> {
        if credential.len() > MAX_BYTES {
            return None;
        }
        let dot = credential.iter().position(|byte| *byte == b'.')?;
        let (id, secret) = (std::str::from_utf8(credential.get(..dot)?).ok()?, credential.get(dot + 1..)?);
        // Hashed whether the client is known or not, so that the time tells nothing about names.
        let hash = super::digest::sha256(secret)?;
        let key = self.0.get(id)?.iter().find(|key| super::digest::equal(&key.sha256, &hash))?;
        if key.expires.is_some_and(|expires| now >= expires) {
            return None;
        }
        Some(Identity::new(ISSUER, id).with_roles(key.roles.iter().cloned()).with_scopes(key.scopes.iter().cloned()))
    }
}

impl fmt::Debug for ApiKey {
    /// Without the hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKeys").field("clients", &self.0.len()).finish()
    }
}
