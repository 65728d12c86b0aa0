//! Source expressions (CSP Level 3 section 2.3.1).

use std::borrow::Cow;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::spine::config::ConfigError;

/// One source expression of a directive, valid by construction.
///
/// ```
/// use tower_rampart::security_headers::Source;
///
/// let cdn = Source::host("https://cdn.example")?;
/// assert_eq!(cdn.to_string(), "https://cdn.example");
/// // A keyword without its quotes is the name of a host, and the classic way to break a policy.
/// assert!(Source::host("self").is_err());
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Source(pub(super) Kind);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// This request's nonce.
    Nonce,
    Keyword(Keyword),
    /// `'sha256-…'` with its quotes.
    Hash(String),
    /// `https:`, `https://a.example`, `*`.
    Place(Cow<'static, str>),
}

macro_rules! keywords {
    ($($(#[$doc:meta])* $constant:ident, $variant:ident = $text:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(super) enum Keyword { $($variant),* }

        impl Keyword {
            pub(super) const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Without quotes.
            pub(super) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $text),* }
            }
        }

        impl Source {
            $($(#[$doc])* pub const $constant: Self = Self(Kind::Keyword(Keyword::$variant));)*
        }
    };
}

keywords! {
    /// `'none'`: nothing at all. It stands alone.
    NONE, None = "none";
    /// `'self'`: the page's own origin.
    SELF, OwnOrigin = "self";
    /// `'unsafe-inline'`: every inline script or style, an injected one too.
    UNSAFE_INLINE, UnsafeInline = "unsafe-inline";
    /// `'unsafe-eval'`: `eval` and its like.
    UNSAFE_EVAL, UnsafeEval = "unsafe-eval";
    /// `'unsafe-hashes'`: lets hashes match inline event handlers and style attributes.
    UNSAFE_HASHES, UnsafeHashes = "unsafe-hashes";
    /// `'wasm-unsafe-eval'`: compiling WebAssembly.
    WASM_UNSAFE_EVAL, WasmUnsafeEval = "wasm-unsafe-eval";
    /// `'trusted-types-eval'`: `eval` where Trusted Types are enforced.
    TRUSTED_TYPES_EVAL, TrustedTypesEval = "trusted-types-eval";
    /// `'strict-dynamic'`: what a script with nonce or hash loads is trusted; hosts and schemes no longer count.
    STRICT_DYNAMIC, StrictDynamic = "strict-dynamic";
    /// `'report-sample'`: reports quote the start of what was blocked.
    REPORT_SAMPLE, ReportSample = "report-sample";
    /// `'inline-speculation-rules'`: inline speculation rules.
    INLINE_SPECULATION_RULES, InlineSpeculationRules = "inline-speculation-rules";
}

impl Source {
    /// The nonce of the request at hand; see [`CspNonce`](crate::security_headers::CspNonce).
    pub const NONCE: Self = Self(Kind::Nonce);
    /// `*`: every host over the network schemes.
    pub const ANY_HOST: Self = Self(Kind::Place(Cow::Borrowed("*")));
    /// `https:`: every host over TLS.
    pub const HTTPS: Self = Self(Kind::Place(Cow::Borrowed("https:")));
    /// `data:` URLs. In a script directive they let an attacker in.
    pub const DATA: Self = Self(Kind::Place(Cow::Borrowed("data:")));
    /// `blob:` URLs.
    pub const BLOB: Self = Self(Kind::Place(Cow::Borrowed("blob:")));

    /// A host: `cdn.example`, `https://cdn.example:8443/js/`, `*.example.org`.
    ///
    /// # Errors
    ///
    /// Refuses a keyword, nonce or hash that lacks its quotes, and what is no host-source (CSP Level 3 section 2.3.1).
    pub fn host(text: impl Into<String>) -> Result<Self, ConfigError> {
        let text = text.into();
        refuse_unquoted(&text)?;
        if is_host_source(&text) {
            Ok(Self(Kind::Place(Cow::Owned(text))))
        } else {
            Err(bad_source(&text, "is no host source", "write one such as `https://cdn.example` or `*.example.org`"))
        }
    }

    /// A scheme: `https`, `wss`, `data`, with or without its colon.
    ///
    /// # Errors
    ///
    /// Refuses what is no scheme (RFC 3986 section 3.1).
    pub fn scheme(text: impl Into<String>) -> Result<Self, ConfigError> {
        let mut text = text.into();
        if !text.ends_with(':') {
            text.push(':');
        }
        if is_scheme_source(&text) {
            Ok(Self(Kind::Place(Cow::Owned(text))))
        } else {
            Err(bad_source(&text, "is no scheme", "write one such as `https:`"))
        }
    }

    /// The SHA-256 digest of an inline script or style, exactly as it stands between its tags.
    #[must_use]
    pub fn sha256(digest: [u8; 32]) -> Self {
        Self::hash("sha256", &digest)
    }

    /// The SHA-384 digest of an inline script or style.
    #[must_use]
    pub fn sha384(digest: [u8; 48]) -> Self {
        Self::hash("sha384", &digest)
    }

    /// The SHA-512 digest of an inline script or style.
    #[must_use]
    pub fn sha512(digest: [u8; 64]) -> Self {
        Self::hash("sha512", &digest)
    }

    fn hash(algorithm: &str, digest: &[u8]) -> Self {
        Self(Kind::Hash(format!("'{algorithm}-{}'", STANDARD.encode(digest))))
    }

    /// Reads a source expression as it stands in a policy.
    pub(super) fn parse(text: &str) -> Result<Self, ConfigError> {
        let Some(quoted) = text.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) else {
            return if is_scheme_source(text) { Self::scheme(text) } else { Self::host(text) };
        };
        let lower = quoted.to_ascii_lowercase();
        if let Some(keyword) = Keyword::ALL.iter().find(|keyword| keyword.name() == lower) {
            return Ok(Self(Kind::Keyword(*keyword)));
        }
        if lower.starts_with("nonce-") {
            return Err(bad_source(
                text,
                "is a nonce that never changes, which anybody can copy",
                "build the policy in code with `Source::NONCE`",
            ));
        }
        match lower.split_once('-') {
            Some((algorithm, _)) if is_digest(algorithm, quoted) => Ok(Self(Kind::Hash(text.to_owned()))),
            Some(("sha256" | "sha384" | "sha512", _)) => {
                Err(bad_source(text, "is no base64 digest of that length", "write the digest of the inline text"))
            }
            _ => Err(bad_source(text, "is no keyword", "write one such as `'self'`, or a host without quotes")),
        }
    }

    pub(super) fn is(&self, keyword: Keyword) -> bool {
        self.0 == Kind::Keyword(keyword)
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Nonce => f.write_str("'nonce-…'"),
            Kind::Keyword(keyword) => write!(f, "'{}'", keyword.name()),
            Kind::Hash(hash) => f.write_str(hash),
            Kind::Place(place) => f.write_str(place),
        }
    }
}

fn bad_source(value: &str, breach: &'static str, mend: &'static str) -> ConfigError {
    ConfigError::new("content_security_policy", value, breach, mend)
}

/// `self`, `nonce-…`, `sha256-…` without quotes are valid host names, and never what was meant.
fn refuse_unquoted(text: &str) -> Result<(), ConfigError> {
    let lower = text.trim_matches('\'').to_ascii_lowercase();
    let is_keyword = Keyword::ALL.iter().any(|keyword| keyword.name() == lower);
    let is_secret = ["nonce-", "sha256-", "sha384-", "sha512-"].iter().any(|prefix| lower.starts_with(prefix));
    if is_keyword || is_secret {
        return Err(bad_source(text, "lacks its quotes", "write it in single quotes, as `'self'`"));
    }
    Ok(())
}

fn is_digest(algorithm: &str, quoted: &str) -> bool {
    let bytes = match algorithm {
        "sha256" => 32,
        "sha384" => 48,
        "sha512" => 64,
        _ => return false,
    };
    let base64 = quoted.get(algorithm.len() + 1..).unwrap_or_default();
    // CSP allows base64url as well.
    let standard = base64.replace('-', "+").replace('_', "/");
    STANDARD.decode(standard).is_ok_and(|digest| digest.len() == bytes)
}

fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_scheme_source(text: &str) -> bool {
    text.strip_suffix(':').is_some_and(is_scheme)
}

/// `[scheme "://"] host [":" port] [path]`.
fn is_host_source(text: &str) -> bool {
    let rest = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        Some(_) => return false,
        None => text,
    };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    let is_port = |port: &str| port == "*" || port.parse::<u16>().is_ok_and(|port| port > 0);
    is_host(host) && port.is_none_or(is_port) && is_path(path)
}

/// `*`, or labels of which the first may be `*`.
fn is_host(host: &str) -> bool {
    if host == "*" {
        return true;
    }
    let is_label = |label: &str| {
        !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
    };
    host.strip_prefix("*.").unwrap_or(host).split('.').all(is_label)
}

/// A path has no query and no fragment here, and `;` and `,` would end the directive or the policy.
fn is_path(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_graphic() && !b";,'\"?#<>\\^`{|}".contains(&byte))
}
