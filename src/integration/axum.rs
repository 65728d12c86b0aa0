//! axum: the peer address, extractors, and rejections as responses.

use std::fmt;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::sync::atomic::AtomicBool;

#[cfg(any(feature = "_auth", feature = "validate"))]
use ::axum::extract::OriginalUri;
use ::axum::extract::connect_info::MockConnectInfo;
use ::axum::extract::{ConnectInfo, MatchedPath};
use axum_core::body::Body;
use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use axum_core::response::{IntoResponse, Response};
use http::Extensions;
use http::request::Parts;

use crate::spine::event::Origin;
use crate::spine::identity::Identity;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::{Refuser, Rejection};
use crate::spine::request::{RequestFacts, RequestView};

/// `ConnectInfo`, else the `MockConnectInfo` of a test.
pub(crate) fn peer_addr(extensions: &Extensions) -> Option<SocketAddr> {
    if let Some(ConnectInfo(addr)) = extensions.get::<ConnectInfo<SocketAddr>>() {
        return Some(*addr);
    }
    extensions.get::<MockConnectInfo<SocketAddr>>().map(|MockConnectInfo(addr)| *addr)
}

/// A body of nothing.
#[cfg(feature = "cache")]
pub(crate) fn empty_body() -> Body {
    Body::empty()
}

/// The template of the route that the router chose.
pub(crate) fn matched_path(extensions: &Extensions) -> Option<&str> {
    extensions.get::<MatchedPath>().map(MatchedPath::as_str)
}

/// The path before nested routers cut off what led to them.
#[cfg(any(feature = "_auth", feature = "validate"))]
pub(crate) fn original_path(extensions: &Extensions) -> Option<&str> {
    extensions.get::<OriginalUri>().map(|OriginalUri(uri)| uri.path())
}

/// An extractor's refusal: the problem, rendered for the client that asked.
#[derive(Debug)]
pub struct ExtractorRejection(Box<(Rejection, http::Response<crate::ResponseBody<Body>>)>);

impl ExtractorRejection {
    fn new(parts: &Parts, problem: Problem) -> Self {
        let facts = RequestFacts::of(RequestView::of_parts(parts));
        // One for all, so that a flood of refusals is sampled as one.
        static REFUSER: LazyLock<Refuser> = LazyLock::new(Refuser::new);
        let rejection = Rejection::new(Origin::Custom("axum_extractor"), problem);
        let response = REFUSER.refuse(rejection.clone(), &facts);
        Self(Box::new((rejection, response)))
    }

    /// Why the extractor refused.
    #[must_use]
    pub const fn rejection(&self) -> &Rejection {
        &self.0.0
    }
}

impl fmt::Display for ExtractorRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.rejection().fmt(f)
    }
}

impl std::error::Error for ExtractorRejection {}

impl IntoResponse for ExtractorRejection {
    fn into_response(self) -> Response {
        self.0.1.map(Body::new)
    }
}

/// The caller that an authentication layer established; 401 when there is none.
impl<S: Sync> FromRequestParts<S> for Identity {
    type Rejection = ExtractorRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| unauthenticated(parts))
    }
}

/// Nobody is known. Where nobody could be, that is no client's fault, and is said.
fn unauthenticated(parts: &Parts) -> ExtractorRejection {
    if !crate::spine::identity::are_sought() {
        static SAID: AtomicBool = AtomicBool::new(false);
        crate::spine::event::fault_once(
            &SAID,
            Origin::Custom("axum_extractor"),
            "identity_missing",
            "a handler asks who the caller is, and nothing finds out: add `.layer(Auth::new().jwt(..).build()?)`, or what else \
             puts an Identity into requests, outside it",
        );
    }
    ExtractorRejection::new(parts, Problem::new(ProblemKind::Unauthenticated))
}

/// The caller, or nobody.
impl<S: Sync> OptionalFromRequestParts<S> for Identity {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The claims of the request's token, in the type that its verifier reads them into; 401 when there are none.
#[cfg(feature = "_auth")]
impl<C: Send + Sync + 'static, S: Sync> FromRequestParts<S> for crate::layers::auth::Claims<C> {
    type Rejection = ExtractorRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| unauthenticated(parts))
    }
}

/// The claims, or none.
#[cfg(feature = "_auth")]
impl<C: Send + Sync + 'static, S: Sync> OptionalFromRequestParts<S> for crate::layers::auth::Claims<C> {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}

/// The JSON body that a validation layer has read, in a type of yours, without being parsed once more: behind routes with a
/// schema, and those that say [`parsed`](crate::validate::Route::parsed).
///
/// 422 when the value is not of the type, and 500, with a line in the log, where no such layer stands outside the handler.
#[cfg(feature = "json-schema")]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "extractors are taken apart where they are asked for")]
pub struct Validated<T>(pub T);

#[cfg(feature = "json-schema")]
impl<T: serde::de::DeserializeOwned, S: Sync> FromRequestParts<S> for Validated<T> {
    type Rejection = ExtractorRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        use crate::layers::validate::ParsedJson;
        use crate::layers::validate::parsed::NotParsed;

        let refuse =
            |kind, detail: &'static str| Err(ExtractorRejection::new(parts, Problem::new(kind).with_detail(detail)));
        if let Some(parsed) = parts.extensions.get::<ParsedJson>() {
            let Ok(value) = parsed.fill() else {
                return refuse(ProblemKind::UnprocessableContent, "The body is not what is expected here.");
            };
            return Ok(Self(value));
        }
        if parts.extensions.get::<NotParsed>().is_some() {
            return refuse(ProblemKind::BadRequest, "The body cannot be read.");
        }
        static SAID: AtomicBool = AtomicBool::new(false);
        crate::spine::event::fault_once(
            &SAID,
            Origin::Validate,
            "value_missing",
            "a handler asks for a Validated value, but no layer hands one out: describe its request to a Validate layer \
             outside it, with `.schema(..)` or `.json().parsed()`",
        );
        Err(ExtractorRejection::new(parts, Problem::new(ProblemKind::Internal)))
    }
}

/// The request's nonce; 500 when no security headers layer with a nonce in its policy stands outside the handler.
#[cfg(feature = "security-headers")]
impl<S: Sync> FromRequestParts<S> for crate::spine::nonce::CspNonce {
    type Rejection = ExtractorRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            static SAID: AtomicBool = AtomicBool::new(false);
            crate::spine::event::fault_once(
                &SAID,
                Origin::SecurityHeaders,
                "nonce_missing",
                "a handler asks for a CspNonce, but no layer hands one out: \
                 add `.layer(SecurityHeadersLayer::web())`, or a policy with `Source::NONCE`, outside it",
            );
            ExtractorRejection::new(parts, Problem::new(ProblemKind::Internal))
        })
    }
}
