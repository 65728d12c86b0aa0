//! Where we go, where we let ourselves be sent, and what is this machine. It lives in the spine because challenges name
//! addresses by the same rules by which keys are fetched.

use std::net::IpAddr;

use http::Uri;
use http::uri::Scheme;

/// Redirects that are followed.
pub(crate) const MAX_REDIRECTS: usize = 3;

/// Whether what comes from there can be believed: https, or this machine.
pub(crate) fn is_trustworthy(uri: &Uri) -> bool {
    let scheme = uri.scheme();
    let has_user = uri.authority().is_none_or(|authority| authority.as_str().contains('@'));
    !has_user && (scheme == Some(&Scheme::HTTPS) || scheme == Some(&Scheme::HTTP) && is_loopback(uri))
}

fn is_loopback(uri: &Uri) -> bool {
    let host = uri.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    let is_ours = |address: IpAddr| address.is_loopback() || address.is_unspecified();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| is_ours(address.to_canonical()))
}

/// Whether one address may send us to another: not from https to http, and not from elsewhere to this machine.
pub(crate) fn may_lead(from: &Uri, to: &Uri) -> bool {
    let stays_safe = from.scheme() != Some(&Scheme::HTTPS) || to.scheme() == Some(&Scheme::HTTPS);
    let stays_out = is_loopback(from) || !is_loopback(to);
    is_trustworthy(to) && stays_safe && stays_out
}

/// An address as it may be shown: without what stands before its host, which may be a password.
pub(crate) fn without_login(address: &str) -> &str {
    address.rsplit_once('@').map_or(address, |(_, place)| place)
}

/// Where a redirect leads: an absolute address or path, where it [may](may_lead).
pub(crate) fn redirected(from: &Uri, location: &[u8]) -> Option<Uri> {
    let to: Uri = std::str::from_utf8(location).ok()?.parse().ok()?;
    let to = if to.authority().is_some() {
        to
    } else {
        let mut parts = from.clone().into_parts();
        // `//host/path` names another host (RFC 3986 section 4.2).
        let is_path = |path: &str| path.starts_with('/') && !path.starts_with("//");
        parts.path_and_query = to.into_parts().path_and_query.filter(|path| is_path(path.as_str()));
        parts.path_and_query.as_ref()?;
        Uri::from_parts(parts).ok()?
    };
    may_lead(from, &to).then_some(to)
}

/// An address without its path, and its path without a slash at the end.
pub(crate) fn origin_and_path(address: &str) -> Option<(&str, &str)> {
    let after_scheme = address.find("://")? + 3;
    let end = address.get(after_scheme..)?.find('/').map_or(address.len(), |at| after_scheme + at);
    let (origin, path) = address.split_at_checked(end)?;
    Some((origin, path.strip_suffix('/').unwrap_or(path)))
}
