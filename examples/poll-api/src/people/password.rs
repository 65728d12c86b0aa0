//! Passwords, by argon2id: hashed where blocking is no harm, a few at a time.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};
use tokio::sync::Semaphore;
use tracing::error;

use crate::fault::{Fault, Result};

/// Each hash takes 19 MiB and a core for some 20 ms.
const AT_A_TIME: usize = 4;
/// More than so many behind each other would wait for longer than people do.
const WAITING: usize = 64;

#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// The hash of a password that nobody has.
    nobodys: String,
}

const BUSY: Fault = Fault::Unavailable("Too many people are logging in. Try again in a moment.");

impl Passwords {
    pub async fn new() -> Result<Self> {
        let mut passwords = Self {
            running: Arc::new(Semaphore::new(AT_A_TIME)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            nobodys: String::new(),
        };
        passwords.nobodys = passwords.hash(&super::new_secret()).await?;
        Ok(passwords)
    }

    /// A hash to be stored.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.blocking(move || {
            let hash: std::result::Result<PasswordHash, _> = Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string()).map_err(|fault| {
                error!(%fault, "a password cannot be hashed");
                Fault::Internal
            })
        })
        .await?
    }

    /// Whether the password is the one that was hashed. It takes as long where there is no hash, and is wrong then.
    pub async fn is_right(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let (password, known) = (password.to_owned(), hash.is_some());
        let hash = hash.unwrap_or_else(|| self.nobodys.clone());
        self.blocking(move || {
            let parsed = PasswordHash::new(&hash).map_err(|fault| {
                error!(%fault, "a stored hash is none");
                Fault::Internal
            })?;
            Ok(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok() && known)
        })
        .await?
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| BUSY)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| BUSY)?;
        drop(waiting);
        // The place is held until the work is done, also when nobody waits for it any more.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(running);
            done
        });
        done.await.map_err(|fault| {
            error!(%fault, "a password was not judged");
            Fault::Internal
        })
    }
}
