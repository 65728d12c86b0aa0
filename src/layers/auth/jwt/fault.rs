//! Why a token is refused: for logs at debug, never for clients.

use std::fmt;

use crate::spine::json::JsonFault;

/// Why a token is refused. It holds nothing of the token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenFault {
    /// It has more bytes than are looked at.
    TooLong,
    /// It has bytes that no token has.
    Characters,
    /// It does not have three parts.
    Segments,
    /// A part is not base64url, or not in its one form.
    Base64,
    /// Its header cannot be read.
    Header(JsonFault),
    /// A member of its header is missing or of the wrong type.
    HeaderForm,
    /// Its header asks for something that is not done here: `crit`, `b64`, `zip`, `enc`.
    Extension,
    /// Its algorithm is unknown, not allowed, or not the key's.
    Algorithm,
    /// Its `typ` is another kind's.
    Type,
    /// No key has its name, or several fit.
    Key,
    /// The signature does not verify.
    Signature,
    /// Its claims cannot be read.
    Claims(JsonFault),
    /// Its claims are no object.
    ClaimsForm,
    /// A claim that must be there is not.
    ClaimMissing(&'static str),
    /// A claim has another type or value than it must have.
    ClaimInvalid(&'static str),
    /// It has expired.
    Expired,
    /// It is not valid yet, or comes from the future.
    NotYetValid,
    /// It is older, or lives longer, than is allowed.
    TooOld,
    /// It is bound to its sender, which is not checked here.
    SenderConstrained,
    /// It was revoked.
    Revoked,
}

impl fmt::Display for TokenFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::TooLong => "the token is too long",
            Self::Characters => "the token has characters that no token has",
            Self::Segments => "the token does not have three parts",
            Self::Base64 => "a part of the token is not base64url",
            Self::Header(fault) => return write!(f, "the header cannot be read: {fault}"),
            Self::HeaderForm => "a member of the header is missing or of the wrong type",
            Self::Extension => "the header has an extension that is not known here",
            Self::Algorithm => "the algorithm is not allowed",
            Self::Type => "the token is of another type",
            Self::Key => "no key fits",
            Self::Signature => "the signature does not verify",
            Self::Claims(fault) => return write!(f, "the claims cannot be read: {fault}"),
            Self::ClaimsForm => "the claims are no object",
            Self::ClaimMissing(claim) => return write!(f, "the claim `{claim}` is missing"),
            Self::ClaimInvalid(claim) => return write!(f, "the claim `{claim}` is not as it must be"),
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet",
            Self::TooOld => "the token is older or lives longer than is allowed",
            Self::SenderConstrained => "the token is bound to its sender",
            Self::Revoked => "the token was revoked",
        };
        f.write_str(text)
    }
}

impl std::error::Error for TokenFault {}
