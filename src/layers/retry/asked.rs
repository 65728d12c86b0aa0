//! What an answer says about trying again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};

use crate::spine::grpc::{self, Pushback};
use crate::spine::request::Protocol;
use crate::spine::retry_after::retry_after;

/// The answers after which a call is tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signs {
    pub(super) statuses: Vec<StatusCode>,
    /// 429, where it says when to come again.
    pub(super) too_many_requests: bool,
    pub(super) grpc_codes: Vec<u8>,
}

/// When to try again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// As the client likes.
    Freely,
    /// After so long at least (`Retry-After`).
    AtLeast(Duration),
    /// After so long (gRPC's pushback, which stands for the client's own backoff).
    Exactly(Duration),
}

impl Default for Signs {
    fn default() -> Self {
        Self {
            statuses: vec![StatusCode::BAD_GATEWAY, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GATEWAY_TIMEOUT],
            too_many_requests: true,
            // Unavailable.
            grpc_codes: vec![14],
        }
    }
}

impl Signs {
    /// Whether to try again after this head, and when. `wall` is the time of day.
    pub(super) fn judge(&self, status: StatusCode, headers: &HeaderMap, wall: SystemTime) -> Option<Asked> {
        if is_grpc(status, headers) {
            return self.judge_grpc(headers);
        }
        let pushback = pushback(headers)?;
        let asked = retry_after(headers, || wall).map(Asked::AtLeast);
        if status == StatusCode::TOO_MANY_REQUESTS {
            return asked.filter(|_| self.too_many_requests);
        }
        self.statuses.contains(&status).then(|| pushback.map(Asked::Exactly).or(asked).unwrap_or(Asked::Freely))
    }

    /// The same by the fields that hold gRPC's status: those of a head (trailers-only), or trailers.
    pub(super) fn judge_grpc(&self, fields: &HeaderMap) -> Option<Asked> {
        let pushback = pushback(fields)?;
        let code = grpc::status(fields)?;
        let is_sign = self.grpc_codes.iter().any(|sign| sign.to_string().as_bytes() == code);
        is_sign.then(|| pushback.map_or(Asked::Freely, Asked::Exactly))
    }

    /// Whether a head leaves it to the trailers.
    pub(super) fn awaits_trailers(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        !self.grpc_codes.is_empty() && is_grpc(status, headers) && grpc::status(headers).is_none()
    }
}

fn is_grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::OK && Protocol::of_headers(headers) == Protocol::Grpc
}

/// The wait that gRPC's pushback asks for; the outer `None` is no further try.
pub(super) fn pushback(headers: &HeaderMap) -> Option<Option<Duration>> {
    match grpc::pushback(headers) {
        Pushback::None => Some(None),
        Pushback::After(wait) => Some(Some(wait)),
        Pushback::Never => None,
    }
}

#[cfg(test)]
#[path = "asked_tests.rs"]
mod tests;
