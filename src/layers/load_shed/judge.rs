//! What a response says about load.

use http::{HeaderMap, Response, StatusCode};

use super::sample::Outcome;
use crate::spine::classify::{BodyEnd, HeadVerdict, Verdict, classify_end, classify_head};
use crate::spine::problem::ProblemKind;
use crate::spine::rejection::Rejection;

/// Which verdicts count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judge {
    /// Whether latency alone does.
    pub(super) latency_only: bool,
    /// Whether 429 and RESOURCE_EXHAUSTED mean the service, and not its client.
    pub(super) throttled_is_overload: bool,
}

/// What a head says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// `None` says nothing.
    Settled(Option<Outcome>),
    /// The trailers say it.
    AwaitsTrailers,
}

impl Judge {
    /// Judges by the head. Refusals of layers further in are quick and say nothing, but for one that is late.
    pub(super) fn head<B>(self, response: &Response<B>) -> Judgement {
        if let Some(rejection) = response.extensions().get::<Rejection>() {
            let late = rejection.problem().kind() == ProblemKind::DeadlineExceeded && !self.latency_only;
            return Judgement::Settled(late.then_some(Outcome::Overloaded));
        }
        match classify_head(response) {
            HeadVerdict::AwaitsTrailers => Judgement::AwaitsTrailers,
            HeadVerdict::Settled(verdict) => {
                let grpc = response.headers().get(GRPC_STATUS).map(http::HeaderValue::as_bytes);
                let gives_way = match response.status() {
                    StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => true,
                    status => status == StatusCode::OK && grpc.is_some_and(gives_way),
                };
                Judgement::Settled(self.outcome(verdict, gives_way))
            }
        }
    }

    /// Judges a gRPC answer by its trailers.
    pub(super) fn end(self, end: BodyEnd<'_>) -> Option<Outcome> {
        let trailer =
            |trailers: &HeaderMap| trailers.get(GRPC_STATUS).is_some_and(|status| gives_way(status.as_bytes()));
        let gives_way = matches!(end, BodyEnd::Complete(Some(trailers)) if trailer(trailers));
        self.outcome(classify_end(HeadVerdict::AwaitsTrailers, end), gives_way)
    }

    fn outcome(self, verdict: Verdict, gives_way: bool) -> Option<Outcome> {
        match verdict {
            Verdict::Success => Some(Outcome::Answered),
            Verdict::Overload { .. } if self.throttled_is_overload && !self.latency_only => Some(Outcome::Overloaded),
            Verdict::Failure if gives_way && !self.latency_only => Some(Outcome::Overloaded),
            // Failures are often quick; taken for quick answers they would let the limit grow while everything fails.
            Verdict::Overload { .. } | Verdict::Failure | Verdict::Neutral => None,
        }
    }
}

const GRPC_STATUS: &str = "grpc-status";

/// DEADLINE_EXCEEDED and UNAVAILABLE: what the statuses 504 and 503 say elsewhere.
fn gives_way(grpc_status: &[u8]) -> bool {
    matches!(grpc_status, b"4" | b"14")
}
