//! Responses that instances share, and what they purge.

mod message;
mod packed;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::LazyLock;
use std::time::Duration;

use redis::FromRedisValue;

use self::message::{Message, item, places};
use self::packed::{Packed, pack, unpack};
use super::Redis;
use super::ear::Ear;
use super::question::{Code, Question};
use crate::layers::cache::{
    Listener, Look, Looked, Moment, News, Put, Record, Store, StoreError, StoreFuture, StorePurge, Turn,
};

/// A second tier for caches, in Redis. Made by [`Redis::cache`].
#[derive(Debug, Clone)]
pub struct RedisCache {
    redis: Redis,
}

macro_rules! with_ledger {
    ($file:literal) => {
        LazyLock::new(|| Code::new(concat!(include_str!("ledger.lua"), include_str!($file))))
    };
}

static GET: LazyLock<Code> = with_ledger!("get.lua");
static PUT: LazyLock<Code> = with_ledger!("put.lua");
static PURGE: LazyLock<Code> = with_ledger!("purge.lua");
static NOW: LazyLock<Code> = with_ledger!("now.lua");
static RELEASE: LazyLock<Code> = LazyLock::new(|| Code::new(include_str!("release.lua")));

/// The longest that a record is kept.
const MAX_KEEP: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The longest lease of a claim, by which scripts know theirs from what others wrote.
const MAX_LEASE: Duration = Duration::from_secs(60);
/// How long it is known that what was fetched is for nobody else.
const DECLINED: Duration = Duration::from_secs(1);

/// An answer in which there is something else than there should be.
#[derive(Debug)]
struct Nonsense;

impl std::fmt::Display for Nonsense {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the server's answer is none")
    }
}

impl std::error::Error for Nonsense {}

fn nonsense() -> StoreError {
    StoreError::new(Nonsense).because("what stands in the ledger of purges is none")
}

/// Era, number, turn, whether it is stale, the record, and how long it was if it is packed.
type Got = (String, u64, u8, bool, Option<Vec<u8>>, Option<usize>);

fn moment(era: &str, number: u64) -> Option<Moment> {
    Some(Moment { era: u64::from_str_radix(era, 16).ok()?, number })
}

/// In milliseconds, and no more than so many.
fn millis(time: Duration, most: Duration) -> Vec<u8> {
    time.min(most).as_millis().to_string().into_bytes()
}

impl RedisCache {
    pub(super) const fn of(redis: Redis) -> Self {
        Self { redis }
    }

    fn name(&self, of: &str) -> String {
        // Everything stands in one slot of a cluster, since every script looks at the ledger.
        format!("{{{}:cache}}:{of}", self.redis.names.namespace)
    }

    fn named(&self, of: &str, key: &[u8]) -> String {
        use std::fmt::Write as _;
        let mut name = self.name(of);
        for byte in key {
            // Text never fails to be written.
            let _ = write!(name, "{byte:02x}");
        }
        name
    }

    async fn run<T: FromRedisValue>(
        &self,
        code: &Code,
        keys: &[String],
        arguments: &[Vec<u8>],
    ) -> Result<T, StoreError> {
        Ok(self.redis.servers.ask(code.on(keys, arguments)).await?)
    }

    async fn get_one(&self, look: Look<'_>) -> Result<Looked, StoreError> {
        let Look { key, max_bytes, claim } = look;
        let (token, lease) = claim.map_or_else(
            || (Vec::new(), Vec::new()),
            |claim| {
                let lease = claim.lease.max(Duration::from_millis(1));
                (format!("{:016x}", claim.token).into_bytes(), millis(lease, MAX_LEASE))
            },
        );
        let keys = [self.name("purges"), self.named("record:", key), self.named("claim:", key)];
        let arguments = [new_era(), max_bytes.to_string().into_bytes(), token, lease];
        let (era, number, turn, is_stale, bytes, whole): Got = self.run(&GET, &keys, &arguments).await?;
        let moment = moment(&era, number).ok_or_else(nonsense)?;
        let bytes = match (bytes, whole) {
            (Some(packed), Some(whole)) => unpack(packed, whole, max_bytes).await,
            (bytes, _) => bytes,
        };
        let mut looked = Looked::nothing(moment);
        looked.record = bytes.map(|bytes| {
            let mut record = Record::new(bytes.into());
            record.is_stale = is_stale;
            record
        });
        looked.turn = match turn {
            1 => Some(Turn::Yours),
            2 => Some(Turn::Taken),
            3 => Some(Turn::Declined),
            _ => None,
        };
        Ok(looked)
    }

    async fn put_one(&self, key: &[u8], put: Put) -> Result<bool, StoreError> {
        let Packed { bytes, whole } = pack(put.record, put.compresses).await;
        let keys = [self.name("purges"), self.named("record:", key)];
        let arguments = [
            new_era(),
            format!("{:016x}", put.begun.era).into_bytes(),
            put.begun.number.to_string().into_bytes(),
            millis(put.keep.max(Duration::from_millis(1)), MAX_KEEP),
            millis(put.fresh, MAX_KEEP),
            places(&put.marks).into_bytes(),
            bytes,
            whole.map_or_else(Vec::new, |whole| whole.to_string().into_bytes()),
        ];
        self.run(&PUT, &keys, &arguments).await
    }

    async fn purge_all(&self, purges: &[StorePurge], from: u64) -> Result<Moment, StoreError> {
        let mut arguments = vec![new_era(), self.name("told").into_bytes(), format!("{from:016x}").into_bytes()];
        arguments.extend(purges.iter().map(|purge| item(*purge).into_bytes()));
        let (era, number): (String, u64) = self.run(&PURGE, &[self.name("purges")], &arguments).await?;
        moment(&era, number).ok_or_else(nonsense)
    }

    async fn now(&self) -> Result<Moment, StoreError> {
        let (era, number): (String, u64) = self.run(&NOW, &[self.name("purges")], &[new_era()]).await?;
        moment(&era, number).ok_or_else(nonsense)
    }
}

/// An era, should the server have none.
fn new_era() -> Vec<u8> {
    // Each of these has keys of its own.
    format!("{:016x}", RandomState::new().hash_one(0_u8)).into_bytes()
}

impl Store for RedisCache {
    fn secret(&self) -> Vec<u8> {
        self.redis.names.secret.to_vec()
    }

    fn get<'a>(&'a self, look: Look<'a>) -> StoreFuture<'a, Looked> {
        Box::pin(self.get_one(look))
    }

    fn put<'a>(&'a self, key: &'a [u8], put: Put) -> StoreFuture<'a, bool> {
        Box::pin(self.put_one(key, put))
    }

    fn remove<'a>(&'a self, key: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(async move { Ok(self.redis.servers.ask(Question::of("UNLINK", &self.named("record:", key))).await?) })
    }

    fn purge<'a>(&'a self, purges: &'a [StorePurge], from: u64) -> StoreFuture<'a, Moment> {
        Box::pin(self.purge_all(purges, from))
    }

    fn release<'a>(&'a self, key: &'a [u8], token: u64, is_declined: bool) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let known = if is_declined { DECLINED } else { Duration::ZERO };
            let arguments = [format!("{token:016x}").into_bytes(), millis(known, DECLINED)];
            self.run(&RELEASE, &[self.named("claim:", key)], &arguments).await
        })
    }

    fn listen(&self) -> Option<Box<dyn Listener>> {
        let ear = Ear::new(self.redis.servers.clone(), self.name("told"));
        Some(Box::new(RedisListener { cache: self.clone(), ear }))
    }
}

struct RedisListener {
    cache: RedisCache,
    ear: Ear,
}

impl RedisListener {
    async fn next_news(&mut self) -> Result<News, StoreError> {
        if !self.ear.is_open() {
            self.ear.open().await.map_err(StoreError::new)?;
            // Asked when it is listened already: what comes between is heard twice, and nothing is missed.
            let now = self.cache.now().await;
            return now.map(News::Back).inspect_err(|_| self.ear.close());
        }
        loop {
            let heard = self.ear.hear().await.map_err(StoreError::new)?;
            // What is no message is nobody's; what was missed so is known by the number of the next.
            if let Some(Message { moment, from, purges }) = message::read(&heard) {
                return Ok(News::Purged { moment, from, purges });
            }
        }
    }
}

impl Listener for RedisListener {
    fn next(&mut self) -> StoreFuture<'_, News> {
        Box::pin(self.next_news())
    }
}
