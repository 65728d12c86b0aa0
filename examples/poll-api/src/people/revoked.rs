//! Sessions that ended while access tokens of theirs have not: asked on every request, so it answers from memory.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use tower_rampart::auth::{Revocation, TokenFacts};

use crate::clock::now_ms;

/// Clones are the same list. It is bounded by how many people log out within two lifetimes of a token.
#[derive(Debug, Clone, Default)]
pub struct Revoked {
    /// Until when it matters.
    sessions: Arc<RwLock<HashMap<String, i64>>>,
}

impl Revoked {
    /// Notes that a session has ended, until the last of its tokens would have.
    pub fn add(&self, session: &str, until_ms: i64) {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.len() == sessions.capacity() {
            let now = now_ms();
            sessions.retain(|_, until| *until > now);
        }
        sessions.insert(session.to_owned(), until_ms);
    }
}

impl Revocation for Revoked {
    /// A token's name begins with its session's; one without a name is none of ours.
    fn is_revoked(&self, token: TokenFacts<'_>, _: SystemTime) -> bool {
        let Some((session, _)) = token.id.and_then(|id| id.split_once('.')) else { return true };
        self.sessions.read().unwrap_or_else(PoisonError::into_inner).contains_key(session)
    }
}
