//! Keys that are fetched: from an address, or from where an issuer says they are.

mod desk;
mod discovery;
mod refresh;
mod task;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;

use self::desk::Desk;
pub(super) use self::desk::Turn;
use self::refresh::{Need, Rules};
use super::super::http::HttpClient;
use super::key_set::KeySet;
use super::keys::Held;
use crate::spine::address::{is_trustworthy, without_login};
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::wiring::{self, Task};

/// Where keys are fetched from, and how often.
///
/// They are fetched in the background: at the start, ahead of their age, and when a token names a key that is not among
/// them, but for tokens no more than once in a `cooldown`, however many ask and whether it succeeds or not. All who need the
/// same fetch wait for one. While the issuer cannot be reached the keys there are serve on, for `max_stale`; a set
/// without a usable key replaces none.
///
/// ```no_run
/// use tower_rampart::auth::{Algorithm, HttpClient, Issuer, RemoteKeys};
///
/// # #[cfg(feature = "auth-https-client")] {
/// let client = HttpClient::https()?;
/// let idp = Issuer::new("https://idp.example/")
///     .audience("api")
///     .algorithms([Algorithm::Rs256])
///     .keys(RemoteKeys::discover("https://idp.example/", client)?);
/// # }
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "keys are fetched when an issuer is given them"]
pub struct RemoteKeys {
    place: Place,
    client: HttpClient,
    rules: Rules,
    timeout: Duration,
    clock: Clock,
}

#[derive(Clone, PartialEq, Eq)]
enum Place {
    Address(Uri),
    /// By the metadata of this issuer.
    Discovered(Box<str>),
}

const DEFAULT_COOLDOWN: Duration = Duration::from_secs(30);
const DEFAULT_REFRESH_AFTER: Duration = Duration::from_secs(3600);
const DEFAULT_MAX_STALE: Duration = Duration::from_secs(86_400);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests that wait for one fetch: each is one that a server holds anyway.
const MAX_WAITING: usize = 16_384;

impl RemoteKeys {
    /// Keys that stand at an address: a JWK Set.
    ///
    /// # Errors
    ///
    /// What is no https address, and no http address of this machine.
    pub fn at(url: &str, client: HttpClient) -> Result<Self, ConfigError> {
        const MEND: &str = "write an https URL; http is for `localhost` and loopback addresses";
        let uri = url.parse::<Uri>().ok().filter(is_trustworthy);
        let uri = uri.ok_or_else(|| {
            ConfigError::new("jwks_url", without_login(url), "is no address that keys are taken from", MEND)
        })?;
        Ok(Self::new(Place::Address(uri), client))
    }

    /// Keys of an issuer that says where they are: by OpenID Connect Discovery 1.0, or by RFC 8414. What it says counts
    /// only when it names itself exactly so.
    ///
    /// # Errors
    ///
    /// An issuer whose name is no https URL, and no http URL of this machine.
    pub fn discover(issuer: &str, client: HttpClient) -> Result<Self, ConfigError> {
        const MEND: &str = "write its https URL, byte for byte, or give its keys with `RemoteKeys::at`";
        if discovery::documents(issuer).is_none() {
            return Err(ConfigError::new("issuer", without_login(issuer), "is no URL that describes itself", MEND));
        }
        Ok(Self::new(Place::Discovered(issuer.into()), client))
    }

    fn new(place: Place, client: HttpClient) -> Self {
        let rules =
            Rules { cooldown: DEFAULT_COOLDOWN, refresh_after: DEFAULT_REFRESH_AFTER, max_stale: DEFAULT_MAX_STALE };
        Self { place, client, rules, timeout: DEFAULT_TIMEOUT, clock: Clock::system() }
    }

    /// The least time between two fetches that tokens ask for; half a minute unless it is said, and one second at least.
    pub fn cooldown(mut self, cooldown: Duration) -> Self {
        self.rules.cooldown = cooldown.max(Duration::from_secs(1));
        self
    }

    /// The age at which keys are fetched anew although nothing asks for it; an hour unless it is said, and half of `max_stale`
    /// at most.
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.rules.refresh_after = age.max(Duration::from_secs(1));
        self
    }

    /// For how long keys serve that cannot be fetched anew; a day unless it is said, and twice the cooldown at least, since
    /// they would be stale before they may be fetched.
    pub const fn max_stale(mut self, age: Duration) -> Self {
        self.rules.max_stale = age;
        self
    }

    /// How long a fetch may take, with the issuer's metadata and all redirects; ten seconds unless it is said.
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Whether both come from the same place by the same rules.
    fn is_same(&self, other: &Self) -> bool {
        self.place == other.place && self.rules == other.rules && self.timeout == other.timeout
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// Keys that are fetched into a set. Clones are the same.
#[derive(Clone)]
pub(super) struct Remote(Arc<Shared>);

struct Shared {
    keys: RemoteKeys,
    held: Arc<Held>,
    desk: Arc<Desk>,
    /// What the keys were read from: the same again is no news, and verified tokens stay known.
    document: Mutex<Bytes>,
    /// Fetches ahead; it ends with the keys.
    refresher: Mutex<Option<Task>>,
}

impl Remote {
    pub(super) fn new(keys: RemoteKeys, held: Arc<Held>) -> Self {
        let desk = Arc::new(Desk::new(keys.rules.in_order(), MAX_WAITING));
        Self(Arc::new(Shared { keys, held, desk, document: Mutex::default(), refresher: Mutex::default() }))
    }

    /// Fetches if nobody did yet, and keeps the keys fresh.
    pub(super) fn start(&self) {
        let _ = self.ask(true, true);
        self.0.refresh_ahead();
    }

    /// Whether both come from the same place.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.0.keys.place == other.0.keys.place
    }

    /// Whether both come from the same place by the same rules.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.keys.is_same(&other.0.keys)
    }

    /// Goes on with what another one has fetched from the same place, unless it has fetched something itself.
    pub(super) fn go_on_from(&self, other: &Self) {
        self.0.desk.go_on_from(&other.0.desk, || {
            if let Some(set) = other.0.held.now().set {
                self.0.held.replace(KeySet::clone(&set));
            }
            let document = other.0.document().clone();
            *self.0.document() = document;
        });
    }

    pub(super) fn are_usable(&self) -> bool {
        self.0.desk.are_usable(self.0.keys.clock.now())
    }

    /// Whether the keys count, after having begun to fetch them anew if it is time.
    pub(super) fn keep_fresh(&self) -> bool {
        matches!(self.ask(true, true), Turn::GoOn)
    }

    /// What to do for a token whose key was found, or not.
    pub(super) fn ask(&self, found: bool, waited: bool) -> Turn {
        let need = if found { Need::Keys } else { Need::NewKey };
        let (turn, fetching) = self.0.desk.ask(self.0.keys.clock.now(), need, waited, wiring::can_spawn());
        if let Some(fetching) = fetching {
            self.0.fetch(fetching);
        }
        turn
    }
}

impl Shared {
    fn document(&self) -> MutexGuard<'_, Bytes> {
        self.document.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RemoteKeys {
    /// Without the address, whose query may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RemoteKeys").field("rules", &self.rules).field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("keys", &self.0.keys).finish_non_exhaustive()
    }
}
