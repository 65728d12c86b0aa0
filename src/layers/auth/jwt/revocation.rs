//! Tokens that are no good any more before they expire.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use super::issuer::MAX_LEEWAY;

/// A token that is good otherwise, as a [`Revocation`] is asked about it.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct TokenFacts<'a> {
    /// Who issued it.
    pub issuer: &'a str,
    /// Whose it is.
    pub subject: &'a str,
    /// Its name (`jti`), if it has one.
    pub id: Option<&'a str>,
    /// When it was issued (`iat`), if it says so.
    pub issued: Option<SystemTime>,
}

impl<'a> TokenFacts<'a> {
    /// Of a token that has no name, and does not say when it was issued.
    #[must_use]
    pub const fn new(issuer: &'a str, subject: &'a str) -> Self {
        Self { issuer, subject, id: None, issued: None }
    }
}

impl fmt::Debug for TokenFacts<'_> {
    /// Without whose it is.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenFacts").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// Knows which tokens were revoked. It is asked on every request, so it answers from memory.
///
/// A closure of the same shape will do.
///
/// ```
/// use std::time::SystemTime;
/// use tower_rampart::auth::{Revocation, TokenFacts};
///
/// let gone = |token: TokenFacts<'_>, _: SystemTime| token.subject == "mallory";
/// assert!(gone.is_revoked(TokenFacts::new("https://idp.example/", "mallory"), SystemTime::now()));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not know what is revoked",
    label = "is not `tower_rampart::auth::Revocation`",
    note = "use `Denylist::new(max_entries)`, or implement its one function, `fn is_revoked(&self, token: TokenFacts<'_>, now: SystemTime) -> bool`"
)]
pub trait Revocation: Send + Sync + 'static {
    /// Whether this token is no good any more.
    fn is_revoked(&self, token: TokenFacts<'_>, now: SystemTime) -> bool;
}

impl<F> Revocation for F
where
    F: Fn(TokenFacts<'_>, SystemTime) -> bool + Send + Sync + 'static,
{
    fn is_revoked(&self, token: TokenFacts<'_>, now: SystemTime) -> bool {
        self(token, now)
    }
}

/// Revoked tokens and logged-out callers, in memory and bounded. Clones are the same list.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use tower_rampart::auth::Denylist;
///
/// let denylist = Denylist::new(10_000);
/// let now = SystemTime::now();
/// // One token, until it would have expired anyway; and all that a caller was given before now.
/// denylist.revoke("https://idp.example/", "token-17", now + Duration::from_secs(600), now)?;
/// denylist.log_out("https://idp.example/", "alice", now + Duration::from_secs(600), now)?;
/// # Ok::<(), tower_rampart::auth::DenylistFull>(())
/// ```
#[derive(Clone)]
pub struct Denylist {
    lists: Arc<RwLock<Lists>>,
    room: usize,
}

type Name = (Box<str>, Box<str>);

#[derive(Default)]
struct Lists {
    /// By issuer and token: when it expires.
    tokens: HashMap<Name, SystemTime>,
    /// By issuer and subject: tokens from before this time are no good, and until when that must be known.
    subjects: HashMap<Name, (SystemTime, SystemTime)>,
}

/// There is no room for another revocation, and none has run out: make the list larger, or tokens shorter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct DenylistFull;

impl fmt::Display for DenylistFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the denylist is full; give it more room, or let tokens live for a shorter time")
    }
}

impl std::error::Error for DenylistFull {}

impl Denylist {
    /// A list of so many tokens and as many callers at most.
    #[must_use]
    pub fn new(max_entries: usize) -> Self {
        Self { lists: Arc::default(), room: max_entries }
    }

    /// Whether nothing is on it.
    #[cfg(feature = "redis")]
    pub(crate) fn is_empty(&self) -> bool {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        lists.tokens.is_empty() && lists.subjects.is_empty()
    }

    /// Revokes one token, by its `jti`. `expires` is when it expires; it stays on the list for five minutes more, the longest
    /// leeway that an issuer can have. What is on the list already stays there for the longer of the two times.
    ///
    /// # Errors
    ///
    /// The list is full of revocations that still matter.
    pub fn revoke(&self, issuer: &str, id: &str, expires: SystemTime, now: SystemTime) -> Result<(), DenylistFull> {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        if lists.tokens.len() >= self.room {
            lists.tokens.retain(|_, expires| still_matters(*expires, now));
        }
        let name = (issuer.into(), id.into());
        if lists.tokens.len() >= self.room && !lists.tokens.contains_key(&name) {
            return Err(DenylistFull);
        }
        let held = lists.tokens.entry(name).or_insert(expires);
        *held = expires.max(*held);
        Ok(())
    }

    /// Revokes all tokens that a caller was given up to `now`. `until` is when the last of them expires.
    ///
    /// # Errors
    ///
    /// The list is full of callers whose tokens still matter.
    pub fn log_out(&self, issuer: &str, subject: &str, until: SystemTime, now: SystemTime) -> Result<(), DenylistFull> {
        let mut lists = self.lists.write().unwrap_or_else(PoisonError::into_inner);
        if lists.subjects.len() >= self.room {
            lists.subjects.retain(|_, (_, until)| still_matters(*until, now));
        }
        let name = (issuer.into(), subject.into());
        if lists.subjects.len() >= self.room && !lists.subjects.contains_key(&name) {
            return Err(DenylistFull);
        }
        // A clock that went back gives nothing back.
        let held = lists.subjects.entry(name).or_insert((now, until));
        *held = (now.max(held.0), until.max(held.1));
        Ok(())
    }
}

/// Whether a token that expires then may still be let in: clocks differ, and issuers' leeway is for that.
fn still_matters(expires: SystemTime, now: SystemTime) -> bool {
    // What lies beyond all dates is never over.
    expires.checked_add(MAX_LEEWAY).is_none_or(|end| now < end)
}

impl Revocation for Denylist {
    fn is_revoked(&self, token: TokenFacts<'_>, now: SystemTime) -> bool {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        if lists.tokens.is_empty() && lists.subjects.is_empty() {
            return false;
        }
        let name = |text: &str| -> Name { (token.issuer.into(), text.into()) };
        let by_id =
            token.id.and_then(|id| lists.tokens.get(&name(id))).is_some_and(|expires| still_matters(*expires, now));
        // One that does not say when it was issued may be from before.
        let by_subject = lists
            .subjects
            .get(&name(token.subject))
            .is_some_and(|(from, _)| token.issued.is_none_or(|issued| issued <= *from));
        by_id || by_subject
    }
}

impl fmt::Debug for Denylist {
    /// Without names.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists = self.lists.read().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Denylist")
            .field("tokens", &lists.tokens.len())
            .field("subjects", &lists.subjects.len())
            .finish_non_exhaustive()
    }
}
