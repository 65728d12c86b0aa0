//! The layer, and what makes it.

use std::sync::Arc;

use tower_layer::Layer;

use super::api_key::ApiKeys;
use super::jwt::JwtVerifier;
use super::service::AuthService;
use crate::spine::challenge::Challenge;
use crate::spine::clock::Clock;
use crate::spine::config::ConfigError;
use crate::spine::rejection::{Refuser, RenderRejection};

/// Makes an [`AuthLayer`]. See the [module](super) for the manual.
#[derive(Debug, Clone, Default)]
#[must_use = "nobody is authenticated until the layer is built"]
pub struct Auth {
    pub(super) jwt: Option<JwtVerifier>,
    pub(super) api_keys: Option<ApiKeys>,
    pub(super) optional: bool,
    pub(super) strip: bool,
    pub(super) challenge: Challenge,
    pub(super) clock: Clock,
    pub(super) refuser: Refuser,
}

impl Auth {
    /// Whether nobody can be known.
    pub(super) const fn is_empty(&self) -> bool {
        self.jwt.is_none() && self.api_keys.is_none()
    }

    /// No credential is known yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bearer tokens that this verifier accepts.
    pub fn jwt(mut self, verifier: JwtVerifier) -> Self {
        self.jwt = Some(verifier);
        self
    }

    /// Takes these API keys, in `X-API-Key`.
    pub fn api_keys(mut self, keys: ApiKeys) -> Self {
        self.api_keys = Some(keys);
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

    /// What strangers are told.
    pub fn challenge(mut self, challenge: Challenge) -> Self {
        self.challenge = challenge;
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
    /// No credential is known.
    pub fn build(self) -> Result<AuthLayer, ConfigError> {
        if self.is_empty() {
            const MEND: &str = "say who is known with `.jwt(verifier)` or `.api_keys(keys)`";
            return Err(ConfigError::new("auth", "", "knows no credential", MEND));
        }
        Ok(AuthLayer { auth: Arc::new(self) })
    }
}

/// Establishes who sent a request. See the [module](super) for the manual.
///
/// Made by [`Auth::build`].
#[derive(Debug, Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct AuthLayer {
    auth: Arc<Auth>,
}

impl AuthLayer {
    /// Leaves requests as they are: for a place that a configuration may leave open.
    pub fn empty() -> Self {
        Self { auth: Arc::new(Auth::new()) }
    }
}

impl<S> Layer<S> for AuthLayer {
    type Service = AuthService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(inner, Arc::clone(&self.auth))
    }
}
