//! What claims must say (RFC 7519 section 4.1, RFC 9068 section 4). Pure: `now` comes in.

use std::time::Duration;

use super::caller::audience_is_among;
use super::fault::TokenFault;
use crate::spine::json::{Json, Number};

/// The rules of one issuer.
#[derive(Debug, Clone)]
pub(super) struct ClaimRules {
    pub(super) issuer: Box<str>,
    /// One of these must be meant; none given, and any will do.
    pub(super) audiences: Vec<Box<str>>,
    pub(super) profile: Profile,
    pub(super) leeway: Duration,
    pub(super) max_age: Option<Duration>,
    pub(super) max_lifetime: Option<Duration>,
}

/// What kind of token an issuer's are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Profile {
    /// OAuth access tokens (RFC 9068): `typ` is `at+jwt`, and `iss`, `exp`, `aud`, `sub`, `client_id`, `iat` and `jti`
    /// are all there.
    #[default]
    AccessToken,
    /// Any JWT with `iss`, `exp` and `aud`. A token that says it is of a particular kind other than `JWT` or `at+jwt`
    /// is refused: one made for something else must not open this door.
    AnyJwt,
    /// JWTs of exactly this `typ`.
    Typed(Box<str>),
}

/// The last second that is taken for a date: the end of the year 9999.
const LAST_DATE: f64 = 253_402_300_799.0;

/// The dates of a token that is valid now.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dates {
    expires: f64,
    not_before: Option<f64>,
    pub(super) issued: Option<f64>,
}

impl Dates {
    /// When it expires, since 1970.
    pub(super) fn expires(self) -> Duration {
        // Within the calendar, by its check.
        Duration::try_from_secs_f64(self.expires).unwrap_or_default()
    }
}

impl Profile {
    /// Whether a header's `typ` will do. Names are media types: case does not count, and `application/` is understood
    /// before one without a slash (RFC 7515 section 4.1.9).
    pub(super) fn accepts(&self, typ: Option<&str>) -> bool {
        let is = |name: &str| typ.is_some_and(|typ| bare(typ).eq_ignore_ascii_case(bare(name)));
        match self {
            Self::AccessToken => is("at+jwt"),
            Self::AnyJwt => typ.is_none() || is("jwt") || is("at+jwt"),
            Self::Typed(name) => is(name),
        }
    }

    const fn required(&self) -> &'static [&'static str] {
        match self {
            Self::AccessToken => &["sub", "client_id", "iat", "jti"],
            Self::AnyJwt | Self::Typed(_) => &[],
        }
    }
}

/// A media type without the `application/` that may be left out.
fn bare(typ: &str) -> &str {
    const PREFIX: &str = "application/";
    match typ.split_at_checked(PREFIX.len()) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case(PREFIX) => rest,
        _ => typ,
    }
}

impl ClaimRules {
    /// Checks the claims of a token whose signature is good.
    pub(super) fn check(&self, claims: &Json<'_>, now: f64) -> Result<Dates, TokenFault> {
        match claims.get("iss") {
            None => return Err(TokenFault::ClaimMissing("iss")),
            // One string, compared byte by byte: a list is not.
            Some(issuer) if issuer.text() == Some(&self.issuer) => {}
            Some(_) => return Err(TokenFault::ClaimInvalid("iss")),
        }
        if claims.get("cnf").is_some() {
            return Err(TokenFault::SenderConstrained);
        }
        for name in self.profile.required() {
            if claims.get(name).is_none() {
                return Err(TokenFault::ClaimMissing(name));
            }
        }
        for name in ["sub", "client_id", "jti"] {
            if claims.get(name).is_some_and(|claim| claim.text().is_none_or(str::is_empty)) {
                return Err(TokenFault::ClaimInvalid(name));
            }
        }
        self.check_audience(claims)?;
        let dates = Dates {
            expires: date(claims, "exp")?.ok_or(TokenFault::ClaimMissing("exp"))?,
            not_before: date(claims, "nbf")?,
            issued: date(claims, "iat")?,
        };
        self.check_dates(dates, now)?;
        Ok(dates)
    }

    /// Checks the dates alone: all of the claims that time can change.
    pub(super) fn check_dates(&self, dates: Dates, now: f64) -> Result<(), TokenFault> {
        let leeway = self.leeway.as_secs_f64();
        // RFC 7519 section 4.1.4: on or after the date it is too late.
        if now >= dates.expires + leeway {
            return Err(TokenFault::Expired);
        }
        if dates.not_before.is_some_and(|date| date > now + leeway)
            || dates.issued.is_some_and(|date| date > now + leeway)
        {
            return Err(TokenFault::NotYetValid);
        }
        if let Some(max_age) = self.max_age {
            let issued = dates.issued.ok_or(TokenFault::ClaimMissing("iat"))?;
            if now - issued > max_age.as_secs_f64() + leeway {
                return Err(TokenFault::TooOld);
            }
        }
        if let Some(max_lifetime) = self.max_lifetime {
            let begun = dates.issued.unwrap_or(now);
            if dates.expires - begun > max_lifetime.as_secs_f64() {
                return Err(TokenFault::TooOld);
            }
        }
        Ok(())
    }

    fn check_audience(&self, claims: &Json<'_>) -> Result<(), TokenFault> {
        let meant = claims.get("aud").ok_or(TokenFault::ClaimMissing("aud"));
        if self.audiences.is_empty() {
            return Ok(());
        }
        let holds = audience_is_among(meant?, &self.audiences);
        if holds { Ok(()) } else { Err(TokenFault::ClaimInvalid("aud")) }
    }
}

/// A NumericDate (RFC 7519 section 2): seconds, perhaps with a fraction, within the calendar.
pub(in crate::layers::auth) fn date(claims: &Json<'_>, name: &'static str) -> Result<Option<f64>, TokenFault> {
    let seconds = match claims.get(name) {
        None => return Ok(None),
        Some(Json::Number(Number::Whole(seconds))) => *seconds as f64,
        Some(Json::Number(Number::Real(seconds))) => *seconds,
        Some(_) => return Err(TokenFault::ClaimInvalid(name)),
    };
    if (0.0..=LAST_DATE).contains(&seconds) { Ok(Some(seconds)) } else { Err(TokenFault::ClaimInvalid(name)) }
}
