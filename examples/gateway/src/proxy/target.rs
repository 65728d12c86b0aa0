//! Which host a request names, and which path. What it names never chooses the upstream.

use http::header::{CONNECTION, HOST, UPGRADE};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, Method, Request, Version};
use tower_rampart::problem::{Problem, ProblemKind};

use super::headers::has_token;

/// The host that the request is for, which the upstream gets to see unchanged.
///
/// RFC 9112 section 3.2: a missing, repeated or invalid `Host` is answered 400; an absolute target overrules it
/// (section 3.2.2). RFC 9113 section 8.3.1: `:authority` and `host` must agree.
pub fn host<B>(request: &Request<B>) -> Result<Authority, Problem> {
    if request.method() == Method::CONNECT {
        return Err(Problem::new(ProblemKind::NotImplemented).with_detail("This gateway opens no tunnels."));
    }
    if asks_for_websocket(request.headers()) {
        return Err(Problem::new(ProblemKind::NotImplemented).with_detail("This gateway passes no WebSockets on."));
    }
    let named = host_field(request.headers())?;
    let target = request.uri().authority().cloned();
    if target.as_ref().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(bad("The target holds user information."));
    }
    let is_http2 = request.version() == Version::HTTP_2;
    match (target, named) {
        (Some(target), None) if is_http2 => Ok(target),
        (Some(target), Some(named)) if is_http2 && target != named => Err(bad("`:authority` and `host` disagree.")),
        (Some(target), Some(_)) => Ok(target),
        (None, Some(named)) => Ok(named),
        (_, None) => Err(bad("The request names no host.")),
    }
}

/// The path and query, byte for byte.
pub fn path<B>(request: &Request<B>) -> PathAndQuery {
    request.uri().path_and_query().cloned().unwrap_or_else(|| PathAndQuery::from_static("/"))
}

fn host_field(headers: &HeaderMap) -> Result<Option<Authority>, Problem> {
    let mut fields = headers.get_all(HOST).iter();
    let Some(field) = fields.next() else { return Ok(None) };
    if fields.next().is_some() {
        return Err(bad("The request names its host twice."));
    }
    let authority = Authority::try_from(field.as_bytes()).map_err(|_| bad("The host is malformed."))?;
    if authority.as_str().contains('@') {
        return Err(bad("The host is malformed."));
    }
    Ok(Some(authority))
}

/// Other upgrades (`h2c`, say) are optional for the client, and ignored as RFC 9110 section 7.8 allows.
pub fn asks_for_websocket(headers: &HeaderMap) -> bool {
    has_token(headers, &UPGRADE, b"websocket") && has_token(headers, &CONNECTION, b"upgrade")
}

fn bad(detail: &'static str) -> Problem {
    Problem::new(ProblemKind::BadRequest).with_detail(detail)
}

#[cfg(test)]
#[path = "target_tests.rs"]
mod tests;
