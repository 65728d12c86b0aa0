//! Passwords, by argon2id: hashed where blocking is no harm, a few at a time, in memory that is kept for it. Freed, the
//! allocator would keep some of it for each thread that ever did this, which is ten times as much.

use std::sync::{Arc, Mutex, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::password_hash::{self, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::Semaphore;

use crate::fault::{Fault, Result};

/// Each hash takes 19 MiB and a core for some 20 ms.
const AT_A_TIME: usize = 4;
/// More than so many behind each other would wait for longer than people do: some three seconds.
const WAITING: usize = 256;

#[derive(Debug)]
pub struct Passwords {
    running: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// Of those that have run, one for each place.
    memories: Arc<Mutex<Vec<Memory>>>,
    /// The hash of a password that nobody has.
    nobodys: String,
}

type Memory = Vec<Block>;

const BUSY: Fault = Fault::Unavailable("Too many people are logging in. Try again in a moment.");

impl Passwords {
    pub async fn new() -> Result<Self> {
        let mut passwords = Self {
            running: Arc::new(Semaphore::new(AT_A_TIME)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            memories: Arc::default(),
            nobodys: String::new(),
        };
        passwords.nobodys = passwords.hash(&super::new_secret()).await?;
        Ok(passwords)
    }

    /// A hash to be stored.
    pub async fn hash(&self, password: &str) -> Result<String> {
        let password = password.to_owned();
        self.blocking(move |memory| {
            new_hash(&password, memory).map_err(|error| Fault::internal("a password cannot be hashed", error))
        })
        .await?
    }

    /// Whether the password is the one that was hashed. It takes as long where there is no hash, and is wrong then.
    pub async fn is_right(&self, password: &str, hash: Option<String>) -> Result<bool> {
        let (password, known) = (password.to_owned(), hash.is_some());
        let hash = hash.unwrap_or_else(|| self.nobodys.clone());
        self.blocking(move |memory| {
            let is_of =
                is_of(&hash, &password, memory).map_err(|error| Fault::internal("a stored hash is none", error))?;
            Ok(is_of && known)
        })
        .await?
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce(&mut Memory) -> T + Send + 'static) -> Result<T> {
        let waiting = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| BUSY)?;
        let running = Arc::clone(&self.running).acquire_owned().await.map_err(|_| BUSY)?;
        drop(waiting);
        // The place is held until the work is done, also when nobody waits for it any more.
        let memories = Arc::clone(&self.memories);
        let done = tokio::task::spawn_blocking(move || {
            let kept = memories.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let mut memory = kept.unwrap_or_default();
            let done = work(&mut memory);
            memories.lock().unwrap_or_else(PoisonError::into_inner).push(memory);
            drop(running);
            done
        });
        done.await.map_err(|error| Fault::internal("a password was not judged", error))
    }
}

/// A hash under a new salt, in the PHC string format.
fn new_hash(password: &str, memory: &mut Memory) -> password_hash::Result<String> {
    let (algorithm, version, params) = (Algorithm::default(), Version::default(), Params::default());
    let salt = Salt::new(&try_generate_salt()?)?;
    let hash = PasswordHash {
        algorithm: algorithm.ident(),
        version: Some(version.into()),
        params: ParamsString::try_from(&params)?,
        salt: Some(salt),
        hash: Some(output(
            &Argon2::new(algorithm, version, params),
            password,
            &salt,
            Params::DEFAULT_OUTPUT_LEN,
            memory,
        )?),
    };
    Ok(hash.to_string())
}

/// Whether a hash is of this password: made with what it says it was made with.
fn is_of(hash: &str, password: &str, memory: &mut Memory) -> password_hash::Result<bool> {
    let hash = PasswordHash::new(hash)?;
    let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
        return Err(password_hash::Error::EncodingInvalid);
    };
    let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
    let argon = Argon2::new(hash.algorithm.as_str().try_into()?, version, Params::try_from(&hash)?);
    // Compared in constant time.
    Ok(output(&argon, password, salt, expected.len(), memory)? == *expected)
}

fn output(
    argon: &Argon2<'_>,
    password: &str,
    salt: &[u8],
    length: usize,
    memory: &mut Memory,
) -> password_hash::Result<Output> {
    memory.resize(argon.params().block_count(), Block::new());
    let mut bytes = [0; Output::MAX_LENGTH];
    let bytes = bytes.get_mut(..length).ok_or(password_hash::Error::OutputSize)?;
    argon.hash_password_into_with_memory(password.as_bytes(), salt, bytes, memory)?;
    Ok(Output::new(bytes)?)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    #[test]
    fn hashes_are_those_of_the_crate() {
        let mut memory = Memory::new();
        // The second in memory that is used.
        for password in ["a long password", "another password"] {
            let ours = new_hash(password, &mut memory).unwrap();
            let parsed = PasswordHash::new(&ours).unwrap();
            assert!(Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok(), "{ours}");
            let theirs: PasswordHash = Argon2::default().hash_password(password.as_bytes()).unwrap();
            assert!(is_of(&theirs.to_string(), password, &mut memory).unwrap());
            assert!(!is_of(&ours, "a wrong password", &mut memory).unwrap());
            assert_ne!(new_hash(password, &mut memory).unwrap(), ours, "each has its salt");
        }
        // Another cost than ours, as hashes of a later version may have.
        let params = Params::new(1024, 3, 1, None).unwrap();
        let dear: PasswordHash =
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password(b"a long password").unwrap();
        assert!(is_of(&dear.to_string(), "a long password", &mut memory).unwrap());
        for odd in ["", "x", "$argon2id$v=19$m=19456,t=2,p=1", "$scrypt$ln=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"] {
            assert!(is_of(odd, "a long password", &mut memory).is_err(), "{odd}");
        }
    }

    #[tokio::test]
    async fn memory_is_kept_for_as_many_as_run_at_a_time() {
        let passwords = Passwords::new().await.unwrap();
        let hash = passwords.hash("a long password").await.unwrap();
        let judged = (0..12).map(|_| passwords.is_right("a long password", Some(hash.clone())));
        for is_right in futures_util::future::join_all(judged).await {
            assert!(is_right.unwrap());
        }
        let memories = passwords.memories.lock().unwrap();
        assert!((1..=AT_A_TIME).contains(&memories.len()), "{}", memories.len());
        assert!(memories.iter().all(|memory| memory.len() == Params::default().block_count()));
    }
}
