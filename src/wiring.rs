//! The one place that knows both the spine and the integrations.
//!
//! The spine asks for a peer address or counts a refusal here and never learns which frameworks are compiled in; an
//! integration implements the answers and never learns who asks.

use std::net::SocketAddr;
#[cfg(feature = "rate-limit")]
use std::sync::Arc;
#[cfg(any(feature = "_auth", feature = "cache", feature = "rate-limit", feature = "validate"))]
use std::time::Duration;

use http::Extensions;

#[cfg(feature = "_auth")]
use crate::spine::event::AuthzOutcome;
use crate::spine::event::Origin;
#[cfg(feature = "rate-limit")]
use crate::spine::event::PolicyEvent;
use crate::spine::problem::ProblemKind;

/// The peer address that a framework left in the request's extensions.
pub(crate) fn framework_peer(extensions: &Extensions) -> Option<SocketAddr> {
    let sources: &[fn(&Extensions) -> Option<SocketAddr>] = &[
        #[cfg(feature = "axum")]
        crate::integration::axum::peer_addr,
        #[cfg(feature = "tonic")]
        crate::integration::tonic::peer_addr,
    ];
    sources.iter().find_map(|source| source(extensions))
}

/// Whether a framework says that the connection is encrypted.
pub(crate) fn framework_tls(extensions: &Extensions) -> bool {
    let sources: &[fn(&Extensions) -> bool] = &[
        #[cfg(feature = "tonic")]
        crate::integration::tonic::is_tls,
    ];
    sources.iter().any(|source| source(extensions))
}

/// The route template that a framework matched.
#[cfg_attr(not(feature = "axum"), allow(unused_variables, reason = "no framework matches routes"))]
pub(crate) fn framework_route(extensions: &Extensions) -> Option<&str> {
    #[cfg(feature = "axum")]
    if let Some(route) = crate::integration::axum::matched_path(extensions) {
        return Some(route);
    }
    None
}

/// The path that was asked for, where a framework has cut off the part that led to a nested router.
#[cfg(any(feature = "_auth", feature = "validate"))]
#[cfg_attr(not(feature = "axum"), allow(unused_variables, reason = "no framework cuts paths"))]
pub(crate) fn original_path(extensions: &Extensions) -> Option<&str> {
    #[cfg(feature = "axum")]
    if let Some(path) = crate::integration::axum::original_path(extensions) {
        return Some(path);
    }
    None
}

#[cfg(feature = "json-schema")]
pub(crate) use crate::integration::json_schema::{CompiledSchema, MAX_BREACHES};
#[cfg(feature = "_auth")]
pub(crate) use crate::integration::spawn::{Task, spawn};
#[cfg(any(feature = "_auth", feature = "cache"))]
pub(crate) use crate::integration::spawn::{can_spawn, detach};
#[cfg(any(feature = "_auth", feature = "cache", feature = "rate-limit", feature = "validate"))]
pub(crate) use crate::integration::timer::Timer;

/// A timer of the runtime that polls; `None` outside of one.
#[cfg(any(feature = "_auth", feature = "cache", feature = "rate-limit", feature = "validate"))]
pub(crate) fn timer(wait: Duration) -> Option<Timer> {
    crate::integration::timer::start(wait)
}

/// Counts something of a limiter's policy, when metrics are compiled in.
#[cfg(feature = "rate-limit")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_policy(event: PolicyEvent, policy: &Arc<str>) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_policy(event, policy);
}

/// Counts a decision of an authorization policy, when metrics are compiled in.
#[cfg(feature = "_auth")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_authorization(outcome: AuthzOutcome) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_authorization(outcome);
}

/// Counts a refusal, when metrics are compiled in.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_refusal(origin: Origin, kind: ProblemKind) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_refusal(origin, kind);
}
