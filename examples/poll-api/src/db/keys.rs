//! Signing keys.

use sqlx::{query, query_as};

use super::{Db, Result, is_duplicate};
use crate::clock::now_ms;

impl Db {
    /// All keys, the newest first: it signs, the others still verify.
    pub async fn signing_keys(&self) -> Result<Vec<(String, Vec<u8>)>> {
        query_as("SELECT kid, pkcs8 FROM signing_keys ORDER BY created_at DESC, kid").fetch_all(&self.write).await
    }

    /// Adds a key.
    pub async fn add_signing_key(&self, kid: &str, pkcs8: &[u8]) -> Result<()> {
        let mut transaction = self.begin().await?;
        let added = query("INSERT INTO signing_keys (kid, pkcs8, created_at) VALUES ($1, $2, $3)")
            .bind(kid)
            .bind(pkcs8.to_vec())
            .bind(now_ms())
            .execute(&mut *transaction)
            .await;
        match added {
            Ok(_) => self.commit(transaction).await,
            // Another process was quicker with the same key.
            Err(error) if is_duplicate(&error) => Ok(()),
            Err(error) => Err(error),
        }
    }
}
