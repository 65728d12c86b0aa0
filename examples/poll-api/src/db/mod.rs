//! The database: SQLite in a file, or PostgreSQL by its URL, with the same statements for both.

/// Reads a row into a type, by the names of its columns. sqlx's own derive would build every driver a second time.
macro_rules! row {
    ($type:ident { $($column:ident),* }) => {
        impl<'r> sqlx::FromRow<'r, sqlx::any::AnyRow> for $type {
            fn from_row(row: &'r sqlx::any::AnyRow) -> super::Result<Self> {
                use sqlx::Row as _;
                Ok(Self { $($column: row.try_get(stringify!($column))?),* })
            }
        }
    };
}

mod idempotency;
mod keys;
mod outbox;
mod polls;
mod sessions;
mod users;
mod votes;

use std::borrow::Cow;
use std::str::FromStr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{AnyPool, Executor as _, SqlSafeStr as _};
use tower_rampart::ConfigError;

pub use self::outbox::Letter;
pub use self::polls::{NewPoll, Page, Poll};
pub use self::sessions::Rotated;
pub use self::users::User;
pub use self::votes::{Results, Tally, Voted};
use crate::clock::now_ms;

type Tx = sqlx::Transaction<'static, sqlx::Any>;
pub type Result<T> = std::result::Result<T, sqlx::Error>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Sqlite,
    Postgres,
}

/// Pools of connections, each bounded in number and in what is waited for one.
#[derive(Debug)]
pub struct Db {
    dialect: Dialect,
    write: AnyPool,
    read: AnyPool,
    replica: Option<AnyPool>,
    /// When this process last wrote: a replica may not know yet.
    wrote_at: AtomicI64,
}

/// SQLite has one writer at a time; who waits for it in here waits in order, and not in its busy loop.
const SQLITE_WRITERS: u32 = 1;
const SQLITE_READERS: u32 = 8;
const POSTGRES_CONNECTIONS: u32 = 16;
/// A request that has waited so long for a connection is answered 503.
const ACQUIRE: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(10 * 60);
/// For so long after a write nothing is read from the replica, so that people find what they wrote.
const REPLICA_LAG_MS: i64 = 2_000;

impl Db {
    /// Opens the database, makes it if it is not there, and brings its tables up to date.
    pub async fn open(url: &str, read_url: Option<&str>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let dialect = dialect("--database-url", url).map_err(unusable)?;
        let (writers, readers) = match dialect {
            Dialect::Sqlite => (SQLITE_WRITERS, SQLITE_READERS),
            Dialect::Postgres => (POSTGRES_CONNECTIONS, POSTGRES_CONNECTIONS),
        };
        let write = pool(url, dialect, writers).await?;
        migrations(dialect).run(&write).await?;
        let read = match dialect {
            Dialect::Sqlite => pool(url, dialect, readers).await?,
            Dialect::Postgres => write.clone(),
        };
        let replica = match read_url {
            Some(url) => {
                let dialect = self::dialect("--database-read-url", url).map_err(unusable)?;
                Some(pool(url, dialect, readers).await?)
            }
            None => None,
        };
        Ok(Self { dialect, write, read, replica, wrote_at: AtomicI64::new(0) })
    }

    /// Whether a statement is answered.
    pub async fn ping(&self) -> Result<()> {
        self.read.execute("SELECT 1").await.map(|_| ())
    }

    /// Waits until every connection is given back, and closes them.
    pub async fn close(&self) {
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.read.close().await;
        self.write.close().await;
    }

    /// Where reads go that need not see what another process wrote this moment.
    fn reader(&self) -> &AnyPool {
        let fresh = now_ms().saturating_sub(self.wrote_at.load(Ordering::Relaxed)) > REPLICA_LAG_MS;
        self.replica.as_ref().filter(|_| fresh).unwrap_or(&self.read)
    }

    /// Notes that something was written: the replica is behind.
    pub fn note_write(&self) {
        self.wrote_at.store(now_ms(), Ordering::Relaxed);
    }

    /// A transaction that writes. SQLite's takes the lock at once: one that began by reading could not get it later.
    async fn begin(&self) -> Result<Tx> {
        match self.dialect {
            Dialect::Sqlite => self.write.begin_with("BEGIN IMMEDIATE").await,
            Dialect::Postgres => self.write.begin().await,
        }
    }

    /// Commits, and notes that the replica is behind.
    async fn commit(&self, transaction: Tx) -> Result<()> {
        let committed = transaction.commit().await;
        self.note_write();
        committed
    }
}

/// Whether a URL names a database that can be used here.
pub fn check(flag: &'static str, url: &str) -> std::result::Result<(), ConfigError> {
    dialect(flag, url).map(|_| ())
}

fn dialect(flag: &'static str, url: &str) -> std::result::Result<Dialect, ConfigError> {
    const MEND: &str = "write `sqlite:polls.db` or `postgres://user@host/name`";
    // Not the URL itself: it may hold a password.
    let scheme = url.split_once(':').map(|(scheme, _)| scheme);
    match scheme {
        // There would be one for each connection.
        Some("sqlite") if url.contains(":memory:") || url.contains("mode=memory") => {
            Err(ConfigError::new(flag, "sqlite", "is in memory: connections would not share it", "name a file"))
        }
        Some("sqlite") => Ok(Dialect::Sqlite),
        Some("postgres" | "postgresql") => Ok(Dialect::Postgres),
        Some(other) => Err(ConfigError::new(flag, other, "is no kind of database that is known here", MEND)),
        None => Err(ConfigError::new(flag, "", "is no URL", MEND)),
    }
}

fn unusable(error: ConfigError) -> sqlx::Error {
    sqlx::Error::Configuration(Box::new(error))
}

async fn pool(url: &str, dialect: Dialect, connections: u32) -> Result<AnyPool> {
    let url = match dialect {
        Dialect::Sqlite if !url.contains("mode=") => {
            let sign = if url.contains('?') { '&' } else { '?' };
            Cow::from(format!("{url}{sign}mode=rwc"))
        }
        _ => Cow::from(url),
    };
    let options = AnyConnectOptions::from_str(&url)?;
    AnyPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE)
        .idle_timeout(IDLE)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let settings = match dialect {
                    Dialect::Sqlite => SQLITE_SETTINGS,
                    Dialect::Postgres => POSTGRES_SETTINGS,
                };
                for setting in settings {
                    connection.execute(*setting).await?;
                }
                Ok(())
            })
        })
        .connect_with(options)
        .await
}

/// Readers beside a writer; what was answered is on the disk; a lock of another process is waited for, not for long.
const SQLITE_SETTINGS: &[&str] = &[
    "PRAGMA busy_timeout = 2000",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
];
const POSTGRES_SETTINGS: &[&str] = &["SET statement_timeout = '5s'", "SET lock_timeout = '2s'"];

fn migrations(dialect: Dialect) -> Migrator {
    let polls = match dialect {
        Dialect::Sqlite => include_str!("../../migrations/sqlite/1_polls.sql"),
        Dialect::Postgres => include_str!("../../migrations/postgres/1_polls.sql"),
    };
    let first = Migration::new(1, Cow::from("polls"), MigrationType::Simple, polls.into_sql_str(), false);
    Migrator::with_migrations(vec![first])
}

/// Whether the database said that there is such a row already.
fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
