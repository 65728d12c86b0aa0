//! What is counted and logged of every request: rate, errors, duration, by route.

use http::{Method, StatusCode};
use metrics::{counter, histogram};
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::info;

use crate::trace::Answered;

/// From a cached answer to a slow database, in seconds.
const BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
const SECONDS: &str = "poll_api_request_seconds";

pub fn install() -> Result<PrometheusHandle, BuildError> {
    PrometheusBuilder::new().set_buckets_for_metric(Matcher::Full(SECONDS.to_owned()), &BUCKETS)?.install_recorder()
}

/// Notes a request that was answered. A line holds the route and not the path, which may be anything.
pub fn answered(request: &Answered<'_>) {
    let Answered { method, route, status, took, request_id } = *request;
    counter!("poll_api_requests_total", "method" => method, "route" => route, "status" => class(status)).increment(1);
    histogram!(SECONDS, "route" => route).record(took.as_secs_f64());
    let status = status.as_u16();
    info!(
        target: "poll_api::access",
        method, route, status, took_us = took.as_micros(), request_id, "answered"
    );
}

/// Methods are bounded in number, so that nobody can make a series for each of their own.
pub fn name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

const fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}

/// The route that a path belongs to, whether it was routed, refused, or answered by the cache.
pub fn route(path: &str) -> &'static str {
    const PLAIN: [&str; 17] = [
        "/",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/.well-known/jwks.json",
        "/v1/polls",
        "/v1/auth/register",
        "/v1/auth/login",
        "/v1/auth/refresh",
        "/v1/auth/logout",
        "/v1/admin/state",
        "/v1/admin/reload",
        "/poll.v1.Polls/CreatePoll",
        "/poll.v1.Polls/GetPoll",
        "/poll.v1.Polls/Vote",
        "/poll.v1.Polls/GetResults",
    ];
    if let Some(rest) = path.strip_prefix("/v1/polls/") {
        let tail = rest.split_once('/').map(|(_, tail)| tail);
        return match tail {
            None => "/v1/polls/{id}",
            Some("results") => "/v1/polls/{id}/results",
            Some("events") => "/v1/polls/{id}/events",
            Some("votes") => "/v1/polls/{id}/votes",
            Some("close") => "/v1/polls/{id}/close",
            Some(_) => "other",
        };
    }
    match path {
        "/poll.v1.Polls/WatchResults" => "/poll.v1.Polls/WatchResults",
        _ if path.starts_with("/docs") => "/docs/",
        _ if path.starts_with("/assets/") => "/assets/",
        _ => PLAIN.into_iter().find(|plain| *plain == path).unwrap_or("other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_few_routes() {
        assert_eq!(route("/"), "/");
        assert_eq!(route("/v1/polls"), "/v1/polls");
        assert_eq!(route("/v1/polls/7"), "/v1/polls/{id}");
        assert_eq!(route("/v1/polls/7/results"), "/v1/polls/{id}/results");
        for path in ["/x", "/v1/polls/7/x", "/v1/polls/7/votes/x", "/poll.v1.Polls/Drop", ""] {
            assert_eq!(route(path), "other", "{path}");
        }
    }
}
