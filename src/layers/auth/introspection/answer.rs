//! What an introspection answer says (RFC 7662 section 2.2). Pure: `now` comes in.

use super::super::jwt::caller::{audience_is_among, caller};
use super::super::jwt::date;
use crate::spine::identity::Identity;
use crate::spine::json::{Json, JsonLimits, read};

/// How answers are read.
const LIMITS: JsonLimits = JsonLimits::of_whole(64 << 10, 16, 4096);

/// What answers must say.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    pub(super) issuer: Box<str>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) roles_claim: Box<str>,
}

/// An answer that is none: the server's fault, not the client's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoAnswer;

impl Rules {
    pub(super) fn new(issuer: Box<str>) -> Self {
        Self { issuer, audiences: Vec::new(), roles_claim: "roles".into() }
    }

    /// Whose token it is and when it expires; nobody's, when it is no good here.
    pub(super) fn judge(&self, answer: &[u8], now: f64) -> Result<Option<(Identity, Option<f64>)>, NoAnswer> {
        let answer = read(answer, LIMITS).map_err(|_| NoAnswer)?;
        match answer.get("active") {
            Some(Json::Flag(true)) => {}
            Some(Json::Flag(false)) => return Ok(None),
            _ => return Err(NoAnswer),
        }
        let text = |name: &str| answer.get(name).and_then(Json::text);
        let dates = (date(&answer, "exp"), date(&answer, "nbf"));
        let (Ok(expires), Ok(not_before)) = dates else { return Err(NoAnswer) };
        let is_theirs = answer.get("iss").is_none_or(|_| text("iss") == Some(&self.issuer));
        let is_ours = self.audiences.is_empty()
            || answer.get("aud").is_some_and(|audience| audience_is_among(audience, &self.audiences));
        let is_timely = expires.is_none_or(|date| now < date) && not_before.is_none_or(|date| date <= now);
        // RFC 6749 section 7.1: a kind of token that is not understood is none. `access_token` is what some servers write.
        let is_bearer = answer.get("token_type").is_none_or(|kind| {
            kind.text()
                .is_some_and(|kind| ["bearer", "access_token"].iter().any(|ours| kind.eq_ignore_ascii_case(ours)))
        });
        // A token that is bound to its sender is none without the proof.
        if !is_theirs || !is_ours || !is_timely || !is_bearer || answer.get("cnf").is_some() {
            return Ok(None);
        }
        Ok(caller(&self.issuer, &self.roles_claim, None, &answer).ok().map(|caller| (caller, expires)))
    }
}
