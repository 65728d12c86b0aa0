//! Judging what takes waiting.

use std::sync::Arc;

#[cfg(feature = "auth-introspection")]
use super::credential::Place;
use super::judge::{Admitted, Judgement, Pending, cannot_judge_now, seconds};
use super::layer::Auth;
use crate::spine::challenge::Reason;

/// What a credential comes to in the end: never [`Judgement::Pending`] again.
pub(super) async fn settle(auth: Arc<Auth>, pending: Pending) -> Judgement {
    match pending {
        Pending::Keys { token, place, fetched } => {
            fetched.await;
            match auth.judge_jwt(&token, place, auth.clock.wall(), true) {
                // Keys that are fetched again already could go on for ever.
                Judgement::Pending(_) => cannot_judge_now(),
                judgement => judgement,
            }
        }
        Pending::Login { login, credential } => {
            let Some(basic) = &auth.basic else { return auth.refuse(Reason::InvalidLogin) };
            let Some(_slot) = basic.enter() else { return cannot_judge_now() };
            match basic.verify(login).await {
                Ok(Some(identity)) => {
                    basic.remember(&credential, seconds(auth.clock.wall()), identity.clone());
                    Judgement::Admitted(Admitted::new(identity, false))
                }
                Ok(None) => auth.refuse(Reason::InvalidLogin),
                Err(_) => cannot_judge_now(),
            }
        }
        #[cfg(feature = "auth-introspection")]
        Pending::Token { token, place } => {
            let Some(server) = &auth.introspection else { return auth.refuse(Reason::InvalidToken) };
            match server.ask(&token, &auth.clock).await {
                Ok(Some(identity)) => Judgement::Admitted(Admitted::new(identity, place == Place::Query)),
                Ok(None) => auth.refuse(Reason::InvalidToken),
                Err(_) => cannot_judge_now(),
            }
        }
    }
}
