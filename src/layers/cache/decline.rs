//! Why a response is not stored, and the word for it.

/// Why a response is not stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decline {
    /// By request or response.
    NoStore,
    Private,
    Authorized,
    SetCookie,
    Vary,
    /// Its content holds a nonce, which is good once.
    Nonce,
    /// Its handler has exempted it from some of the security headers, which a hit would get all.
    Overrides,
    Status,
    Range,
    /// It is stale already, and nothing tells how to ask whether it is still good.
    NoUse,
    TooLarge,
    Tags,
}

impl Decline {
    /// For `Cache-Status`.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorized => "authorization",
            Self::SetCookie => "set-cookie",
            Self::Vary => "vary",
            Self::Nonce => "nonce",
            Self::Overrides => "header-overrides",
            Self::Status => "status",
            Self::Range => "range",
            Self::NoUse => "no-freshness",
            Self::TooLarge => "too-large",
            Self::Tags => "tags",
        }
    }
}
