//! The service's own keys: made at the first start, kept in the database, published as a JWK Set (RFC 8037).

use std::fmt;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use uuid::Uuid;

use super::tokens::to_be_signed;
use crate::db::{Db, User};
use crate::fault::{Fault, Result};

const UNUSABLE: &str = "a signing key cannot be used";

pub struct SigningKeys {
    kid: String,
    pair: Ed25519KeyPair,
    jwks: String,
}

impl SigningKeys {
    /// The newest key signs; all of them are published.
    pub async fn load(db: &Db) -> Result<Self> {
        let mut stored = db.signing_keys().await?;
        if stored.is_empty() {
            let pair = Ed25519KeyPair::generate().map_err(|error| Fault::internal(UNUSABLE, error))?;
            let pkcs8 = pair.to_pkcs8().map_err(|error| Fault::internal(UNUSABLE, error))?;
            db.add_signing_key(&Uuid::now_v7().to_string(), pkcs8.as_ref()).await?;
            stored = db.signing_keys().await?;
        }
        let pairs = stored
            .iter()
            .map(|(kid, pkcs8)| {
                let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|error| Fault::internal(UNUSABLE, error))?;
                Ok((kid.clone(), pair))
            })
            .collect::<Result<Vec<_>>>()?;
        let keys: Vec<_> = pairs.iter().map(|(kid, pair)| published(kid, pair)).collect();
        let jwks = json!({ "keys": keys }).to_string();
        let (kid, pair) = pairs.into_iter().next().ok_or_else(|| Fault::internal(UNUSABLE, "none is stored"))?;
        Ok(Self { kid, pair, jwks })
    }

    /// The JWK Set.
    pub fn jwks(&self) -> &str {
        &self.jwks
    }

    pub fn access_token(&self, session: &str, user: &User) -> Result<String> {
        let message = to_be_signed(&self.kid, session, user);
        let signature = self.pair.try_sign(message.as_bytes()).map_err(|error| Fault::internal(UNUSABLE, error))?;
        Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn published(kid: &str, pair: &Ed25519KeyPair) -> serde_json::Value {
    let x = URL_SAFE_NO_PAD.encode(pair.public_key());
    json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": kid, "x": x })
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("kid", &self.kid).finish_non_exhaustive()
    }
}
