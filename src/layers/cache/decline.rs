//! Why a response is not stored, and the word for it.

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decline {
    /// The response says so.
    NoStore,
    /// The request says so.
    Refused,
    Private,
    /// The request has credentials.
    Authorized,
    SetCookie,
    Vary,
    /// Its content holds a nonce, which is good once.
    Nonce,
    /// Its handler has exempted it from some of the security headers, which a hit would get all.
    Overrides,
    Status,
    /// Its status answers a field of the request that others have not sent.
    OneRequest,
    Range,
    /// It is stale already, and nothing tells how to ask whether it is still good.
    NoUse,
    TooLarge,
    Tags,
}

impl Decline {
    /// Whether the request is to blame, and the response would have been stored for another.
    pub(super) const fn is_for_the_request(self) -> bool {
        matches!(self, Self::Refused | Self::Authorized | Self::OneRequest)
    }

    /// For `Cache-Status`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoStore | Self::Refused => "no-store",
            Self::Private => "private",
            Self::Authorized => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::Nonce => "nonce",
            Self::Overrides => "header-overrides",
            Self::Status | Self::OneRequest => "status",
            Self::Range => "range",
            Self::NoUse => "no-freshness",
            Self::TooLarge => "too-large",
            Self::Tags => "tags",
        }
    }
}
