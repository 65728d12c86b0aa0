//! Who sent a request, as far as it can be told at once.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Extensions;

use super::basic::Login;
use super::claims::TypedClaims;
use super::credential::{Credential, Place};
#[cfg(feature = "auth-introspection")]
use super::introspection::Recalled;
use super::jwt::{TokenFault, Unverified, Verified};
use super::layer::Auth;
use crate::spine::certificate::ClientCertificate;
use crate::spine::challenge::Reason;
use crate::spine::event::{self, Origin};
use crate::spine::identity::Identity;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::RequestView;
use crate::spine::signal::Wait;

/// What a request's credential comes to.
pub(super) enum Judgement {
    Admitted(Admitted),
    /// Nobody is known, and nobody has to be.
    Stranger,
    Refused(Box<Rejection>),
    /// It takes waiting to tell.
    Pending(Pending),
}

/// A caller who is known.
pub(super) struct Admitted {
    identity: Identity,
    claims: Option<Arc<dyn TypedClaims>>,
    /// The token stood in the query, where logs and histories keep it.
    pub(super) by_query: bool,
}

/// What is waited for.
pub(super) enum Pending {
    /// Keys that are being fetched.
    Keys { token: Box<[u8]>, place: Place, fetched: Wait },
    /// Somebody who knows passwords.
    Login { login: Login, credential: Box<[u8]> },
    /// The server that issued an opaque token.
    #[cfg(feature = "auth-introspection")]
    Token { token: Box<[u8]>, place: Place },
}

/// After a verifier that could not tell.
const RETRY: Duration = Duration::from_secs(5);

impl Admitted {
    pub(super) const fn new(identity: Identity, by_query: bool) -> Self {
        Self { identity, claims: None, by_query }
    }

    fn verified(verified: Verified, place: Place) -> Self {
        Self { identity: verified.identity, claims: verified.claims, by_query: place == Place::Query }
    }

    /// Tells everything further in.
    pub(super) fn insert(self, extensions: &mut Extensions) {
        if let Some(claims) = &self.claims {
            claims.insert(extensions);
        }
        extensions.insert(self.identity);
    }
}

impl Auth {
    /// Looks at a request's credential at a wall time.
    pub(super) fn judge(&self, request: RequestView<'_>, now: SystemTime) -> Judgement {
        match self.places.find(request) {
            Credential::None => self.judge_connection(request),
            Credential::Several => self.refuse(Reason::InvalidRequest),
            Credential::Unknown => self.refuse(Reason::InvalidToken),
            Credential::CrossSite => cross_site(),
            Credential::ApiKey(key) => match self.api_keys.as_ref().and_then(|keys| keys.identify(key, now)) {
                Some(identity) => Judgement::Admitted(Admitted::new(identity, false)),
                None => self.refuse(Reason::InvalidToken),
            },
            Credential::Basic(credential) => self.judge_login(credential, now),
            Credential::Bearer(token, place) => self.judge_token(token, place, now),
        }
    }

    /// Without any credential, there may be a certificate. One that nobody knows is none that is good.
    fn judge_connection(&self, request: RequestView<'_>) -> Judgement {
        let known = self.certificates.as_ref().zip(ClientCertificate::of(request));
        match known.map(|(know, certificate)| know(certificate)) {
            Some(Some(identity)) => Judgement::Admitted(Admitted::new(identity, false)),
            Some(None) => self.refuse(Reason::InvalidLogin),
            None if self.optional => Judgement::Stranger,
            None => self.refuse(Reason::NoCredential),
        }
    }

    fn judge_login(&self, credential: &[u8], now: SystemTime) -> Judgement {
        let Some(basic) = &self.basic else { return self.refuse(Reason::InvalidToken) };
        if let Some(identity) = basic.known(credential, seconds(now)) {
            return Judgement::Admitted(Admitted::new(identity, false));
        }
        match Login::read(credential) {
            Some(login) => Judgement::Pending(Pending::Login { login, credential: credential.into() }),
            None => self.refuse(Reason::InvalidLogin),
        }
    }

    fn judge_token(&self, token: &[u8], place: Place, now: SystemTime) -> Judgement {
        #[cfg(feature = "auth-introspection")]
        if let Some(server) = self.introspection.as_ref().filter(|_| self.jwt.is_none() || !token.contains(&b'.')) {
            if !is_b64_token(token, self.max_opaque_bytes()) {
                return self.refuse(Reason::InvalidToken);
            }
            return match server.recall(token, seconds(now)) {
                Recalled::Caller(identity) => Judgement::Admitted(Admitted::new(identity, place == Place::Query)),
                Recalled::NoGood => self.refuse(Reason::InvalidToken),
                Recalled::Unknown => Judgement::Pending(Pending::Token { token: token.into(), place }),
            };
        }
        self.judge_jwt(token, place, now, false)
    }

    /// Judges a JSON Web Token, which may have `waited` for keys already.
    pub(super) fn judge_jwt(&self, token: &[u8], place: Place, now: SystemTime, waited: bool) -> Judgement {
        let Some(verifier) = &self.jwt else { return self.refuse(Reason::InvalidToken) };
        match verifier.check(token, now, waited) {
            Ok(verified) => Judgement::Admitted(Admitted::verified(verified, place)),
            Err(Unverified::Fetching(fetched)) => {
                Judgement::Pending(Pending::Keys { token: token.into(), place, fetched })
            }
            Err(Unverified::NoKeys(wait)) => cannot_judge(wait),
            Err(Unverified::Refused(fault)) => {
                event::credential_refused(Origin::Auth, &fault);
                if fault == TokenFault::Type || matches!(fault, TokenFault::ClaimMissing("client_id" | "jti" | "iat")) {
                    event::token_of_another_kind(&self.said_kind, Origin::Auth, &fault);
                }
                self.refuse(Reason::InvalidToken)
            }
        }
    }

    pub(super) fn refuse(&self, reason: Reason<'_>) -> Judgement {
        Judgement::Refused(Box::new(self.challenge.refuse(Origin::Auth, reason)))
    }
}

/// Whose fault it is that a credential cannot be judged: not the client's.
pub(super) fn cannot_judge(wait: Duration) -> Judgement {
    let problem = Problem::new(ProblemKind::Unavailable).with_detail("Credentials cannot be checked at the moment.");
    Judgement::Refused(Box::new(Rejection::new(Origin::Auth, problem).with_retry_after(wait)))
}

/// For a verifier that does not say when it will be back.
pub(super) fn cannot_judge_now() -> Judgement {
    cannot_judge(RETRY)
}

/// A cookie, where another site may have made the browser send it: no credential of another kind would mend it.
fn cross_site() -> Judgement {
    let problem =
        Problem::new(ProblemKind::Forbidden).with_detail("Cookies are taken from pages of the same origin alone.");
    Judgement::Refused(Box::new(Rejection::new(Origin::Auth, problem)))
}

/// RFC 6750 section 2.1: what a bearer token is made of.
#[cfg(feature = "auth-introspection")]
fn is_b64_token(token: &[u8], max_bytes: usize) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    (1..=max_bytes).contains(&token.len()) && token.iter().all(is_plain)
}

/// Seconds since 1970; none before.
pub(super) fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
