//! Claims in a type of the user's.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use http::Extensions;
use serde::de::DeserializeOwned;

use crate::spine::json::{Json, from_json};

/// The claims of the request's token, read into a type by [`JwtVerifier::with_claims`](super::JwtVerifier::with_claims).
///
/// They are read once for each token, not for each request, and stand in the request's extensions; with feature `axum`
/// this is an extractor.
///
/// ```
/// use tower_rampart::auth::{Algorithm, Claims, Issuer, JwtVerifier, KeySet};
/// # let jwks = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
///
/// #[derive(serde::Deserialize)]
/// struct Plan {
///     plan: String,
///     seats: Option<u32>,
/// }
///
/// let idp = Issuer::new("https://idp.example/").audience("api").algorithms([Algorithm::EdDsa]);
/// let verifier = JwtVerifier::new([idp.keys(KeySet::from_jwks(jwks)?)])?.with_claims::<Plan>();
///
/// fn seats<B>(request: &http::Request<B>) -> Option<u32> {
///     request.extensions().get::<Claims<Plan>>()?.seats
/// }
/// # Ok::<(), tower_rampart::ConfigError>(())
/// ```
pub struct Claims<C>(Arc<C>);

/// Claims of some type, for the request's extensions.
pub(super) trait TypedClaims: Send + Sync {
    fn insert(&self, extensions: &mut Extensions);
}

/// Reads claims into a type, if they fit.
pub(super) type ReadClaims = fn(&Json<'_>) -> Option<Arc<dyn TypedClaims>>;

pub(super) fn read_claims<C: DeserializeOwned + Send + Sync + 'static>(
    claims: &Json<'_>,
) -> Option<Arc<dyn TypedClaims>> {
    Some(Arc::new(Claims(Arc::new(from_json::<C>(claims)?))))
}

impl<C: Send + Sync + 'static> TypedClaims for Claims<C> {
    fn insert(&self, extensions: &mut Extensions) {
        extensions.insert(self.clone());
    }
}

impl<C> Clone for Claims<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Deref for Claims<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.0
    }
}

impl<C> fmt::Debug for Claims<C> {
    /// Without the claims, which are personal data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims").finish_non_exhaustive()
    }
}
