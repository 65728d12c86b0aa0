//! Who people are: names and passwords, sessions, tokens.

mod keys;
mod password;
mod revoked;
mod secret;
mod tokens;

use std::sync::Arc;

use uuid::Uuid;

pub use self::keys::SigningKeys;
use self::password::Passwords;
pub use self::revoked::Revoked;
use self::secret::{hash_of, new_secret};
pub use self::tokens::{AUDIENCE, ISSUER, LIFETIME_SECONDS, SessionClaims};
use crate::clock::now_ms;
use crate::completion::to_completion;
use crate::db::{Db, Rotated, User};
use crate::fault::{Breach, Fault, Result};
use crate::news::{News, Speaker};

/// Registers people, logs them in and out.
#[derive(Debug)]
pub struct People {
    db: Arc<Db>,
    keys: SigningKeys,
    revoked: Revoked,
    passwords: Passwords,
    speaker: Option<Speaker>,
}

/// What a login or a refresh gives.
#[derive(Debug)]
pub struct Pair {
    pub access_token: String,
    pub refresh_token: String,
}

const WRONG: Fault = Fault::Unauthenticated("The user name or the password is wrong.");
const ENDED: Fault = Fault::Unauthenticated("The session has ended. Log in again.");

impl People {
    /// Reads the keys, and makes the first where there is none.
    pub async fn open(db: Arc<Db>, speaker: Option<Speaker>) -> Result<Self> {
        let keys = SigningKeys::load(&db).await?;
        let people = Self { db, keys, revoked: Revoked::default(), speaker, passwords: Passwords::new().await? };
        people.learn_revocations().await?;
        Ok(people)
    }

    pub const fn keys(&self) -> &SigningKeys {
        &self.keys
    }

    pub fn revoked(&self) -> Revoked {
        self.revoked.clone()
    }

    /// Learns which sessions ended, here before a restart or in another process.
    pub async fn learn_revocations(&self) -> Result<()> {
        for (session, at) in self.db.revoked_since(now_ms() - tokens::LIFETIME_MS * 2).await? {
            self.revoked.add(&session, at + tokens::LIFETIME_MS * 2);
        }
        Ok(())
    }

    /// A session that ended in another process.
    pub fn ended_elsewhere(&self, session: &str) {
        self.revoked.add(session, now_ms() + tokens::LIFETIME_MS * 2);
    }

    fn ends(&self) -> Ends {
        Ends { revoked: self.revoked.clone(), speaker: self.speaker.clone() }
    }

    /// Registers somebody.
    pub async fn register(&self, username: &str, password: &str) -> Result<User> {
        let username = username.to_ascii_lowercase();
        let breaches = breaches(&username, password);
        if !breaches.is_empty() {
            return Err(Fault::Invalid(breaches));
        }
        self.add(username, password, "author").await
    }

    /// Makes the first admin, with a password that is made up where none is given; `None` when there is one.
    pub async fn first_admin(&self, given: Option<&str>) -> Result<Option<String>> {
        if self.db.user_by_name("admin").await?.is_some() {
            return Ok(None);
        }
        let password = given.map_or_else(|| new_secret().chars().take(24).collect(), str::to_owned);
        let breaches = breaches("admin", &password);
        if !breaches.is_empty() {
            return Err(Fault::Invalid(breaches));
        }
        match self.add("admin".to_owned(), &password, "admin").await {
            Ok(_) => Ok(Some(password)),
            // Another process was quicker.
            Err(Fault::Exists(_)) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    async fn add(&self, username: String, password: &str, role: &str) -> Result<User> {
        let password_hash = self.passwords.hash(password).await?;
        let user = User { id: Uuid::now_v7().to_string(), username, password_hash, role: role.to_owned() };
        if self.db.add_user(&user).await? { Ok(user) } else { Err(Fault::Exists("The user name is taken.")) }
    }

    /// Begins a session.
    pub async fn log_in(&self, username: &str, password: &str) -> Result<Pair> {
        let user = self.db.user_by_name(&username.to_ascii_lowercase()).await?;
        // Somebody unknown costs as much time as a wrong password, so that names cannot be found out.
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        if !self.passwords.is_right(password, hash).await? {
            return Err(WRONG);
        }
        let Some(user) = user else { return Err(WRONG) };
        let (session, refresh_token) = (Uuid::now_v7().to_string(), new_secret());
        self.db.begin_session(&session, &user.id, &hash_of(&refresh_token)).await?;
        Ok(Pair { access_token: self.keys.access_token(&session, &user)?, refresh_token })
    }

    /// Takes a refresh token for a new pair.
    pub async fn refresh(&self, refresh_token: &str) -> Result<Pair> {
        let next = new_secret();
        let (db, ends, hashes) = (Arc::clone(&self.db), self.ends(), (hash_of(refresh_token), hash_of(&next)));
        let refreshed = to_completion(async move {
            let refreshed = db.rotate(&hashes.0, &hashes.1).await?;
            if let Rotated::Reused { session_id } = &refreshed {
                tracing::warn!(session = session_id, "a refresh token was used twice; its session ends");
                ends.end(session_id);
            }
            Ok(refreshed)
        });
        match refreshed.await? {
            Rotated::Session(session) => {
                Ok(Pair { access_token: self.keys.access_token(&session.id, &session.user)?, refresh_token: next })
            }
            Rotated::Reused { .. } | Rotated::Unknown => Err(ENDED),
        }
    }

    /// Ends a session: its refresh token and its access tokens are no good from now on.
    pub async fn log_out(&self, session: &str) -> Result<()> {
        let (db, ends, session) = (Arc::clone(&self.db), self.ends(), session.to_owned());
        to_completion(async move {
            db.revoke_session(&session).await?;
            ends.end(&session);
            Ok(())
        })
        .await
    }
}

/// What ends sessions, here and elsewhere.
struct Ends {
    revoked: Revoked,
    speaker: Option<Speaker>,
}

impl Ends {
    /// A session's tokens are no good from now on.
    fn end(&self, session: &str) {
        self.revoked.add(session, now_ms() + tokens::LIFETIME_MS * 2);
        if let Some(speaker) = &self.speaker {
            speaker.tell(News::Ended(session.to_owned()));
        }
    }
}

/// What a name and a password must be like.
fn breaches(username: &str, password: &str) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    if !(3..=32).contains(&username.len()) || !username.bytes().all(is_plain) {
        breaches.push(Breach::new("#/username", "must be 3 to 32 of the letters a-z, digits, `_` and `-`"));
    }
    if !(12..=128).contains(&password.chars().count()) {
        breaches.push(Breach::new("#/password", "must have 12 to 128 characters"));
    }
    if password.eq_ignore_ascii_case(username) {
        breaches.push(Breach::new("#/password", "must not be the user name"));
    }
    breaches
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_passwords_have_rules() {
        let pointers = |name: &str, password: &str| {
            breaches(name, password).into_iter().map(|breach| breach.pointer.into_owned()).collect::<Vec<_>>()
        };
        assert!(pointers("ann", "a long password").is_empty());
        // Characters count, not bytes.
        assert!(pointers("a_-0", "ääääääääääää").is_empty());
        assert_eq!(pointers("an", "a long password"), ["#/username"]);
        assert_eq!(pointers("ann ", "a long password"), ["#/username"]);
        assert_eq!(pointers(&"a".repeat(33), "a long password"), ["#/username"]);
        assert_eq!(pointers("ann", "short"), ["#/password"]);
        assert_eq!(pointers("ann", &"x".repeat(129)), ["#/password"]);
        assert_eq!(pointers("twelve-chars", "Twelve-Chars"), ["#/password"]);
    }
}
