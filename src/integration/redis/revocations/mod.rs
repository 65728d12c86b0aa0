//! Tokens and callers that one instance revokes and all refuse.

mod told;

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use redis::{ErrorKind, FromRedisValue, RedisError, RedisResult};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::told::{CALLER, TOKEN, Told, millis};
use super::Redis;
use super::ear::Ear;
use super::question::Code;
use crate::integration::timer;
use crate::layers::auth::{Denylist, DenylistFull, Revocation, TokenFacts};
use crate::spine::clock::Clock;

static REVOKE: LazyLock<Code> = LazyLock::new(|| Code::new(include_str!("revoke.lua")));
static PAGE: LazyLock<Code> = LazyLock::new(|| Code::new(include_str!("page.lua")));

/// What is read at a time.
const PAGE_LENGTH: usize = 500;
/// How long a revocation is kept beyond its token's end: the longest leeway that an issuer can have.
const BEYOND: Duration = Duration::from_secs(300);
/// The first pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Revoked tokens and logged-out callers that instances share. Made by [`Redis::revocations`]. Clones are the same.
///
/// It answers from memory, where it has all that is revoked: it loads it when it is first used, hears what others revoke
/// a moment later, and loads it anew when the connection was lost. While the server is away, it refuses what it knows.
///
/// ```no_run
/// use std::time::{Duration, SystemTime};
/// use tower_rampart::auth::{Issuer, JwtVerifier};
/// use tower_rampart::redis::Redis;
///
/// # async fn start(idp: Issuer) -> Result<(), Box<dyn std::error::Error>> {
/// let revocations = Redis::builder("redis://127.0.0.1:6379").build()?.revocations(10_000);
/// let verifier = JwtVerifier::new([idp])?.revocation(revocations.clone());
/// // Before the first request, so that nothing revoked is let in.
/// revocations.loaded().await;
///
/// let now = SystemTime::now();
/// revocations.log_out("https://idp.example/", "alice", now + Duration::from_secs(600), now).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisRevocations {
    shared: Arc<Shared>,
}

struct Shared {
    redis: Redis,
    room: usize,
    known: Denylist,
    is_loaded: watch::Sender<bool>,
    feed: Mutex<Option<JoinHandle<()>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        let feed = self.feed.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(feed) = feed.take() {
            feed.abort();
        }
    }
}

/// Why something is not revoked everywhere. Here it is, unless there was no room.
#[derive(Debug)]
#[non_exhaustive]
pub enum RevocationError {
    /// There is no room for it.
    Full,
    /// The server did not take it: others have not heard of it.
    NotShared(Box<dyn std::error::Error + Send + Sync>),
}

impl fmt::Display for RevocationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => DenylistFull.fmt(f),
            Self::NotShared(_) => f.write_str("it is revoked here alone: the server did not take it"),
        }
    }
}

impl std::error::Error for RevocationError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full => None,
            Self::NotShared(cause) => Some(&**cause),
        }
    }
}

impl RedisRevocations {
    /// Hears of others at once where there is a runtime, else when it is first used in one.
    pub(super) fn new(redis: Redis, room: usize) -> Self {
        let known = Denylist::new(room);
        let shared = Shared { redis, room, known, is_loaded: watch::Sender::new(false), feed: Mutex::default() };
        let this = Self { shared: Arc::new(shared) };
        this.listen();
        this
    }

    /// Revokes one token, by its `jti`, until it expires.
    ///
    /// # Errors
    ///
    /// There is no room, or the server did not take it: then it is revoked here, and is to be tried again for the others.
    pub async fn revoke(
        &self,
        issuer: &str,
        id: &str,
        expires: SystemTime,
        now: SystemTime,
    ) -> Result<(), RevocationError> {
        let name = self.name(TOKEN, issuer, id);
        self.shared.known.revoke("", &name, expires, now).map_err(|_| RevocationError::Full)?;
        self.tell(&name, expires, String::new()).await
    }

    /// Revokes all tokens that a caller was given up to `now`. `until` is when the last of them expires.
    ///
    /// # Errors
    ///
    /// There is no room, or the server did not take it: then it is revoked here, and is to be tried again for the others.
    pub async fn log_out(
        &self,
        issuer: &str,
        subject: &str,
        until: SystemTime,
        now: SystemTime,
    ) -> Result<(), RevocationError> {
        let name = self.name(CALLER, issuer, subject);
        self.shared.known.log_out("", &name, until, now).map_err(|_| RevocationError::Full)?;
        self.tell(&name, until, millis(now).to_string()).await
    }

    /// Waits until all is known that is revoked: for ever, while the server is away, so give it a timeout.
    pub async fn loaded(&self) {
        self.listen();
        let mut is_loaded = self.shared.is_loaded.subscribe();
        // The sender lives as long as this does.
        let _ = is_loaded.wait_for(|is_loaded| *is_loaded).await;
    }

    /// Whether all is known that was revoked up to a moment ago: the connection stands.
    #[must_use]
    pub fn is_current(&self) -> bool {
        *self.shared.is_loaded.borrow()
    }

    async fn tell(&self, name: &str, until: SystemTime, from: String) -> Result<(), RevocationError> {
        self.listen();
        let shared = &self.shared;
        let until = until.checked_add(BEYOND).unwrap_or(until);
        let arguments = [
            name.to_owned(),
            millis(until).to_string(),
            from,
            shared.channel(),
            // Each list has its own room.
            shared.room.saturating_mul(2).to_string(),
        ];
        let is_known: bool = shared.run(&REVOKE, &arguments).await.map_err(RevocationError::NotShared)?;
        if is_known { Ok(()) } else { Err(RevocationError::Full) }
    }

    /// What it is known by: no name of a caller is stored or told.
    fn name(&self, kind: char, issuer: &str, text: &str) -> String {
        let mut hash = Sha256::new();
        for part in [&*self.shared.redis.names.secret, issuer.as_bytes(), text.as_bytes()] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let hash: [u8; 32] = hash.finalize().into();
        let (half, _) = super::u128_halves(&hash);
        format!("{kind}{half:032x}")
    }

    /// Listens, unless somebody does.
    fn listen(&self) {
        let Ok(runtime) = Handle::try_current() else { return };
        let mut feed = self.shared.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if feed.as_ref().is_none_or(JoinHandle::is_finished) {
            let ear = Ear::new(self.shared.redis.servers.clone(), self.shared.channel());
            *feed = Some(runtime.spawn(listen(Arc::downgrade(&self.shared), ear)));
        }
    }
}

impl Shared {
    fn key(&self, of: &str) -> String {
        format!("{{{}:revoked}}:{of}", self.redis.names.namespace)
    }

    fn channel(&self) -> String {
        self.key("told")
    }

    async fn run<T: FromRedisValue>(
        &self,
        code: &Code,
        arguments: &[String],
    ) -> Result<T, Box<dyn std::error::Error + Send + Sync>> {
        let keys = [self.key("until"), self.key("from")];
        Ok(self.redis.servers.ask(code.on(&keys, arguments)).await?)
    }

    /// Learns all that the server knows.
    async fn load(&self) -> RedisResult<()> {
        let lost = |_| RedisError::from((ErrorKind::Io, "what is revoked could not be read"));
        // What is revoked meanwhile pushes others to later pages, where they are read twice; it is told too.
        for first in (0..self.room.saturating_mul(2)).step_by(PAGE_LENGTH) {
            let bounds = [first.to_string(), (first + PAGE_LENGTH - 1).to_string()];
            let page: Vec<String> = self.run(&PAGE, &bounds).await.map_err(lost)?;
            page.iter().for_each(|told| self.learn(told));
            if page.len() < PAGE_LENGTH {
                break;
            }
        }
        Ok(())
    }

    /// What there is no room for, or is none, is passed over: rooms are alike, so that whoever revoked it was told.
    fn learn(&self, told: &str) {
        let now = Clock::system().wall();
        let learnt = match told::read(told) {
            Some(Told::Token { name, until }) if now < until => self.known.revoke("", name, until, now),
            Some(Told::Caller { name, from, until }) if now < until => self.known.log_out("", name, until, from),
            _ => Ok(()),
        };
        let _ = learnt;
    }
}

async fn listen(shared: Weak<Shared>, mut ear: Ear) {
    let mut pause = FIRST_PAUSE;
    loop {
        match listen_once(&shared, &mut ear).await {
            Some(Ok(())) => pause = FIRST_PAUSE,
            Some(Err(_)) => {
                // Without timers nobody tries again until it is asked the next time.
                let Some(wait) = timer::start(pause) else { return };
                wait.await;
                pause = LONGEST_PAUSE.min(pause * 2);
            }
            None => return,
        }
    }
}

/// `None` when nobody is there any more.
async fn listen_once(shared: &Weak<Shared>, ear: &mut Ear) -> Option<RedisResult<()>> {
    if ear.is_open() {
        let heard = ear.hear().await;
        let shared = shared.upgrade()?;
        return Some(match heard {
            Ok(heard) => {
                if let Ok(told) = std::str::from_utf8(&heard) {
                    shared.learn(told);
                }
                Ok(())
            }
            Err(error) => {
                shared.is_loaded.send_replace(false);
                Err(error)
            }
        });
    }
    if let Err(error) = ear.open().await {
        return Some(Err(error));
    }
    let shared = shared.upgrade()?;
    let loaded = shared.load().await;
    match &loaded {
        Ok(()) => drop(shared.is_loaded.send_replace(true)),
        Err(_) => ear.close(),
    }
    Some(loaded)
}

impl Revocation for RedisRevocations {
    fn is_revoked(&self, token: TokenFacts<'_>, now: SystemTime) -> bool {
        if !self.is_current() {
            self.listen();
        }
        if self.shared.known.is_empty() {
            return false;
        }
        let id = token.id.map(|id| self.name(TOKEN, token.issuer, id));
        let subject = self.name(CALLER, token.issuer, token.subject);
        let named = TokenFacts { issuer: "", subject: &subject, id: id.as_deref(), issued: token.issued };
        self.shared.known.is_revoked(named, now)
    }
}

impl fmt::Debug for RedisRevocations {
    /// Without names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisRevocations").field("known", &self.shared.known).finish_non_exhaustive()
    }
}
