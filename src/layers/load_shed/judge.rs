//! What a response says about load.

use http::{Response, StatusCode};

use super::sample::Outcome;
use crate::spine::classify::{BodyEnd, HeadVerdict, Verdict, classify_end, classify_head};
use crate::spine::grpc;
use crate::spine::problem::ProblemKind;
use crate::spine::rejection::Rejection;
use crate::spine::response::ResponseView;

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
    ///
    /// What is late counts by its latency alone: how much time there is may be the client's own word, and whoever has none
    /// must not shut out everybody else.
    pub(super) fn head<B>(self, response: &Response<B>) -> Judgement {
        if let Some(rejection) = response.extensions().get::<Rejection>() {
            let late = rejection.problem().kind() == ProblemKind::DeadlineExceeded && !self.latency_only;
            return Judgement::Settled(late.then_some(Outcome::CutOff));
        }
        match classify_head(ResponseView::of(response)) {
            HeadVerdict::AwaitsTrailers => Judgement::AwaitsTrailers,
            HeadVerdict::Settled(verdict) => {
                let failure = match response.status() {
                    StatusCode::SERVICE_UNAVAILABLE => Some(Outcome::Overloaded),
                    StatusCode::GATEWAY_TIMEOUT => Some(Outcome::CutOff),
                    StatusCode::OK => grpc::status(response.headers()).and_then(grpc_failure),
                    _ => None,
                };
                Judgement::Settled(self.outcome(verdict, failure))
            }
        }
    }

    /// Judges a gRPC answer by its trailers.
    pub(super) fn end(self, end: BodyEnd<'_>) -> Option<Outcome> {
        let failure = match end {
            BodyEnd::Complete(Some(trailers)) => grpc::status(trailers).and_then(grpc_failure),
            BodyEnd::Complete(None) | BodyEnd::Broken | BodyEnd::Abandoned => None,
        };
        self.outcome(classify_end(HeadVerdict::AwaitsTrailers, end), failure)
    }

    /// `failure` is what a failure says about load.
    fn outcome(self, verdict: Verdict, failure: Option<Outcome>) -> Option<Outcome> {
        match verdict {
            Verdict::Success => Some(Outcome::Answered),
            Verdict::Overload { .. } if self.throttled_is_overload && !self.latency_only => Some(Outcome::Overloaded),
            Verdict::Failure | Verdict::TimedOut if !self.latency_only => failure,
            // Failures are often quick; taken for quick answers they would let the limit grow while everything fails.
            Verdict::Overload { .. } | Verdict::Failure | Verdict::TimedOut | Verdict::Neutral => None,
        }
    }
}

/// DEADLINE_EXCEEDED and UNAVAILABLE: what the statuses 504 and 503 say elsewhere.
const fn grpc_failure(status: &[u8]) -> Option<Outcome> {
    match status {
        b"4" => Some(Outcome::CutOff),
        b"14" => Some(Outcome::Overloaded),
        _ => None,
    }
}
