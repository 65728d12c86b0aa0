//! Keys that are fetched: from an address, or from where an issuer says they are.

mod discovery;
mod refresh;
mod task;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Uri;

use self::refresh::{Need, Plan, Progress, Rules};
use super::super::http::HttpClient;
use super::keys::Held;
use crate::spine::address::{is_trustworthy, without_login};
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::signal::{Signal, Wait};
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
/// # #[cfg(feature = "https-client")] {
/// let client = HttpClient::https()?;
/// let idp = Issuer::new("https://idp.example/")
///     .audience("api")
///     .algorithms([Algorithm::Rs256])
///     .keys(RemoteKeys::discover("https://idp.example/", client)?);
/// # }
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone)]
#[must_use = "keys are fetched when an issuer is given them"]
pub struct RemoteKeys {
    place: Place,
    client: HttpClient,
    rules: Rules,
    timeout: Duration,
    clock: Clock,
}

#[derive(Debug, Clone, PartialEq, Eq)]
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
/// What clients are told that cannot wait for a fetch.
const RETRY: Duration = Duration::from_secs(5);

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

    /// The age at which keys are fetched anew although nothing asks for it; an hour unless it is said.
    pub fn refresh_after(mut self, age: Duration) -> Self {
        self.rules.refresh_after = age.max(Duration::from_secs(1));
        self
    }

    /// For how long keys serve that cannot be fetched anew; a day unless it is said.
    pub const fn max_stale(mut self, age: Duration) -> Self {
        self.rules.max_stale = age;
        self
    }

    /// How long a fetch may take; ten seconds unless it is said.
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

/// What a token that needs keys is told.
pub(super) enum Ask {
    GoOn,
    Unavailable(Duration),
    Wait(Wait),
}

/// Keys that are fetched into a set. Clones are the same.
#[derive(Clone)]
pub(super) struct Remote(Arc<Shared>);

struct Shared {
    keys: RemoteKeys,
    held: Arc<Held>,
    fetched: Arc<Signal>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    progress: Progress,
    /// What the keys were read from: the same again is no news, and verified tokens stay known.
    document: Bytes,
    /// The fetch that runs or ran last.
    fetch: Option<Task>,
    /// Fetches ahead; it ends with the keys.
    refresher: Option<Task>,
}

impl Remote {
    pub(super) fn new(keys: RemoteKeys, held: Arc<Held>) -> Self {
        let (fetched, state) = (Signal::new(MAX_WAITING), Mutex::default());
        Self(Arc::new(Shared { keys, held, fetched, state }))
    }

    /// Fetches if nobody did yet, and keeps the keys fresh.
    pub(super) fn start(&self) {
        let _ = self.ask(true, true);
        self.0.refresh_ahead();
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0.keys.is_same(&other.0.keys)
    }

    pub(super) fn are_usable(&self) -> bool {
        self.0.state().progress.are_usable(&self.0.keys.rules, self.0.keys.clock.now())
    }

    /// Whether the keys count, after having begun to fetch them anew if it is time.
    pub(super) fn keep_fresh(&self) -> bool {
        matches!(self.ask(true, true), Ask::GoOn)
    }

    /// What to do for a token whose key was found, or not.
    pub(super) fn ask(&self, found: bool, waited: bool) -> Ask {
        let mut state = self.0.state();
        let need = if found { Need::Keys } else { Need::NewKey };
        let now = self.0.keys.clock.now();
        let plan = state.progress.plan(&self.0.keys.rules, now, need);
        let begins = matches!(plan, Plan::Fetch | Plan::GoOnAndFetch) && wiring::can_spawn();
        if begins {
            state.progress.begun(now);
        }
        // Under the lock: a fetch that runs cannot end before somebody waits for it.
        let wait = if matches!(plan, Plan::Fetch | Plan::Wait) && !waited { self.0.fetched.wait() } else { None };
        drop(state);
        if begins {
            self.0.fetch();
        }
        match plan {
            Plan::GoOn | Plan::GoOnAndFetch => Ask::GoOn,
            Plan::Unavailable(left) => Ask::Unavailable(left),
            Plan::Fetch if !begins => Ask::Unavailable(RETRY),
            Plan::Fetch | Plan::Wait => wait.map_or(Ask::Unavailable(RETRY), Ask::Wait),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("keys", &self.0.keys).finish_non_exhaustive()
    }
}
