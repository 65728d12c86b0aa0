//! People.

use sqlx::{query, query_as};

use super::{Db, Result, is_duplicate};
use crate::clock::now_ms;

#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub username: String,
    pub password_hash: String,
    pub role: String,
}

row!(User { id, username, password_hash, role });

impl Db {
    /// Adds a user; `false` when the name is taken.
    pub async fn add_user(&self, user: &User) -> Result<bool> {
        let mut transaction = self.begin().await?;
        let added =
            query("INSERT INTO users (id, username, password_hash, role, created_at) VALUES ($1, $2, $3, $4, $5)")
                .bind(&user.id)
                .bind(&user.username)
                .bind(&user.password_hash)
                .bind(&user.role)
                .bind(now_ms())
                .execute(&mut *transaction)
                .await;
        match added {
            Ok(_) => self.commit(transaction).await.map(|()| true),
            Err(error) if is_duplicate(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub async fn user_by_name(&self, username: &str) -> Result<Option<User>> {
        query_as("SELECT id, username, password_hash, role FROM users WHERE username = $1")
            .bind(username)
            .fetch_optional(&self.read)
            .await
    }

    pub async fn user_by_id(&self, id: &str) -> Result<Option<User>> {
        query_as("SELECT id, username, password_hash, role FROM users WHERE id = $1")
            .bind(id)
            .fetch_optional(&self.read)
            .await
    }
}
