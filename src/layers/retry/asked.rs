//! What an answer says about trying again.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, StatusCode};

use crate::spine::request::Protocol;
use crate::spine::retry_after::{is_digits, retry_after};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");

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
        let code = fields.get(GRPC_STATUS)?.to_str().ok()?;
        let is_sign = self.grpc_codes.iter().any(|sign| sign.to_string() == code);
        is_sign.then(|| pushback.map_or(Asked::Freely, Asked::Exactly))
    }

    /// Whether a head leaves it to the trailers.
    pub(super) fn awaits_trailers(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        !self.grpc_codes.is_empty() && is_grpc(status, headers) && !headers.contains_key(GRPC_STATUS)
    }
}

fn is_grpc(status: StatusCode, headers: &HeaderMap) -> bool {
    status == StatusCode::OK && Protocol::of_headers(headers) == Protocol::Grpc
}

/// gRPC's pushback (A6): what is negative or cannot be understood asks for no further try, which is the outer `None`.
pub(super) fn pushback(headers: &HeaderMap) -> Option<Option<Duration>> {
    let mut lines = headers.get_all(GRPC_PUSHBACK).iter();
    match (lines.next(), lines.next()) {
        (None, _) => Some(None),
        (Some(line), None) => {
            let text = line.to_str().ok().filter(|text| is_digits(text))?;
            // An `int32` of milliseconds.
            let millis: i32 = text.parse().ok()?;
            Some(Some(Duration::from_millis(millis.unsigned_abs().into())))
        }
        (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
#[path = "asked_tests.rs"]
mod tests;
