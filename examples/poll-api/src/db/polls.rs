//! Polls.

use std::collections::HashMap;

use sqlx::{AnyConnection, query, query_as};

use super::idempotency::remember;
use super::outbox::post;
use super::votes::{Results, Tally, results};
use super::{Db, Result, is_duplicate};
use crate::clock::now_ms;

/// A poll, as it is stored.
#[derive(Debug, Clone)]
pub struct Poll {
    pub id: String,
    pub question: String,
    pub options: Vec<(i64, String)>,
    pub author_id: String,
    pub author: String,
    pub created_at: i64,
    pub closes_at: Option<i64>,
    pub closed: bool,
}

/// One to be stored, with everything that must be stored with it or not at all.
#[derive(Debug)]
pub struct NewPoll<'a> {
    pub poll: &'a Poll,
    /// The Idempotency-Key, the request's digest and the answer.
    pub remember: Option<(&'a str, &'a str, &'a str)>,
    /// What the external service is to hear.
    pub letter: Option<&'a str>,
}

/// Some polls, the newest first.
#[derive(Debug)]
pub struct Page {
    pub polls: Vec<Poll>,
    /// The last poll of the page, where there are more behind it.
    pub more_after: Option<String>,
}

struct Row {
    id: String,
    question: String,
    author_id: String,
    author: String,
    created_at: i64,
    closes_at: Option<i64>,
    closed_at: Option<i64>,
}

struct OptionRow {
    poll_id: String,
    id: i64,
    text: String,
    votes: i64,
}

row!(Row { id, question, author_id, author, created_at, closes_at, closed_at });
row!(OptionRow { poll_id, id, text, votes });

impl Row {
    fn into_poll(self, options: Vec<(i64, String)>) -> Poll {
        Poll {
            closed: self.closed_at.is_some() || self.closes_at.is_some_and(|at| at <= now_ms()),
            id: self.id,
            question: self.question,
            options,
            author_id: self.author_id,
            author: self.author,
            created_at: self.created_at,
            closes_at: self.closes_at,
        }
    }
}

impl Db {
    /// Stores a poll; `false` when its Idempotency-Key was taken meanwhile.
    pub async fn add_poll(&self, new: &NewPoll<'_>) -> Result<bool> {
        let poll = new.poll;
        let mut transaction = self.begin().await?;
        query("INSERT INTO polls (id, question, author_id, created_at, closes_at) VALUES ($1, $2, $3, $4, $5)")
            .bind(&poll.id)
            .bind(&poll.question)
            .bind(&poll.author_id)
            .bind(poll.created_at)
            .bind(poll.closes_at)
            .execute(&mut *transaction)
            .await?;
        for (id, text) in &poll.options {
            query("INSERT INTO poll_options (poll_id, id, text) VALUES ($1, $2, $3)")
                .bind(&poll.id)
                .bind(*id)
                .bind(text)
                .execute(&mut *transaction)
                .await?;
            query("INSERT INTO tallies (poll_id, option_id) VALUES ($1, $2)")
                .bind(&poll.id)
                .bind(*id)
                .execute(&mut *transaction)
                .await?;
        }
        if let Some(letter) = new.letter {
            post(&mut transaction, &poll.id, letter).await?;
        }
        if let Some((key, fingerprint, body)) = new.remember {
            match remember(&mut transaction, &poll.author_id, key, fingerprint, body).await {
                Ok(()) => {}
                Err(error) if is_duplicate(&error) => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        self.commit(transaction).await.map(|()| true)
    }

    pub async fn poll(&self, id: &str) -> Result<Option<Poll>> {
        let mut connection = self.reader().acquire().await?;
        poll(&mut connection, id).await
    }

    /// Polls that are older than the one the cursor names.
    pub async fn polls(&self, before: Option<&str>, limit: i64) -> Result<Page> {
        let mut connection = self.reader().acquire().await?;
        // Ids are lower-case, so that `~` is behind them all.
        let mut rows: Vec<Row> = query_as(
            "SELECT p.id, p.question, p.author_id, u.username AS author, p.created_at, p.closes_at, p.closed_at \
             FROM polls p JOIN users u ON u.id = p.author_id \
             WHERE p.deleted_at IS NULL AND p.id < $1 ORDER BY p.id DESC LIMIT $2",
        )
        .bind(before.unwrap_or("~"))
        .bind(limit + 1)
        .fetch_all(&mut *connection)
        .await?;
        let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
        let has_more = rows.len() > wanted;
        rows.truncate(wanted);
        let mut options: HashMap<String, Vec<(i64, String)>> = HashMap::new();
        for option in options_between(&mut connection, &rows).await? {
            options.entry(option.poll_id).or_default().push((option.id, option.text));
        }
        let more_after = rows.last().filter(|_| has_more).map(|row| row.id.clone());
        // One that was taken away between the two looks has no options any more.
        let polls = rows.into_iter().filter_map(|row| {
            let options = options.remove(&row.id)?;
            Some(row.into_poll(options))
        });
        Ok(Page { polls: polls.collect(), more_after })
    }

    /// How the polls of a page stand, those that are still there.
    pub async fn results_of(&self, polls: &[Poll]) -> Result<HashMap<String, Results>> {
        let (Some(newest), Some(oldest)) = (polls.first(), polls.last()) else { return Ok(HashMap::new()) };
        let mut connection = self.reader().acquire().await?;
        let mut tallies: HashMap<String, Vec<Tally>> = HashMap::new();
        for option in options_in(&mut connection, &oldest.id, &newest.id).await? {
            let tally = Tally { id: option.id, text: option.text, votes: option.votes };
            tallies.entry(option.poll_id).or_default().push(tally);
        }
        let results = polls.iter().filter_map(|poll| {
            let options = tallies.remove(&poll.id)?;
            let results = Results {
                poll_id: poll.id.clone(),
                total: options.iter().map(|option| option.votes).sum(),
                closed: poll.closed,
                options,
                closes_at_ms: poll.closes_at.filter(|_| !poll.closed),
            };
            Some((poll.id.clone(), results))
        });
        Ok(results.collect())
    }

    /// Closes a poll, once; what it is then, and how it stands.
    pub async fn close_poll(&self, id: &str) -> Result<Option<(Poll, Results)>> {
        let mut transaction = self.begin().await?;
        query("UPDATE polls SET closed_at = $1 WHERE id = $2 AND closed_at IS NULL AND deleted_at IS NULL")
            .bind(now_ms())
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        let poll = poll(&mut transaction, id).await?;
        let results = results(&mut transaction, id).await?;
        self.commit(transaction).await?;
        Ok(poll.zip(results))
    }

    /// Takes a poll from everybody's sight; its votes stay, as all votes do.
    pub async fn delete_poll(&self, id: &str) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let deleted = query("UPDATE polls SET deleted_at = $1 WHERE id = $2 AND deleted_at IS NULL")
            .bind(now_ms())
            .bind(id)
            .execute(&mut *transaction)
            .await?;
        self.commit(transaction).await?;
        Ok(deleted.rows_affected() == 1)
    }
}

async fn poll(connection: &mut AnyConnection, id: &str) -> Result<Option<Poll>> {
    let row: Option<Row> = query_as(
        "SELECT p.id, p.question, p.author_id, u.username AS author, p.created_at, p.closes_at, p.closed_at \
         FROM polls p JOIN users u ON u.id = p.author_id WHERE p.id = $1 AND p.deleted_at IS NULL",
    )
    .bind(id)
    .fetch_optional(&mut *connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let options = query_as("SELECT id, text FROM poll_options WHERE poll_id = $1 ORDER BY id")
        .bind(id)
        .fetch_all(&mut *connection)
        .await?;
    Ok(Some(row.into_poll(options)))
}

async fn options_between(connection: &mut AnyConnection, rows: &[Row]) -> Result<Vec<OptionRow>> {
    match (rows.first(), rows.last()) {
        (Some(newest), Some(oldest)) => options_in(connection, &oldest.id, &newest.id).await,
        _ => Ok(Vec::new()),
    }
}

/// The options of all polls of a page, which is all there is between two ids.
async fn options_in(connection: &mut AnyConnection, oldest: &str, newest: &str) -> Result<Vec<OptionRow>> {
    query_as(
        "SELECT o.poll_id, o.id, o.text, t.votes FROM poll_options o \
         JOIN polls p ON p.id = o.poll_id \
         JOIN tallies t ON t.poll_id = o.poll_id AND t.option_id = o.id \
         WHERE p.deleted_at IS NULL AND o.poll_id >= $1 AND o.poll_id <= $2 ORDER BY o.poll_id, o.id",
    )
    .bind(oldest)
    .bind(newest)
    .fetch_all(&mut *connection)
    .await
}
