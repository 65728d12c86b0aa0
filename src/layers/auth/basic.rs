//! User names and passwords (RFC 7617).

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::known::Known;
use crate::spine::identity::Identity;
use crate::spine::slots::{Slot, Slots};

/// A name and a password, as somebody sent them.
#[derive(Clone)]
pub struct Login {
    user: Box<str>,
    password: Box<str>,
}

/// Nobody can say whether a credential is good: a database is down. The client is told to come again, not that its
/// password is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct CannotVerify;

/// What a [`VerifyPassword`] answers with: who it is, nobody, or that it cannot say.
pub type LoginFuture = Pin<Box<dyn Future<Output = Result<Option<Identity>, CannotVerify>> + Send>>;

/// Knows passwords.
///
/// A closure that takes a [`Login`] and returns a future will do. Hash passwords slowly (Argon2), off the runtime's
/// threads, and take as long for a user who does not exist.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot verify passwords",
    note = "implement `VerifyPassword`, or pass a closure from a `Login` to a future of `Result<Option<Identity>, CannotVerify>`"
)]
pub trait VerifyPassword: Send + Sync + 'static {
    /// Says who this is.
    fn verify(&self, login: Login) -> LoginFuture;
}

#[diagnostic::do_not_recommend]
impl<F, Fut> VerifyPassword for F
where
    F: Fn(Login) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Option<Identity>, CannotVerify>> + Send + 'static,
{
    fn verify(&self, login: Login) -> LoginFuture {
        Box::pin(self(login))
    }
}

/// User names and passwords, in `Authorization: Basic`. 256 are looked at at once; who comes then is told to come again
/// (503).
///
/// ```
/// use tower_rampart::Identity;
/// use tower_rampart::auth::{Auth, Basic, Login};
///
/// let layer = Auth::new()
///     .basic(Basic::new(|login: Login| async move {
///         let known = login.user() == "ann" && login.password() == "correct horse battery staple";
///         Ok(known.then(|| Identity::new("staff", login.user())))
///     }))
///     .build()?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone)]
#[must_use = "nobody is known until a layer knows whom to ask"]
pub struct Basic {
    verifier: Arc<dyn VerifyPassword>,
    known: Arc<Known<(f64, Identity)>>,
    remember_for: Duration,
    slots: Slots,
}

/// Longer ones are refused unread.
const MAX_CREDENTIAL_BYTES: usize = 2048;
const MAX_KNOWN: usize = 1000;
/// Logins that are looked at at once: slow hashes are work that strangers can ask for.
const MAX_RUNNING: usize = 256;
/// A password that was changed opens the door for so long at most.
const DEFAULT_REMEMBER_FOR: Duration = Duration::from_secs(30);

impl Login {
    /// The user's name.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The password, to be compared and not kept.
    #[must_use]
    pub fn password(&self) -> &str {
        &self.password
    }

    /// RFC 7617 section 2: base64 of a name without a colon, a colon, and a password, in UTF-8 (section 2.1), neither
    /// with control characters.
    pub(super) fn read(credential: &[u8]) -> Option<Self> {
        if credential.len() > MAX_CREDENTIAL_BYTES {
            return None;
        }
        let text = String::from_utf8(STANDARD.decode(credential).ok()?).ok()?;
        let (user, password) = text.split_once(':')?;
        let is_clean = !user.is_empty() && !text.chars().any(char::is_control);
        is_clean.then(|| Self { user: user.into(), password: password.into() })
    }
}

impl Basic {
    /// Asks this verifier.
    pub fn new(verifier: impl VerifyPassword) -> Self {
        Self {
            verifier: Arc::new(verifier),
            known: Arc::new(Known::with_room_for(MAX_KNOWN)),
            remember_for: DEFAULT_REMEMBER_FOR,
            slots: Slots::for_at_most(MAX_RUNNING),
        }
    }

    /// For how long a password that was right is right without asking again: half a minute unless it is said, never at
    /// zero. Hashes of passwords are slow, and clients send them with each request.
    pub const fn remember_for(mut self, time: Duration) -> Self {
        self.remember_for = time;
        self
    }

    /// Who sent this a moment ago. `now` is in seconds.
    pub(super) fn known(&self, credential: &[u8], now: f64) -> Option<Identity> {
        let (since, identity) = self.known.get(self.known.key(credential))?;
        (0.0..self.remember_for.as_secs_f64()).contains(&(now - since)).then_some(identity)
    }

    pub(super) fn remember(&self, credential: &[u8], now: f64, identity: Identity) {
        if !self.remember_for.is_zero() {
            self.known.put(self.known.key(credential), now, (now, identity));
        }
    }

    /// A slot among the logins that are looked at.
    pub(super) fn enter(&self) -> Option<Slot> {
        self.slots.take()
    }

    pub(super) fn verify(&self, login: Login) -> LoginFuture {
        self.verifier.verify(login)
    }
}

impl fmt::Debug for Login {
    /// Without the name and the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login").finish_non_exhaustive()
    }
}

impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic").field("remember_for", &self.remember_for).finish_non_exhaustive()
    }
}

impl fmt::Display for CannotVerify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the credential cannot be verified at the moment")
    }
}

impl std::error::Error for CannotVerify {}
