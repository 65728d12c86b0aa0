//! Answers that are given again under the same Idempotency-Key.

use sqlx::{query, query_as};

use super::{Db, Result, Tx};
use crate::clock::now_ms;

/// What was answered.
#[derive(Debug, Clone)]
pub struct Remembered {
    /// A digest of the request: another one under the same key is a mistake.
    pub fingerprint: String,
    pub body: String,
}

row!(Remembered { fingerprint, body });

impl Db {
    pub async fn remembered(&self, user_id: &str, key: &str) -> Result<Option<Remembered>> {
        query_as("SELECT fingerprint, body FROM idempotency WHERE user_id = $1 AND key = $2")
            .bind(user_id)
            .bind(key)
            .fetch_optional(&self.read)
            .await
    }

    /// Forgets what is older.
    pub async fn forget_answers(&self, before_ms: i64) -> Result<()> {
        let mut transaction = self.begin().await?;
        query("DELETE FROM idempotency WHERE created_at < $1").bind(before_ms).execute(&mut *transaction).await?;
        self.commit(transaction).await
    }
}

pub(super) async fn remember(
    transaction: &mut Tx,
    user_id: &str,
    key: &str,
    fingerprint: &str,
    body: &str,
) -> Result<()> {
    query("INSERT INTO idempotency (user_id, key, fingerprint, body, created_at) VALUES ($1, $2, $3, $4, $5)")
        .bind(user_id)
        .bind(key)
        .bind(fingerprint)
        .bind(body)
        .bind(now_ms())
        .execute(&mut **transaction)
        .await
        .map(|_| ())
}
