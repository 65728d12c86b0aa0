//! Unsafe requests, and what they make of what is stored (RFC 9111 section 4.4).

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use http::{Extensions, HeaderMap, Method, Request, Response, StatusCode, Uri, header};
use http_body::Body;
use tower_service::Service;

use super::core::Core;
use super::entry::Head;
use super::fetch::keep;
use super::freshness::Moments;
use super::key::Target;
use super::purge::{Aim, Purge};
use super::range::told_length;
use super::route::CacheHint;
use super::service::Answer;
use super::status::{Forward, Forwarded};
use super::storable::{self, Asked, head, judge};
use super::tags;
use crate::spine::body::ResponseBody;
use crate::spine::rejection::Rejection;
use crate::spine::shared::SharedBody;

/// Passes a request on that may change something.
pub(super) async fn write<S, ReqB, ResB>(
    core: Arc<Core>,
    mut service: S,
    request: Request<ReqB>,
    asked: Asked,
) -> Result<Answer<ResB>, S::Error>
where
    S: Service<Request<ReqB>, Response = Response<ResB>>,
    ResB: Body<Data = Bytes> + Send + 'static,
    ResB::Error: Send + 'static,
{
    poll_fn(|cx| service.poll_ready(cx)).await?;
    let (uri, is_post) = (request.uri().clone(), *request.method() == Method::POST);
    // Dropped on its way, or failed without an answer: it may have been done all the same.
    let mut pending = Pending { core: Arc::clone(&core), asked: &asked, uri: &uri, is_open: true };
    let asked_at = core.clock.now();
    let response = service.call(request).await?;
    pending.is_open = false;
    drop(pending);
    let (mut parts, body) = response.into_parts();
    let is_done = parts.status.is_success() || parts.status.is_redirection();
    if is_done {
        invalidate_all(&core, &asked, &uri, &parts.headers);
    } else if is_unanswered(parts.status, &parts.extensions) {
        invalidate(&core, &asked, &uri);
    }
    let hint = parts.extensions.remove::<CacheHint>();
    let mut forwarded = Forwarded::new(Forward::Method);
    let moments = Moments { asked: asked_at, answered: core.clock.now(), wall: core.clock.wall() };
    let told = storable::Answer {
        status: parts.status,
        headers: &parts.headers,
        hint: hint.as_ref(),
        moments,
        // After the invalidation, which is not for this.
        begun: core.begin(),
    };
    let stored = if is_post && !asked.goes_past { representation(&core, &asked, &uri, &told) } else { None };
    let body = match stored {
        Some(head) => {
            forwarded.is_stored = true;
            keep(&core, Arc::new(head), None, body, told_length(&parts.headers), None, moments.answered)
        }
        None => ResponseBody::inner(SharedBody::inner(body)),
    };
    tags::strip(&mut parts.headers);
    core.writer.write_forwarded(&mut parts.headers, forwarded);
    Ok(Response::from_parts(parts, body))
}

/// Whether a layer further in says that the origin did not answer: it may have done what it was asked all the same. What
/// was refused (503, by a circuit breaker) was not sent.
fn is_unanswered(status: StatusCode, extensions: &Extensions) -> bool {
    matches!(status, StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT) && extensions.get::<Rejection>().is_some()
}

/// An unsafe request that nobody has answered.
struct Pending<'a> {
    core: Arc<Core>,
    asked: &'a Asked,
    uri: &'a Uri,
    is_open: bool,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if self.is_open {
            invalidate(&self.core, self.asked, self.uri);
        }
    }
}

/// The target, where its response points, and the groups that it names (RFC 9875 section 3).
fn invalidate_all(core: &Arc<Core>, asked: &Asked, uri: &Uri, answer: &HeaderMap) {
    invalidate(core, asked, uri);
    let target = target_of(asked, uri);
    for name in [header::LOCATION, header::CONTENT_LOCATION] {
        let Some(place) = answer.get(name).and_then(|value| resolve(target.scheme(), uri.path(), value.as_bytes()))
        else {
            continue;
        };
        // Only of the same origin: others' affairs are not this one's to decide.
        let Some(other) = target.same_origin(&place) else { continue };
        invalidate_target(core, other);
    }
    for group in tags::invalidated_groups(answer) {
        core.purge(Aim::Mark(core.marks.group(asked.shared_key.origin(), &group)), Purge::Hard);
    }
}

/// The URI: what stands under its own key goes, and what stands under others of it is not used again.
fn invalidate(core: &Arc<Core>, asked: &Asked, uri: &Uri) {
    core.write(asked.uri);
    core.remove(asked.shared_key.clone());
    if asked.has_parts {
        core.remove(core.key_of(target_of(asked, uri)));
    }
}

fn target_of<'a>(asked: &'a Asked, uri: &'a Uri) -> Target<'a> {
    let (is_https, authority) = asked.shared_key.origin();
    Target::of_origin(is_https, authority, uri)
}

/// Another target than the request's own.
pub(super) fn invalidate_target(core: &Arc<Core>, target: Target<'_>) {
    core.write(core.mark_of_uri(target.authority, target.path, target.query));
    core.remove(core.key_of(target));
}

/// A reference of a field, against the target's path (RFC 3986 section 5.2): whole, from the root, or beside the path.
fn resolve(scheme: &str, path: &str, reference: &[u8]) -> Option<Uri> {
    let reference = std::str::from_utf8(reference).ok()?.trim();
    let reference = reference.split_once('#').map_or(reference, |(before, _)| before);
    if let Some(rest) = reference.strip_prefix("//") {
        // Of the scheme that the target has.
        return absolute(&format!("{scheme}://{rest}"));
    }
    // RFC 3986 section 3: a scheme ends before a path, a query or a fragment begins.
    let has_scheme = reference.split_once("://").is_some_and(|(scheme, _)| !scheme.contains(['/', '?']));
    if reference.starts_with('/') || has_scheme {
        return absolute(reference);
    }
    if reference.starts_with('?') {
        return format!("{path}{reference}").parse().ok();
    }
    let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
    absolute(&format!("{directory}/{reference}"))
}

/// A URI, or its path and query, without `.` and `..` in it: who asks for it leaves them out.
fn absolute(reference: &str) -> Option<Uri> {
    let uri: Uri = reference.parse().ok()?;
    if !uri.path().contains("/.") {
        return Some(uri);
    }
    let path = without_dots(uri.path());
    let target = uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}"));
    let mut parts = uri.into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// RFC 3986 section 5.2.4.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_dots = matches!(segment, "." | "..");
        if segment == ".." {
            kept.pop();
        }
        if !is_dots {
            kept.push(segment);
        } else if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}

/// RFC 9110 section 9.3.3: a POST's answer that is what a GET would get, and says for how long. A status that speaks of what
/// was done, or where to go, is no representation of the target (section 8.7).
fn representation(core: &Core, asked: &Asked, uri: &Uri, told: &storable::Answer<'_>) -> Option<Head> {
    if told.status != StatusCode::OK {
        return None;
    }
    let location = told.headers.get(header::CONTENT_LOCATION)?;
    let target = target_of(asked, uri);
    let place = resolve(target.scheme(), uri.path(), location.as_bytes())?;
    let other = target.same_origin(&place)?;
    let is_own = other.path == target.path && other.query == target.query;
    let judgement = judge(asked, told, &core.settings).ok().filter(|judgement| is_own && judgement.is_explicit())?;
    head(asked, told, judgement, &core.settings, &core.marks).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 3986 sections 5.2.4 and 5.4, as far as a response says so.
    #[test]
    fn references() {
        for (reference, expected) in [
            ("g", "/b/c/g"),
            ("./g", "/b/c/g"),
            ("g/", "/b/c/g/"),
            ("/g", "/g"),
            ("//g", "http://g/"),
            ("?y", "/b/c/d;p?y"),
            ("g?y", "/b/c/g?y"),
            ("g?y/../x", "/b/c/g?y/../x"),
            ("g?y=http://a/x", "/b/c/g?y=http://a/x"),
            ("./g?http://a/", "/b/c/g?http://a/"),
            ("?http://a/", "/b/c/d;p?http://a/"),
            ("g#http://a/", "/b/c/g"),
            ("g/http://a/h", "/b/c/g/http://a/h"),
            ("g#s", "/b/c/g"),
            (".", "/b/c/"),
            ("./", "/b/c/"),
            ("..", "/b/"),
            ("../g", "/b/g"),
            ("../../g", "/g"),
            ("../../../g", "/g"),
            ("/./g", "/g"),
            ("/../g", "/g"),
            ("/a/../g?q", "/g?q"),
            ("g.", "/b/c/g."),
            ("..g", "/b/c/..g"),
            ("./g/.", "/b/c/g/"),
            ("g/../h", "/b/c/h"),
            ("http://a/b/../g", "http://a/g"),
        ] {
            let resolved = resolve("http", "/b/c/d;p", reference.as_bytes()).map(|uri| uri.to_string());
            assert_eq!(resolved.as_deref(), Some(expected), "{reference}");
        }
        assert_eq!(resolve("http", "/", b"http://[::"), None);
        assert_eq!(resolve("http", "/", b"\xff"), None);
    }
}
