//! Sessions and their refresh tokens.

use sqlx::{query, query_as};

use super::{Db, Result, Tx, User};
use crate::clock::now_ms;

/// A login, for as long as it lasts.
#[derive(Debug, Clone)]
pub struct OpenSession {
    pub id: String,
    pub user: User,
}

/// What became of a refresh token.
#[derive(Debug)]
pub enum Rotated {
    /// It was good, and is used now.
    Session(OpenSession),
    /// It was used before: somebody has a copy, so nobody is to be trusted with what came of it.
    Reused { session_id: String },
    /// It is none, or has ended.
    Unknown,
}

/// A session nobody uses ends after so long.
const IDLE_MS: i64 = 30 * 24 * 60 * 60 * 1000;

struct Token {
    session_id: String,
    used_at: Option<i64>,
    expires_at: i64,
    revoked_at: Option<i64>,
    user_id: String,
}

row!(Token { session_id, used_at, expires_at, revoked_at, user_id });

impl Db {
    /// Begins a session with its first refresh token.
    pub async fn begin_session(&self, id: &str, user_id: &str, token_hash: &str) -> Result<()> {
        let now = now_ms();
        let mut transaction = self.begin().await?;
        query("INSERT INTO sessions (id, user_id, created_at, expires_at) VALUES ($1, $2, $3, $4)")
            .bind(id)
            .bind(user_id)
            .bind(now)
            .bind(now + IDLE_MS)
            .execute(&mut *transaction)
            .await?;
        add_token(&mut transaction, id, token_hash, now).await?;
        self.commit(transaction).await
    }

    /// Takes a refresh token and gives the next one of its family. One that was taken before ends the family.
    pub async fn rotate(&self, token_hash: &str, next_hash: &str) -> Result<Rotated> {
        let now = now_ms();
        let mut transaction = self.begin().await?;
        let token: Option<Token> = query_as(
            "SELECT t.session_id, t.used_at, s.expires_at, s.revoked_at, s.user_id \
             FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id WHERE t.hash = $1",
        )
        .bind(token_hash)
        .fetch_optional(&mut *transaction)
        .await?;
        let Some(token) = token else { return Ok(Rotated::Unknown) };
        if token.revoked_at.is_some() || token.expires_at <= now {
            return Ok(Rotated::Unknown);
        }
        // Of two that come at one instant, one finds it unused.
        let taken = query("UPDATE refresh_tokens SET used_at = $1 WHERE hash = $2 AND used_at IS NULL")
            .bind(now)
            .bind(token_hash)
            .execute(&mut *transaction)
            .await?;
        if token.used_at.is_some() || taken.rows_affected() == 0 {
            revoke(&mut transaction, &token.session_id, now).await?;
            self.commit(transaction).await?;
            return Ok(Rotated::Reused { session_id: token.session_id });
        }
        add_token(&mut transaction, &token.session_id, next_hash, now).await?;
        query("UPDATE sessions SET expires_at = $1 WHERE id = $2")
            .bind(now + IDLE_MS)
            .bind(&token.session_id)
            .execute(&mut *transaction)
            .await?;
        let user: User = query_as("SELECT id, username, password_hash, role FROM users WHERE id = $1")
            .bind(&token.user_id)
            .fetch_one(&mut *transaction)
            .await?;
        self.commit(transaction).await?;
        Ok(Rotated::Session(OpenSession { id: token.session_id, user }))
    }

    /// Ends a session.
    pub async fn revoke_session(&self, id: &str) -> Result<()> {
        let mut transaction = self.begin().await?;
        revoke(&mut transaction, id, now_ms()).await?;
        self.commit(transaction).await
    }

    /// The sessions that ended since.
    pub async fn revoked_since(&self, since_ms: i64) -> Result<Vec<(String, i64)>> {
        query_as("SELECT id, revoked_at FROM sessions WHERE revoked_at >= $1")
            .bind(since_ms)
            .fetch_all(&self.read)
            .await
    }

    /// Forgets sessions that ended before, with their tokens, and used tokens of sessions that go on, when nobody will
    /// come with a copy any more.
    pub async fn forget_sessions(&self, before_ms: i64) -> Result<()> {
        let mut transaction = self.begin().await?;
        query("DELETE FROM sessions WHERE expires_at < $1 OR revoked_at < $1")
            .bind(before_ms)
            .execute(&mut *transaction)
            .await?;
        query("DELETE FROM refresh_tokens WHERE used_at < $1")
            .bind(before_ms - IDLE_MS)
            .execute(&mut *transaction)
            .await?;
        self.commit(transaction).await
    }
}

async fn add_token(transaction: &mut Tx, session_id: &str, hash: &str, now: i64) -> Result<()> {
    query("INSERT INTO refresh_tokens (hash, session_id, created_at) VALUES ($1, $2, $3)")
        .bind(hash)
        .bind(session_id)
        .bind(now)
        .execute(&mut **transaction)
        .await
        .map(|_| ())
}

async fn revoke(transaction: &mut Tx, id: &str, now: i64) -> Result<()> {
    query("UPDATE sessions SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
        .bind(now)
        .bind(id)
        .execute(&mut **transaction)
        .await
        .map(|_| ())
}
