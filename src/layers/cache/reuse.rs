//! Whether a stored response answers a request (RFC 9111 section 4).

use std::time::Duration;

use super::directives::RequestDirectives;
use super::entry::Head;
use super::settings::{Policy, Settings};

/// What is done with a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reuse {
    /// It answers.
    Fresh,
    /// It answers, and the origin is asked for the next time (RFC 5861 section 3).
    WhileRevalidate,
    /// It answers although it is stale, because the client takes it so.
    Stale,
    /// The origin is asked first, because of its age or because the client wants it.
    Validate { by_request: bool },
}

/// Decides, at an age.
pub(super) fn reuse(head: &Head, asked: &RequestDirectives, age: Duration, settings: &Settings) -> Reuse {
    let is_fresh = head.is_fresh_at(age);
    if head.rules.no_cache {
        return Reuse::Validate { by_request: false };
    }
    let heeds = settings.policy == Policy::Shared;
    // RFC 8246 section 2: what is immutable does not change while it is fresh, and a reload finds the same; one that is
    // forced goes on.
    let is_settled = is_fresh && head.rules.immutable;
    if heeds && (asked.no_cache || (!is_settled && client_refuses(head, asked, age))) {
        return Reuse::Validate { by_request: true };
    }
    if is_fresh {
        return Reuse::Fresh;
    }
    let staleness = head.life.staleness(age);
    if staleness < head.rules.stale_while_revalidate {
        return Reuse::WhileRevalidate;
    }
    // RFC 9111 section 5.2.1.2.
    let takes_stale = heeds && asked.max_stale.is_some_and(|max| staleness <= max);
    if takes_stale && !head.rules.forbids_stale && !head.is_expired() && staleness <= settings.max_stale {
        return Reuse::Stale;
    }
    Reuse::Validate { by_request: false }
}

/// Whether it is too old for the client (RFC 9111 sections 5.2.1.1 and 5.2.1.3).
fn client_refuses(head: &Head, asked: &RequestDirectives, age: Duration) -> bool {
    let is_too_old = |max: Duration| {
        let allowed = max.saturating_add(asked.max_stale.unwrap_or_default());
        // `max-age=0` asks for validation, however new the response is.
        allowed.is_zero() || age > allowed
    };
    asked.max_age.is_some_and(is_too_old) || asked.min_fresh.is_some_and(|min| head.life.left(age) < min)
}

/// How the origin failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nobody was reached, or the connection broke.
    Disconnected,
    /// 500, 502, 503 or 504 (RFC 5861 section 4).
    Error,
}

/// What is done when the origin failed and there is a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    /// The stored response answers.
    Stale,
    /// RFC 9111 section 5.2.2.2: 504.
    Refuse,
    /// The failure is passed on.
    Pass,
}

/// RFC 9111 section 4.2.4, RFC 5861 section 4: a response that says how stale it may be for an error says the most, however the
/// origin has failed.
pub(super) fn fallback(
    head: &Head,
    asked: &RequestDirectives,
    failure: Failure,
    age: Duration,
    settings: &Settings,
) -> Fallback {
    let is_disconnected = failure == Failure::Disconnected;
    if head.rules.no_cache || (head.rules.forbids_stale && !head.is_fresh_at(age)) {
        return if is_disconnected { Fallback::Refuse } else { Fallback::Pass };
    }
    let heeded = asked.stale_if_error.filter(|_| settings.policy == Policy::Shared);
    let allowed = match head.rules.stale_if_error {
        Some(most) => most,
        None if is_disconnected && settings.stale_when_disconnected => settings.max_stale,
        None => settings.stale_if_error.max(heeded.unwrap_or_default()).min(settings.max_stale),
    };
    let is_within = allowed > Duration::ZERO && head.life.staleness(age) <= allowed;
    if is_within || head.is_fresh_at(age) { Fallback::Stale } else { Fallback::Pass }
}

#[cfg(test)]
#[path = "reuse_tests.rs"]
mod tests;
