//! Votes, and the tallies that are read.

use serde::{Deserialize, Serialize};
use sqlx::{AnyConnection, query, query_as, query_scalar};
use utoipa::ToSchema;

use super::{Db, Dialect, Result, is_duplicate};
use crate::clock::now_ms;

/// How a poll stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Results {
    pub poll_id: String,
    /// All votes.
    pub total: i64,
    pub closed: bool,
    pub options: Vec<Tally>,
    /// When it closes by itself.
    #[serde(skip)]
    pub closes_at_ms: Option<i64>,
}

/// An option and its votes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Tally {
    pub id: i64,
    pub text: String,
    pub votes: i64,
}

row!(Tally { id, text, votes });

impl Results {
    /// A number that grows with every change: votes are never taken back, and a poll closes once.
    pub const fn version(&self) -> i64 {
        self.total * 2 + self.closed as i64
    }
}

/// What became of a vote.
#[derive(Debug)]
pub enum Voted {
    Counted(Results),
    Twice,
    Closed,
    NoSuchPoll,
    NoSuchOption,
}

impl Db {
    /// Counts a vote, if this is the user's first and the poll is open.
    pub async fn vote(&self, poll_id: &str, user_id: &str, option_id: i64) -> Result<Voted> {
        let mut transaction = self.begin().await?;
        // Locked, so that no vote comes in behind a closing; SQLite's writer is alone anyway.
        let lock = match self.dialect {
            Dialect::Sqlite => "SELECT closes_at, closed_at FROM polls WHERE id = $1 AND deleted_at IS NULL",
            Dialect::Postgres => {
                "SELECT closes_at, closed_at FROM polls WHERE id = $1 AND deleted_at IS NULL FOR SHARE"
            }
        };
        let poll: Option<(Option<i64>, Option<i64>)> =
            query_as(lock).bind(poll_id).fetch_optional(&mut *transaction).await?;
        let Some((closes_at, closed_at)) = poll else { return Ok(Voted::NoSuchPoll) };
        // After the wait for the lock: by then others may have been told that the poll is closed.
        let now = now_ms();
        if closed_at.is_some() || closes_at.is_some_and(|at| at <= now) {
            return Ok(Voted::Closed);
        }
        let options: i64 = query_scalar("SELECT COUNT(*) FROM poll_options WHERE poll_id = $1 AND id = $2")
            .bind(poll_id)
            .bind(option_id)
            .fetch_one(&mut *transaction)
            .await?;
        if options == 0 {
            return Ok(Voted::NoSuchOption);
        }
        let added = query("INSERT INTO votes (poll_id, user_id, option_id, created_at) VALUES ($1, $2, $3, $4)")
            .bind(poll_id)
            .bind(user_id)
            .bind(option_id)
            .bind(now)
            .execute(&mut *transaction)
            .await;
        match added {
            Ok(_) => {}
            Err(error) if is_duplicate(&error) => return Ok(Voted::Twice),
            Err(error) => return Err(error),
        }
        query("UPDATE tallies SET votes = votes + 1 WHERE poll_id = $1 AND option_id = $2")
            .bind(poll_id)
            .bind(option_id)
            .execute(&mut *transaction)
            .await?;
        let results = results(&mut transaction, poll_id).await?;
        self.commit(transaction).await?;
        Ok(results.map_or(Voted::NoSuchPoll, Voted::Counted))
    }

    pub async fn results(&self, poll_id: &str) -> Result<Option<Results>> {
        let mut connection = self.reader().acquire().await?;
        results(&mut connection, poll_id).await
    }
}

pub(super) async fn results(connection: &mut AnyConnection, poll_id: &str) -> Result<Option<Results>> {
    let poll: Option<(Option<i64>, Option<i64>)> =
        query_as("SELECT closes_at, closed_at FROM polls WHERE id = $1 AND deleted_at IS NULL")
            .bind(poll_id)
            .fetch_optional(&mut *connection)
            .await?;
    let Some((closes_at, closed_at)) = poll else { return Ok(None) };
    let options: Vec<Tally> = query_as(
        "SELECT o.id, o.text, t.votes FROM poll_options o \
         JOIN tallies t ON t.poll_id = o.poll_id AND t.option_id = o.id WHERE o.poll_id = $1 ORDER BY o.id",
    )
    .bind(poll_id)
    .fetch_all(&mut *connection)
    .await?;
    Ok(Some(Results {
        poll_id: poll_id.to_owned(),
        total: options.iter().map(|option| option.votes).sum(),
        closed: closed_at.is_some() || closes_at.is_some_and(|at| at <= now_ms()),
        options,
        closes_at_ms: closes_at.filter(|_| closed_at.is_none()),
    }))
}
