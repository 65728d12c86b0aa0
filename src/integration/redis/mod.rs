//! Several instances that count as one, through Redis (6.2 and later), a cluster of it, or Valkey.
//!
//! One handle for all that is shared: it connects when it is first asked, again when the connection is lost, and gives
//! up on what takes longer than its timeout. While the server is unwell a circuit breaker keeps requests from waiting for
//! it: a single one tries again, at most a second after the last.
//!
//! ```
//! use std::time::Duration;
//! use tower_rampart::rate_limit::{Quota, RateLimit, SharedCounts};
//! use tower_rampart::redis::Redis;
//!
//! let redis = Redis::builder("redis://127.0.0.1:6379").build()?;
//! // A hundred requests a minute for each client, whichever instance it asks.
//! let layer = RateLimit::per_client_ip(Quota::new(100).per(Duration::from_secs(60)))
//!     .shared_counts(SharedCounts::new(redis.limits()))
//!     .build_throttle()?;
//! # Ok::<(), tower_rampart::ConfigError>(())
//! ```
//!
//! # What is kept, and where
//!
//! Keys are `<namespace>:limit:{<hash>}:<policy>`. The hash is of what the policy counts by, with the namespace's
//! [`secret`](RedisBuilder::secret) if it has one: no address and no name of a caller is stored. Every key has a time to live, and what it holds says nothing afterwards. A server that evicts keys
//! (`maxmemory-policy`) gives quota away; one that lost all begins anew.
//!
//! What a [`cache`](Redis::cache) keeps stands under `{<namespace>:cache}`, in one slot of a cluster: records and claims by
//! hashes, with a time to live, and one ledger of purges, which has none. A server that evicts or loses the ledger begins
//! another era, and nothing that was stored before is found any more. A replica that takes over without the last purges
//! does not know them: what they purged may be found again, until it is stale.
//!
//! What is revoked ([`revocations`](Redis::revocations)) stands under `{<namespace>:revoked}` by hashes, until the last token
//! has expired.
//!
//! # A cluster
//!
//! `redis+cluster://10.0.0.1:6379,10.0.0.2:6379` names some nodes of a Redis Cluster. Each node is asked for its own keys, by
//! a connection and a breaker of its own: one that is unwell fails for its keys alone. Replicas are never asked. Nodes that
//! send a question elsewhere (`MOVED`, `ASK`) are followed, and when a node fails, others are asked who has its keys now. All
//! have one user and one password; behind TLS they announce themselves by the names that their certificates have
//! (`cluster-announce-hostname`, `cluster-preferred-endpoint-type hostname`).
//!
//! Policies that count by the same key stand in one slot, by the braces, and are one command. Where a request's policies count
//! by different keys, each slot is one command, one after the other, in the order of the policies: when one refuses, what the
//! ones before took is given back before the client is answered. No more than the quotas is ever admitted; for a moment
//! a charge that comes back may refuse somebody else. So the policies that refuse most stand first.
//!
//! A cache stands in one slot, and so do revocations: one node carries them. While that slot is moved to another node, a
//! script whose keys are in both places is a miss, and what is to be purged or revoked waits. Nodes copy what they are told
//! a moment later: a replica that is promoted may have missed the last of it, which is quota that is admitted again, and
//! purges and revocations that are forgotten, though not by the instances that are running.
//!
//! # Cost
//!
//! One command, one round trip, for each request that is admitted, and none for one that is refused by what is known. Times
//! are the server's, in microseconds: a key's rate of more than ten thousand a second is rounded down by up to a
//! hundredth.
//!
//! A cache asks once for what it does not have in memory, twice where `Vary` says so, and never for what it has. Purges are
//! told in batches, one command each, beside requests.

mod address;
#[cfg(feature = "cache")]
mod cache;
mod cluster;
#[cfg(any(feature = "_auth", feature = "cache"))]
mod ear;
mod fault;
mod limits;
mod link;
mod question;
#[cfg(feature = "_auth")]
mod revocations;
mod servers;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

#[cfg(feature = "cache")]
pub use self::cache::RedisCache;
pub use self::limits::RedisLimits;
#[cfg(feature = "_auth")]
pub use self::revocations::{RedisRevocations, RevocationError};
use self::servers::Servers;
use crate::spine::config::ConfigError;

/// A connection to Redis that all stores share. Clones are the same. See the [module](self).
#[derive(Clone)]
pub struct Redis {
    servers: Arc<Servers>,
    names: Arc<Names>,
}

/// How keys are made.
struct Names {
    namespace: Box<str>,
    secret: Box<[u8]>,
}

/// A [`Redis`] in the making.
#[derive(Clone)]
#[must_use = "nothing is connected until it is built"]
pub struct RedisBuilder {
    url: String,
    timeout: Duration,
    namespace: String,
    secret: Vec<u8>,
}

/// What a request waits for the server, unless it is said.
const DEFAULT_TIMEOUT: Duration = Duration::from_millis(25);
const MAX_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_NAMESPACE_BYTES: usize = 64;

impl Redis {
    /// For a server at `redis://[user:password@]host:port/[database]`, or `rediss://` for one behind TLS, whose
    /// certificate the system trusts. `redis+cluster://[user:password@]host:port,host:port`, or `rediss+cluster://`, is for
    /// a cluster: some of its nodes, which know the others.
    pub fn builder(url: impl Into<String>) -> RedisBuilder {
        RedisBuilder {
            url: url.into(),
            timeout: DEFAULT_TIMEOUT,
            namespace: String::from("rampart"),
            secret: Vec::new(),
        }
    }

    /// Counts for limiters.
    #[must_use]
    pub fn limits(&self) -> RedisLimits {
        RedisLimits::of(self.clone())
    }

    /// A second tier for caches.
    #[cfg(feature = "cache")]
    #[must_use]
    pub fn cache(&self) -> RedisCache {
        RedisCache::of(self.clone())
    }

    /// Revoked tokens and logged-out callers, so many of each at most. All instances say the same.
    #[cfg(feature = "_auth")]
    #[must_use]
    pub fn revocations(&self, max_entries: usize) -> RedisRevocations {
        RedisRevocations::new(self.clone(), max_entries)
    }

    /// Whether the server answered when it was last asked; of a cluster, whether all that have keys did.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        self.servers.is_healthy()
    }
}

impl RedisBuilder {
    /// How long a request waits for the server; 25 ms unless it is said.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What keys begin with; `rampart` unless it is said. Instances that count together have the same.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Hashes keys with a secret that all instances know, so that who reads the server cannot try addresses and names.
    pub fn secret(mut self, secret: impl Into<Vec<u8>>) -> Self {
        self.secret = secret.into();
        self
    }

    /// The handle. Nothing is connected yet.
    ///
    /// # Errors
    ///
    /// A URL that is none, a timeout of zero or of more than a minute, and a namespace that is none.
    pub fn build(self) -> Result<Redis, ConfigError> {
        if self.timeout.is_zero() || self.timeout > MAX_TIMEOUT {
            let shown = format!("{}ms", self.timeout.as_millis());
            return Err(ConfigError::new("timeout", shown, "is no time to wait", "write 1ms to 60s"));
        }
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        let namespace = self.namespace;
        if namespace.is_empty() || namespace.len() > MAX_NAMESPACE_BYTES || !namespace.bytes().all(is_plain) {
            const MEND: &str = "write 1 to 64 of `A-Z a-z 0-9 - _ . : /`";
            return Err(ConfigError::new("namespace", namespace, "is no beginning for keys", MEND));
        }
        let servers = Arc::new(Servers::new(&self.url, self.timeout)?);
        Ok(Redis { servers, names: Arc::new(Names { namespace: namespace.into(), secret: self.secret.into() }) })
    }
}

impl Names {
    /// The key of a policy's count, in the slot of what it counts by.
    fn limit(&self, policy: &str, counted_by: &[u8]) -> String {
        let mut hash = Sha256::new();
        hash.update((self.secret.len() as u64).to_le_bytes());
        hash.update(&self.secret);
        hash.update(counted_by);
        let hash: [u8; 32] = hash.finalize().into();
        let (half, _) = u128_halves(&hash);
        format!("{}:limit:{{{half:032x}}}:{policy}", self.namespace)
    }
}

/// Half of a hash is as good as twice as many bits are for finding two that are equal by chance.
fn u128_halves(hash: &[u8; 32]) -> (u128, u128) {
    let half = |bytes: Option<&[u8; 16]>| bytes.map_or(0, |bytes| u128::from_be_bytes(*bytes));
    (half(hash.first_chunk()), half(hash.last_chunk()))
}

impl fmt::Debug for Redis {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").field("namespace", &self.names.namespace).finish_non_exhaustive()
    }
}

impl fmt::Debug for RedisBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisBuilder")
            .field("timeout", &self.timeout)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
