//! What the external service has still to hear: written with the poll, sent by a worker.

use sqlx::{query, query_as, query_scalar};

use super::{Db, Result, Tx};
use crate::clock::now_ms;

#[derive(Debug, Clone)]
pub struct Letter {
    pub poll_id: String,
    pub body: String,
    pub attempts: i64,
}

row!(Letter { poll_id, body, attempts });

impl Db {
    /// Letters that are due, the oldest first.
    pub async fn due_letters(&self, limit: i64) -> Result<Vec<Letter>> {
        query_as(
            "SELECT poll_id, body, attempts FROM outbox WHERE delivered_at IS NULL AND refused_at IS NULL \
             AND next_attempt_at <= $1 ORDER BY next_attempt_at LIMIT $2",
        )
        .bind(now_ms())
        .bind(limit)
        .fetch_all(&self.read)
        .await
    }

    /// How many letters wait, and how many were refused for good.
    pub async fn outbox_counts(&self) -> Result<(i64, i64)> {
        let pending = query_scalar("SELECT COUNT(*) FROM outbox WHERE delivered_at IS NULL AND refused_at IS NULL")
            .fetch_one(&self.read)
            .await?;
        let refused =
            query_scalar("SELECT COUNT(*) FROM outbox WHERE refused_at IS NOT NULL").fetch_one(&self.read).await?;
        Ok((pending, refused))
    }

    pub async fn letter_delivered(&self, poll_id: &str) -> Result<()> {
        self.settle("UPDATE outbox SET delivered_at = $1 WHERE poll_id = $2", now_ms(), poll_id).await
    }

    /// It will never be taken.
    pub async fn letter_refused(&self, poll_id: &str) -> Result<()> {
        self.settle("UPDATE outbox SET refused_at = $1 WHERE poll_id = $2", now_ms(), poll_id).await
    }

    pub async fn letter_failed(&self, poll_id: &str, next_attempt_at: i64) -> Result<()> {
        const SQL: &str = "UPDATE outbox SET next_attempt_at = $1, attempts = attempts + 1 WHERE poll_id = $2";
        self.settle(SQL, next_attempt_at, poll_id).await
    }

    /// It was not even tried.
    pub async fn letter_postponed(&self, poll_id: &str, next_attempt_at: i64) -> Result<()> {
        self.settle("UPDATE outbox SET next_attempt_at = $1 WHERE poll_id = $2", next_attempt_at, poll_id).await
    }

    /// Forgets what was delivered before.
    pub async fn forget_letters(&self, before_ms: i64) -> Result<()> {
        let mut transaction = self.begin().await?;
        query("DELETE FROM outbox WHERE delivered_at < $1").bind(before_ms).execute(&mut *transaction).await?;
        self.commit(transaction).await
    }

    async fn settle(&self, sql: &'static str, at: i64, poll_id: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        query(sql).bind(at).bind(poll_id).execute(&mut *transaction).await?;
        self.commit(transaction).await
    }
}

pub(super) async fn post(transaction: &mut Tx, poll_id: &str, body: &str) -> Result<()> {
    query("INSERT INTO outbox (poll_id, body, next_attempt_at) VALUES ($1, $2, $3)")
        .bind(poll_id)
        .bind(body)
        .bind(now_ms())
        .execute(&mut **transaction)
        .await
        .map(|_| ())
}
