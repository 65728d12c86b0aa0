//! Keys made of what a request is for.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::{KeyExtractor, KeyWriter, MissingKey};
use crate::spine::path::{PathPattern, PathReadings};
use crate::spine::problem::ProblemKind;
use crate::spine::request::{Protocol, RequestView};

/// One key for everybody.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct GlobalKey;

impl KeyExtractor for GlobalKey {
    fn extract(&self, _: RequestView<'_>, _: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        Ok(())
    }
}

/// The method. Those that no RFC names are one key together: clients can invent any number.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct MethodKey;

impl KeyExtractor for MethodKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        key.part(method_name(request.method()).as_bytes());
        Ok(())
    }
}

fn method_name(method: &Method) -> &str {
    const KNOWN: [Method; 9] = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
        Method::CONNECT,
        Method::PATCH,
        Method::TRACE,
    ];
    if KNOWN.contains(method) { method.as_str() } else { "" }
}

/// The template of the route that a request was matched to (`/polls/{id}`), for servers that match before the layer
/// runs. Put it into the request's extensions.
///
/// With feature `axum`, `MatchedPath` serves as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTemplate(Arc<str>);

impl RouteTemplate {
    /// A template, as the router has it.
    #[must_use]
    pub fn new(template: impl Into<Arc<str>>) -> Self {
        Self(template.into())
    }

    /// The template.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RouteTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Method and route: the matched template, else the first of its own patterns that matches the path.
///
/// axum knows the template within `Router::layer`; around the whole router it does not yet.
///
/// ```
/// use tower_rampart::key::{ClientIp, RouteKey};
///
/// let per_client_and_route = (ClientIp::new(), RouteKey::new());
/// ```
#[derive(Debug, Clone, Default)]
pub struct RouteKey {
    patterns: Vec<PathPattern>,
}

impl RouteKey {
    /// Keys by method and matched template.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What stands for the route where no template was matched. Paths that no pattern matches have no key.
    #[must_use]
    pub fn or_patterns(mut self, patterns: impl IntoIterator<Item = PathPattern>) -> Self {
        self.patterns = patterns.into_iter().collect();
        self
    }

    fn route<'a>(&'a self, request: RequestView<'a>) -> Option<&'a str> {
        if let Some(RouteTemplate(template)) = request.extensions().get() {
            return Some(template);
        }
        crate::wiring::framework_route(request.extensions()).or_else(|| {
            let readings = PathReadings::of(request.uri().path());
            let mut matching = self.patterns.iter().filter(|pattern| readings.any(pattern)).map(PathPattern::as_str);
            let first = matching.next()?;
            // Where the spelling could choose among several, it chooses none of them.
            Some(if readings.is_plain() || matching.next().is_none() { first } else { "" })
        })
    }
}

impl KeyExtractor for RouteKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        const NO_ROUTE: MissingKey = MissingKey::new(
            "matched route",
            "put the layer inside the router (on axum `Router::layer`, with feature `axum`), \
             insert a `RouteTemplate` further out, or name patterns with `RouteKey::or_patterns`",
        );
        let route = self.route(request).ok_or(NO_ROUTE)?;
        key.part(method_name(request.method()).as_bytes());
        key.part(route.as_bytes());
        Ok(())
    }
}

/// Whom a request is for: the authority of its URI, else its `Host`, in lower case. On a client's side that is the
/// dependency; on a server's side it is what the client wrote.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct AuthorityKey;

impl KeyExtractor for AuthorityKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        const NO_AUTHORITY: MissingKey =
            MissingKey::new("authority", "call by absolute URIs, or send `Host`").refused_as(ProblemKind::BadRequest);
        let host = || request.headers().get(http::header::HOST)?.to_str().ok();
        let authority = request.uri().authority().map(|authority| authority.as_str()).or_else(host);
        let authority = authority.ok_or(NO_AUTHORITY)?;
        if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            key.part(authority.to_ascii_lowercase().as_bytes());
        } else {
            key.part(authority.as_bytes());
        }
        Ok(())
    }
}

/// The gRPC method: the path of a gRPC request. Clients can invent any number, so let the client stand beside it.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::exhaustive_structs, reason = "a unit: there is nothing to add")]
pub struct GrpcMethodKey;

impl KeyExtractor for GrpcMethodKey {
    fn extract(&self, request: RequestView<'_>, key: &mut KeyWriter<'_>) -> Result<(), MissingKey> {
        const NO_GRPC: MissingKey = MissingKey::new("gRPC method", "put the layer around a gRPC service alone")
            .refused_as(ProblemKind::BadRequest);
        if Protocol::of_headers(request.headers()) == Protocol::Http {
            return Err(NO_GRPC);
        }
        key.part(request.uri().path().as_bytes());
        Ok(())
    }
}
