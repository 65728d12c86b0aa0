//! Keys made of what the client sends along.

use http::HeaderName;

use super::{KeyExtractor, KeyWriter, MissingKey};
use crate::spine::config::ConfigError;
use crate::spine::cookie;
use crate::spine::field;
use crate::spine::problem::ProblemKind;
use crate::spine::request::RequestView;

/// The value of a header field, all its lines in order.
///
/// Clients choose the value freely, so a limit by it alone is no limit: let an authenticated part or the address stand
/// beside it, or verify the field further out.
#[derive(Debug, Clone)]
pub struct HeaderKey(HeaderName);

impl HeaderKey {
    /// Keys by this field.
    #[must_use]
    pub const fn new(name: HeaderName) -> Self {
        Self(name)
    }

    /// Keys by `X-API-Key`, as it is sent. The key itself is kept nowhere: it goes into a keyed hash.
    #[must_use]
    pub const fn api_key() -> Self {
        Self(HeaderName::from_static("x-api-key"))
    }
}

impl KeyExtractor for HeaderKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        const NO_FIELD: MissingKey =
            MissingKey::new("header field of that name", "let clients send it, or key by something else")
                .refused_as(ProblemKind::BadRequest);
        let mut lines = request.headers().get_all(&self.0).iter().peekable();
        if lines.peek().is_none() {
            return Err(NO_FIELD);
        }
        for line in lines {
            key.part(line.as_bytes());
        }
        Ok(())
    }
}

/// The value of a cookie: a session's, say. What holds of [`HeaderKey`] holds here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CookieKey(Box<str>);

impl CookieKey {
    /// Keys by the cookie of this name.
    ///
    /// # Errors
    ///
    /// A name must be a token (RFC 6265 section 4.1.1).
    pub fn new(name: &str) -> Result<Self, ConfigError> {
        if !field::is_token(name.as_bytes()) {
            return Err(ConfigError::new("cookie", name, "is no cookie name", "write one such as `session`"));
        }
        Ok(Self(name.into()))
    }
}

impl KeyExtractor for CookieKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        const NO_COOKIE: MissingKey =
            MissingKey::new("cookie of that name", "set it before this layer counts, or key by something else")
                .refused_as(ProblemKind::BadRequest);
        let mut found = false;
        let cookies = cookie::pairs(request.headers()).filter_map(cookie::name_and_value);
        for (_, value) in cookies.filter(|(name, _)| *name == self.0.as_bytes()) {
            key.part(value);
            found = true;
        }
        if found { Ok(()) } else { Err(NO_COOKIE) }
    }
}
