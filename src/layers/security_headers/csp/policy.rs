//! The builder and the finished policy.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;

use super::check;
use super::source::{Keyword, Kind, Source};
use crate::spine::config::ConfigError;

/// Collects the directives of a policy; [`build`](Self::build) checks what they mean together.
///
/// ```
/// use tower_rampart::security_headers::{Csp, Source};
///
/// let policy = Csp::new()
///     .default_src([Source::NONE])
///     .script_src([Source::NONCE, Source::STRICT_DYNAMIC])
///     .img_src([Source::SELF, Source::host("https://images.example")?])
///     .build()?;
/// assert_eq!(
///     policy.without_nonce(),
///     "default-src 'none'; script-src 'self'; img-src 'self' https://images.example",
/// );
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Csp {
    pub(super) directives: Vec<Directive>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Sources(Vec<Source>),
    Tokens(Vec<String>),
    /// Written as it is, of a directive that we do not know.
    Custom(String),
}

macro_rules! source_directives {
    ($($(#[$doc:meta])* $setter:ident = $name:literal;)*) => {
        impl Csp {
            $($(#[$doc])*
            #[must_use]
            pub fn $setter(self, sources: impl IntoIterator<Item = Source>) -> Self {
                self.with($name, Value::Sources(sources.into_iter().collect()))
            })*
        }
    };
}

source_directives! {
    /// `default-src`: what the fetch directives that are not named fall back to.
    default_src = "default-src";
    /// `script-src`: scripts.
    script_src = "script-src";
    /// `script-src-elem`: `<script>` elements alone.
    script_src_elem = "script-src-elem";
    /// `script-src-attr`: inline event handlers.
    script_src_attr = "script-src-attr";
    /// `style-src`: styles.
    style_src = "style-src";
    /// `style-src-elem`: `<style>` and stylesheets.
    style_src_elem = "style-src-elem";
    /// `style-src-attr`: `style` attributes.
    style_src_attr = "style-src-attr";
    /// `worker-src`: workers.
    worker_src = "worker-src";
    /// `child-src`: frames and workers.
    child_src = "child-src";
    /// `connect-src`: fetch, WebSocket, EventSource, beacons.
    connect_src = "connect-src";
    /// `font-src`: fonts.
    font_src = "font-src";
    /// `frame-src`: what the page may frame.
    frame_src = "frame-src";
    /// `img-src`: images.
    img_src = "img-src";
    /// `manifest-src`: the web app manifest.
    manifest_src = "manifest-src";
    /// `media-src`: audio and video.
    media_src = "media-src";
    /// `object-src`: plugins.
    object_src = "object-src";
    /// `base-uri`: the `<base>` element.
    base_uri = "base-uri";
    /// `form-action`: where forms go.
    form_action = "form-action";
    /// `frame-ancestors`: who may frame the page.
    frame_ancestors = "frame-ancestors";
}

impl Csp {
    /// No directive yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { directives: Vec::new() }
    }

    /// `upgrade-insecure-requests`: `http:` links within the site become `https:`.
    #[must_use]
    pub fn upgrade_insecure_requests(self) -> Self {
        self.with("upgrade-insecure-requests", Value::Tokens(Vec::new()))
    }

    /// `sandbox`, with what it allows (`"allow-scripts"`); nothing is the strictest.
    #[must_use]
    pub fn sandbox<T: Into<String>>(self, tokens: impl IntoIterator<Item = T>) -> Self {
        self.with("sandbox", tokens_of(tokens))
    }

    /// `require-trusted-types-for 'script'`: DOM sinks take typed values only.
    #[must_use]
    pub fn require_trusted_types_for_script(self) -> Self {
        self.with("require-trusted-types-for", tokens_of(["'script'"]))
    }

    /// `trusted-types`: the names of the policies that may create typed values.
    #[must_use]
    pub fn trusted_types<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        self.with("trusted-types", tokens_of(names))
    }

    /// `report-to`: a group declared with
    /// [`reporting_endpoint`](crate::security_headers::SecurityHeaders::reporting_endpoint).
    #[must_use]
    pub fn report_to(self, group: impl Into<String>) -> Self {
        self.with("report-to", tokens_of([group]))
    }

    /// `report-uri`, which browsers without `report-to` know.
    #[must_use]
    pub fn report_uri<T: Into<String>>(self, uris: impl IntoIterator<Item = T>) -> Self {
        self.with("report-uri", tokens_of(uris))
    }

    /// A directive that this crate does not know. Only its characters are checked.
    #[must_use]
    pub fn custom(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.with(name, Value::Custom(value.into()))
    }

    /// Checks the policy and renders it.
    ///
    /// # Errors
    ///
    /// An empty policy, an unknown or repeated directive, `'none'` beside other sources, a repeated source,
    /// `'strict-dynamic'` without nonce or hash, a source that has no effect where it stands, and characters that end
    /// a directive or the field (`;`, `,`, CR, LF, non-ASCII). Each names the value and the mend.
    pub fn build(self) -> Result<ContentSecurityPolicy, ConfigError> {
        check::policy(&self)?;
        ContentSecurityPolicy::render(&self)
    }

    pub(super) fn with(mut self, name: impl Into<String>, value: Value) -> Self {
        self.directives.push(Directive { name: name.into(), value });
        self
    }
}

fn tokens_of<T: Into<String>>(tokens: impl IntoIterator<Item = T>) -> Value {
    Value::Tokens(tokens.into_iter().map(Into::into).collect())
}

/// A checked policy, rendered once. Cheap to clone.
///
/// Text parses into one, with the same checks:
///
/// ```
/// use tower_rampart::security_headers::ContentSecurityPolicy;
///
/// let policy: ContentSecurityPolicy = "default-src 'none'; frame-ancestors 'none'".parse()?;
/// let error = "script-src self".parse::<ContentSecurityPolicy>().unwrap_err();
/// assert_eq!(error.value(), "self");
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ContentSecurityPolicy(Arc<Rendered>);

#[derive(PartialEq, Eq)]
struct Rendered {
    /// The text between the nonces. One piece is a policy without a nonce.
    pieces: Vec<String>,
    without_nonce: HeaderValue,
    report_groups: Vec<String>,
}

impl ContentSecurityPolicy {
    fn render(csp: &Csp) -> Result<Self, ConfigError> {
        let mut pieces = vec![String::new()];
        let mut without_nonce = String::new();
        let mut report_groups = Vec::new();
        for Directive { name, value } in &csp.directives {
            for text in pieces.last_mut().into_iter().chain([&mut without_nonce]) {
                let separator = if text.is_empty() { "" } else { "; " };
                text.push_str(separator);
                text.push_str(name);
            }
            match value {
                Value::Sources(sources) => {
                    write_sources(&mut pieces, sources);
                    write_plain(&mut without_nonce, &undrawn(sources));
                }
                Value::Tokens(tokens) => {
                    write_tokens(&mut pieces, &mut without_nonce, tokens);
                    if name == "report-to" {
                        report_groups.extend(tokens.iter().cloned());
                    }
                }
                Value::Custom(text) => write_tokens(&mut pieces, &mut without_nonce, std::slice::from_ref(text)),
            }
        }
        let without_nonce = HeaderValue::from_maybe_shared(Bytes::from(without_nonce)).map_err(|_| {
            ConfigError::new("content_security_policy", "", "is no field value", "use visible ASCII characters")
        })?;
        Ok(Self(Arc::new(Rendered { pieces, without_nonce, report_groups })))
    }

    /// Whether a response can carry a nonce.
    #[must_use]
    pub fn uses_nonce(&self) -> bool {
        self.0.pieces.len() > 1
    }

    /// The policy of a response whose handler drew no nonce.
    #[must_use]
    pub fn without_nonce(&self) -> &HeaderValue {
        &self.0.without_nonce
    }

    /// The policy of a response whose handler drew this nonce.
    pub(crate) fn with_nonce(&self, nonce: &str) -> HeaderValue {
        if nonce.is_empty() || !self.uses_nonce() {
            return self.0.without_nonce.clone();
        }
        let chars: usize = self.0.pieces.iter().map(|piece| piece.len() + nonce.len()).sum();
        let mut text = String::with_capacity(chars);
        for (index, piece) in self.0.pieces.iter().enumerate() {
            if index > 0 {
                text.push_str(nonce);
            }
            text.push_str(piece);
        }
        // The pieces were checked when the policy was built, and a nonce is base64.
        HeaderValue::from_maybe_shared(Bytes::from(text)).unwrap_or_else(|_| self.0.without_nonce.clone())
    }

    /// The groups that the policy reports to.
    pub(crate) fn report_groups(&self) -> &[String] {
        &self.0.report_groups
    }
}

impl fmt::Debug for ContentSecurityPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ContentSecurityPolicy").field(&self.0.pieces.join("…")).finish()
    }
}

impl TryFrom<Csp> for ContentSecurityPolicy {
    type Error = ConfigError;

    fn try_from(csp: Csp) -> Result<Self, ConfigError> {
        csp.build()
    }
}

impl TryFrom<&str> for ContentSecurityPolicy {
    type Error = ConfigError;

    fn try_from(text: &str) -> Result<Self, ConfigError> {
        text.parse()
    }
}

impl FromStr for ContentSecurityPolicy {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        check::parse(text)?.build()
    }
}

fn write_sources(pieces: &mut Vec<String>, sources: &[Source]) {
    for source in sources {
        let Some(piece) = pieces.last_mut() else { return };
        if source.0 == Kind::Nonce {
            piece.push_str(" 'nonce-");
            pieces.push(String::from("'"));
        } else {
            piece.push(' ');
            piece.push_str(&source.to_string());
        }
    }
}

fn write_plain(text: &mut String, sources: &[Source]) {
    for source in sources {
        text.push(' ');
        text.push_str(&source.to_string());
    }
}

fn write_tokens(pieces: &mut [String], without_nonce: &mut String, tokens: &[String]) {
    for text in pieces.last_mut().into_iter().chain([without_nonce]) {
        for token in tokens.iter().filter(|token| !token.is_empty()) {
            text.push(' ');
            text.push_str(token);
        }
    }
}

/// What is left of a source list when no nonce was drawn. A browser that sees a nonce ignores `'unsafe-inline'`, and
/// under `'strict-dynamic'` hosts and schemes too; without the nonce they would come to life, so they go with it. A
/// list that then allows nothing falls to `'self'`.
fn undrawn(sources: &[Source]) -> Vec<Source> {
    if !sources.contains(&Source::NONCE) {
        return sources.to_vec();
    }
    let has_hash = sources.iter().any(|source| matches!(source.0, Kind::Hash(_)));
    let was_strict = sources.iter().any(|source| source.is(Keyword::StrictDynamic));
    let stays = |source: &&Source| match &source.0 {
        Kind::Nonce | Kind::Keyword(Keyword::UnsafeInline) => false,
        Kind::Keyword(Keyword::StrictDynamic) => has_hash,
        Kind::Keyword(Keyword::OwnOrigin) | Kind::Place(_) => !was_strict,
        Kind::Keyword(_) | Kind::Hash(_) => true,
    };
    let mut left: Vec<Source> = sources.iter().filter(stays).cloned().collect();
    let allows =
        |source: &Source| matches!(source.0, Kind::Hash(_) | Kind::Place(_) | Kind::Keyword(Keyword::OwnOrigin));
    if !left.iter().any(allows) {
        left.insert(0, Source::SELF);
    }
    left
}
