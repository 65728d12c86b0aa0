//! The layer, and what makes it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tower_layer::Layer;

use super::api_key::ApiKeys;
use super::basic::Basic;
use super::credential::Places;
#[cfg(feature = "auth-introspection")]
use super::introspection::Introspection;
use super::jwt::JwtVerifier;
use super::metadata::Resource;
use super::service::AuthService;
use crate::spine::bounds::CloneService;
use crate::spine::certificate::ClientCertificate;
use crate::spine::challenge::Challenge;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::field;
use crate::spine::identity::{self, Identity};
use crate::spine::rejection::{Refuser, RenderRejection};

/// Makes an [`AuthLayer`]. See the [module](super) for the manual.
#[derive(Clone, Default)]
#[must_use = "nobody is authenticated until the layer is built"]
pub struct Auth {
    pub(super) jwt: Option<JwtVerifier>,
    #[cfg(feature = "auth-introspection")]
    pub(super) introspection: Option<Introspection>,
    pub(super) api_keys: Option<ApiKeys>,
    pub(super) basic: Option<Basic>,
    pub(super) certificates: Option<KnowCertificate>,
    pub(super) places: Places,
    pub(super) optional: bool,
    pub(super) strip: bool,
    pub(super) passes_preflights: bool,
    pub(super) challenge: Challenge,
    pub(super) resource: Option<Resource>,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
    /// Whether it was said that tokens are of another kind than was thought.
    pub(super) said_kind: Arc<AtomicBool>,
}

crate::spine::bounds::no_layer!(Auth);

/// Whose certificate it is.
type KnowCertificate = Arc<dyn Fn(&ClientCertificate) -> Option<Identity> + Send + Sync>;

/// The issuer of callers that are known by their certificate.
const CERTIFICATE_ISSUER: &str = "client-certificate";

impl Auth {
    /// No credential is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bearer tokens that this verifier accepts.
    pub fn jwt(mut self, verifier: JwtVerifier) -> Self {
        self.jwt = Some(verifier);
        self
    }

    /// Takes opaque tokens that this server knows.
    #[cfg(feature = "auth-introspection")]
    pub fn introspection(mut self, server: Introspection) -> Self {
        self.introspection = Some(server);
        self
    }

    /// Takes these API keys, in `X-API-Key`.
    pub fn api_keys(mut self, keys: ApiKeys) -> Self {
        self.api_keys = Some(keys);
        self
    }

    /// Takes user names and passwords, in `Authorization: Basic`.
    pub fn basic(mut self, basic: Basic) -> Self {
        self.basic = Some(basic);
        self
    }

    /// Knows callers without another credential by their [`ClientCertificate`]: its first name is the subject, the issuer
    /// is `client-certificate`.
    pub fn client_certificates(self) -> Self {
        self.client_certificates_by(|certificate| {
            certificate.names().next().map(|name| Identity::new(CERTIFICATE_ISSUER, name))
        })
    }

    /// The same, by a judgement of your own. A certificate that it does not know is refused.
    pub fn client_certificates_by(
        mut self,
        know: impl Fn(&ClientCertificate) -> Option<Identity> + Send + Sync + 'static,
    ) -> Self {
        self.certificates = Some(Arc::new(know));
        self
    }

    /// Takes tokens from this cookie, too. Browsers send cookies whoever asks them to, so that everything that is not
    /// safe, and every WebSocket, needs `Sec-Fetch-Site: same-origin`; what comes without is refused (403).
    pub fn cookie(mut self, name: impl Into<Box<str>>) -> Self {
        self.places.cookie = Some(name.into());
        self
    }

    /// Takes tokens from WebSocket protocols that begin so, such as `bearer.`: the one field that scripts can choose.
    pub fn websocket_protocol(mut self, prefix: impl Into<Box<str>>) -> Self {
        self.places.websocket = Some(prefix.into());
        self
    }

    /// Takes tokens from this parameter of the query, too, where logs, histories and `Referer` keep them (RFC 6750
    /// section 5.3 says not to).
    pub fn dangerous_query_parameter(mut self, name: impl Into<Box<str>>) -> Self {
        self.places.query = Some(name.into());
        self
    }

    /// Lets strangers through, without an identity. A credential that is no good is refused all the same.
    pub const fn optional(mut self, optional: bool) -> Self {
        self.optional = optional;
        self
    }

    /// Takes the credential off a request when its bearer is known, so that nothing further in can leak it.
    pub const fn strip_credentials(mut self, strip: bool) -> Self {
        self.strip = strip;
        self
    }

    /// Lets CORS preflights through, which browsers send without credentials: `OPTIONS` with `Origin` and
    /// `Access-Control-Request-Method`. A CORS layer further out needs no such thing.
    pub const fn pass_preflights(mut self, pass: bool) -> Self {
        self.passes_preflights = pass;
        self
    }

    /// What strangers are told.
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = challenge;
        self
    }

    /// Answers the document that describes this service (RFC 9728), and names it in every challenge.
    pub fn resource(mut self, resource: Resource) -> Self {
        self.resource = Some(resource);
        self
    }

    /// Replaces the clock.
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.refuser = self.refuser.with_clock(clock.clone());
        self.clock = clock;
        self
    }

    /// Replaces what turns refusals into responses.
    pub fn with_renderer(mut self, renderer: impl RenderRejection) -> Self {
        self.refuser = self.refuser.with_renderer(renderer);
        self
    }

    /// The layer.
    ///
    /// # Errors
    ///
    /// No credential is known, or a cookie, protocol or parameter has a name that none can have.
    pub fn build(mut self) -> Result<AuthLayer, ConfigError> {
        if self.is_empty() {
            const MEND: &str = "say who is known with `.jwt(verifier)`, `.api_keys(keys)` or another credential";
            return Err(ConfigError::new("auth", "", "knows no credential", MEND));
        }
        let Places { cookie, websocket, query } = &self.places;
        for (setting, name) in [("cookie", cookie), ("websocket_protocol", websocket), ("query_parameter", query)] {
            let Some(name) = name else { continue };
            if !field::is_token(name.as_bytes())
                || (setting == "query_parameter" && name.contains(['%', '&', '#', '+']))
            {
                return Err(ConfigError::new(
                    setting,
                    name,
                    "is no name for it",
                    "use letters, digits, `-`, `_` and `.`",
                ));
            }
        }
        if let Some(resource) = &self.resource {
            self.challenge = self.challenge.resource_metadata(resource.metadata_url())?;
        }
        if self.basic.is_some() {
            self.challenge =
                if self.takes_tokens() { self.challenge.and_basic() } else { self.challenge.basic_alone() };
        }
        identity::seek();
        Ok(AuthLayer { auth: Arc::new(self) })
    }

    /// Whether nobody can be known.
    pub(super) fn is_empty(&self) -> bool {
        let nobody =
            self.jwt.is_none() && self.api_keys.is_none() && self.basic.is_none() && self.certificates.is_none();
        #[cfg(feature = "auth-introspection")]
        let nobody = nobody && self.introspection.is_none();
        nobody
    }

    /// Whether a bearer token can open the door.
    fn takes_tokens(&self) -> bool {
        let tokens = self.jwt.is_some();
        #[cfg(feature = "auth-introspection")]
        let tokens = tokens || self.introspection.is_some();
        tokens
    }

    /// The longest opaque token.
    #[cfg(feature = "auth-introspection")]
    pub(super) fn max_opaque_bytes(&self) -> usize {
        const DEFAULT: usize = 4096;
        self.jwt.as_ref().map_or(DEFAULT, JwtVerifier::token_bytes)
    }
}

/// Establishes who sent a request. See the [module](super) for the manual.
///
/// Made by [`Auth::build`].
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct AuthLayer {
    pub(super) auth: Arc<Auth>,
}

impl AuthLayer {
    /// Leaves requests as they are: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self { auth: Arc::new(Auth::new()) }
    }

    /// Begins to fetch keys that are remote, and keeps them fresh: to be called where a runtime is there, when the layer
    /// was made where there was none. Without it the first token begins.
    pub fn start(&self) {
        if let Some(verifier) = &self.auth.jwt {
            verifier.start();
        }
    }

    /// Goes on with the keys that another layer has fetched: see [`JwtVerifier::adopt_keys`].
    pub fn adopt_keys(self, other: &Self) -> Self {
        let Some((verifier, other)) = self.auth.jwt.clone().zip(other.auth.jwt.as_ref()) else { return self };
        let mut auth = Auth::clone(&self.auth);
        auth.jwt = Some(verifier.adopt_keys(other));
        Self { auth: Arc::new(auth) }
    }

    /// Whether tokens can be checked: each issuer's keys are there.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.auth.jwt.as_ref().is_none_or(JwtVerifier::is_ready)
    }

    /// What strangers are told, for an authorization layer that tells them, too.
    #[must_use]
    pub fn challenge(&self) -> Challenge {
        self.auth.challenge.clone()
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("jwt", &self.jwt)
            .field("api_keys", &self.api_keys)
            .field("optional", &self.optional)
            .finish_non_exhaustive()
    }
}

impl<S: CloneService> Layer<S> for AuthLayer {
    type Service = AuthService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, Arc::clone(&self.auth))
    }
}
