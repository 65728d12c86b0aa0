//! The one place that knows both the spine and the integrations.
//!
//! The spine asks for a peer address or counts a refusal here and never learns which frameworks are compiled in; an
//! integration implements the answers and never learns who asks.

use std::net::SocketAddr;
#[cfg(any(feature = "circuit-breaker", feature = "rate-limit"))]
use std::sync::Arc;
#[cfg(feature = "_sleep")]
use std::time::Duration;

use http::Extensions;

#[cfg(feature = "validate")]
use crate::spine::coding::{Coding, DecodeFault};
#[cfg(feature = "_auth")]
use crate::spine::event::AuthzOutcome;
#[cfg(feature = "circuit-breaker")]
use crate::spine::event::CircuitEvent;
use crate::spine::event::Origin;
#[cfg(feature = "retry")]
use crate::spine::event::RetryEvent;
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
use crate::spine::event::{Label, PressureEvent};
#[cfg(feature = "rate-limit")]
use crate::spine::event::{PolicyEvent, StoreEvent};
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

/// Whether a response has exceptions of its own from the security headers, in its extensions.
#[cfg(feature = "cache")]
#[cfg_attr(not(feature = "security-headers"), allow(unused_variables, reason = "nobody makes exceptions"))]
pub(crate) fn has_header_overrides(extensions: &Extensions) -> bool {
    #[cfg(feature = "security-headers")]
    return extensions.get::<crate::layers::security_headers::HeaderOverrides>().is_some();
    #[cfg(not(feature = "security-headers"))]
    return false;
}

/// A request's body that is empty, where its type is one of which it is known how one is made.
#[cfg(feature = "cache")]
pub(crate) fn empty_body<B: 'static>() -> Option<B> {
    fn of<T: 'static, B: 'static>(body: T) -> Option<B> {
        let mut body = Some(body);
        let any: &mut dyn std::any::Any = &mut body;
        any.downcast_mut::<Option<B>>()?.take()
    }
    let sources: &[fn() -> Option<B>] = &[
        || of(()),
        #[cfg(feature = "axum")]
        || of(crate::integration::axum::empty_body()),
        #[cfg(all(feature = "axum", feature = "validate"))]
        || of(crate::layers::validate::CheckedBody::passed(crate::integration::axum::empty_body())),
    ];
    sources.iter().find_map(|source| source())
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
pub(crate) use crate::integration::json_schema::{CompiledSchema, JsonValue, MAX_BREACHES, SchemaBreach};
#[cfg(feature = "openapi")]
pub(crate) use crate::integration::json_schema::{SchemaEngine, SchemaValue, knows_format, pattern_fault};
#[cfg(any(feature = "_auth", feature = "cache"))]
pub(crate) use crate::integration::spawn::can_spawn;
#[cfg(any(feature = "_auth", feature = "cache", feature = "rate-limit"))]
pub(crate) use crate::integration::spawn::detach;
#[cfg(any(feature = "_auth", feature = "cache"))]
pub(crate) use crate::integration::spawn::{Task, spawn};
#[cfg(feature = "_sleep")]
pub(crate) use crate::integration::timer::Timer;
#[cfg(feature = "openapi-yaml")]
pub(crate) use crate::integration::yaml::read as read_yaml;

/// A timer of the runtime that polls; `None` outside of one.
#[cfg(feature = "_sleep")]
pub(crate) fn timer(wait: Duration) -> Option<Timer> {
    crate::integration::timer::start(wait)
}

/// Undoes a content coding of a body, when decompression is compiled in.
#[cfg(feature = "validate")]
#[cfg_attr(not(feature = "decompression"), allow(unused_variables, reason = "nothing is undone without it"))]
pub(crate) fn decode(
    coding: Coding,
    body: &[u8],
    max_bytes: usize,
    hold: &mut dyn FnMut(usize) -> bool,
) -> Result<Vec<u8>, DecodeFault> {
    #[cfg(feature = "decompression")]
    let decoded = crate::integration::decompression::decode(coding, body, max_bytes, hold);
    #[cfg(not(feature = "decompression"))]
    let decoded = Err(DecodeFault::Malformed);
    decoded
}

/// Counts something of a limiter's policy, when metrics are compiled in.
#[cfg(feature = "rate-limit")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_policy(event: PolicyEvent, policy: &Arc<str>) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_policy(event, policy);
}

/// Counts something of the store that limiters share, when metrics are compiled in.
#[cfg(feature = "rate-limit")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_limit_store(event: StoreEvent) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_limit_store(event);
}

/// Counts what becomes of a call that failed, when metrics are compiled in.
#[cfg(feature = "retry")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_retry(event: RetryEvent) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_retry(event);
}

/// Counts what a circuit's call came to, when metrics are compiled in.
#[cfg(feature = "circuit-breaker")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_circuit(event: CircuitEvent, circuit: &Arc<str>) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_circuit(event, circuit);
}

/// Counts a circuit's transition, when metrics are compiled in.
#[cfg(feature = "circuit-breaker")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_circuit_change(circuit: &Arc<str>, names: [&'static str; 3]) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_circuit_change(circuit, names);
}

/// Shows a circuit's state, when metrics are compiled in.
#[cfg(feature = "circuit-breaker")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing shows without metrics"))]
pub(crate) fn show_circuit(circuit: &Arc<str>, state: &'static str) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::show_circuit(circuit, state);
}

/// Counts a decision of an authorization policy, when metrics are compiled in.
#[cfg(feature = "_auth")]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_authorization(outcome: AuthzOutcome) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_authorization(outcome);
}

/// Counts what happens under pressure, when metrics are compiled in.
#[cfg(any(feature = "bulkhead", feature = "load-shed"))]
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_pressure(event: PressureEvent, label: Label<'_>) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_pressure(event, label);
}

/// Counts a refusal, when metrics are compiled in.
#[cfg_attr(not(feature = "metrics"), allow(unused_variables, reason = "nothing counts without metrics"))]
pub(crate) fn count_refusal(origin: Origin, kind: ProblemKind) {
    #[cfg(feature = "metrics")]
    crate::integration::metrics::count_refusal(origin, kind);
}

#[cfg(all(test, feature = "cache"))]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_nothing() {
        assert_eq!(empty_body(), Some(()));
        assert_eq!(empty_body::<String>(), None, "nobody knows how one is made");
        #[cfg(feature = "axum")]
        {
            fn is_made_of_a<T: 'static>(_: T) -> bool {
                empty_body::<T>().is_some()
            }
            let body = crate::integration::axum::empty_body;
            assert!(is_made_of_a(body()));
            #[cfg(feature = "validate")]
            assert!(is_made_of_a(crate::layers::validate::CheckedBody::passed(body())));
        }
    }
}
