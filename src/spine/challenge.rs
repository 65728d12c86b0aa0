//! What a client is told that must prove who it is (RFC 9110 section 11.6.1, RFC 6750 section 3).

use http::{HeaderValue, header};

use crate::spine::address::{is_trustworthy, without_login};
use crate::spine::config::ConfigError;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;

/// The challenges of a service: `Bearer`, `Basic`, or both.
///
/// It lives in the spine because two layers send it: the one that looks for credentials, and the one that finds that
/// there are none where some are needed.
///
/// ```
/// use tower_rampart::Challenge;
///
/// let challenge = Challenge::new("polls")?
///     .resource_metadata("https://api.example/.well-known/oauth-protected-resource")?;
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    realm: Box<str>,
    resource_metadata: Option<Box<str>>,
    schemes: Schemes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Schemes {
    Bearer,
    BearerAndBasic,
    Basic,
}

/// Why a client is challenged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason<'a> {
    /// It sent no credential, so there is no error (RFC 6750 section 3.1).
    NoCredential,
    /// Its credential is malformed, expired, revoked or otherwise no good.
    InvalidToken,
    /// Its password is wrong, or nobody's: no token is at fault.
    InvalidLogin,
    /// It sent more than one, or one that cannot be read.
    InvalidRequest,
    /// It may not, for want of these scopes.
    InsufficientScope(&'a [Box<str>]),
}

impl Challenge {
    /// A challenge for a realm, which users may be shown.
    ///
    /// # Errors
    ///
    /// A realm with characters that a quoted string would have to escape.
    pub fn new(realm: &str) -> Result<Self, ConfigError> {
        Ok(Self { realm: quotable("realm", realm)?, resource_metadata: None, schemes: Schemes::Bearer })
    }

    /// Where clients learn how to get a token (RFC 9728 section 5.1).
    ///
    /// # Errors
    ///
    /// What is no https URL.
    pub fn resource_metadata(mut self, url: &str) -> Result<Self, ConfigError> {
        if !url.parse().is_ok_and(|uri| is_trustworthy(&uri)) {
            const MEND: &str = "write one such as `https://api.example/.well-known/oauth-protected-resource`";
            return Err(ConfigError::new("resource_metadata", without_login(url), "is no https URL", MEND));
        }
        self.resource_metadata = Some(quotable("resource_metadata", url)?);
        Ok(self)
    }

    /// Says that user names and passwords are taken, too (RFC 7617).
    #[must_use]
    pub const fn and_basic(mut self) -> Self {
        self.schemes = Schemes::BearerAndBasic;
        self
    }

    /// Says that user names and passwords are taken, and no tokens.
    #[must_use]
    pub const fn basic_alone(mut self) -> Self {
        self.schemes = Schemes::Basic;
        self
    }

    /// Refuses a client, with what it must know to do better.
    pub(crate) fn refuse(&self, origin: crate::spine::event::Origin, reason: Reason<'_>) -> Rejection {
        let problem = match reason {
            Reason::NoCredential => Problem::new(ProblemKind::Unauthenticated).with_detail("This needs a credential."),
            Reason::InvalidToken | Reason::InvalidLogin => {
                Problem::new(ProblemKind::Unauthenticated).with_detail("The credential is no good.")
            }
            Reason::InvalidRequest => {
                Problem::new(ProblemKind::BadRequest).with_detail("The request carries more than one credential.")
            }
            Reason::InsufficientScope(_) => {
                Problem::new(ProblemKind::Forbidden).with_detail("The credential does not allow this.")
            }
        };
        let mut rejection = Rejection::new(origin, problem);
        if self.schemes != Schemes::Basic {
            rejection = rejection.add_header(header::WWW_AUTHENTICATE, self.bearer(reason));
        }
        // RFC 7617 section 2.1: passwords are read as UTF-8.
        if self.schemes != Schemes::Bearer {
            let text = format!("Basic realm=\"{}\", charset=\"UTF-8\"", self.realm);
            let value = HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Basic realm=\"api\""));
            rejection = rejection.add_header(header::WWW_AUTHENTICATE, value);
        }
        rejection
    }

    fn bearer(&self, reason: Reason<'_>) -> HeaderValue {
        let mut text = format!("Bearer realm=\"{}\"", self.realm);
        let mut add = |name: &str, value: &str| {
            text.push_str(", ");
            text.push_str(name);
            text.push_str("=\"");
            text.push_str(value);
            text.push('"');
        };
        match reason {
            Reason::NoCredential | Reason::InvalidLogin => {}
            Reason::InvalidToken => add("error", "invalid_token"),
            Reason::InvalidRequest => add("error", "invalid_request"),
            Reason::InsufficientScope(scopes) => {
                add("error", "insufficient_scope");
                add("scope", &scopes.join(" "));
            }
        }
        if let Some(url) = &self.resource_metadata {
            add("resource_metadata", url);
        }
        // Every part was checked when the challenge was made, scopes when their rule was.
        HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

impl Default for Challenge {
    /// The realm `api`.
    fn default() -> Self {
        Self { realm: "api".into(), resource_metadata: None, schemes: Schemes::Bearer }
    }
}

/// A text that stands in a quoted string as it is (RFC 9110 section 5.6.4).
fn quotable(setting: &'static str, text: &str) -> Result<Box<str>, ConfigError> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        return Ok(text.into());
    }
    Err(ConfigError::new(setting, text, "cannot be quoted", "use printable ASCII without `\"` and `\\`"))
}
