//! What a call came to, from what is known of it.

use std::time::{Duration, SystemTime};

use http::HeaderMap;

use super::machine::Outcome;
use crate::spine::classify::{BodyEnd, HeadVerdict, Verdict, asked_wait, classify_end};
use crate::spine::grpc;

/// What an exchange came to, and how long the other side wants to be left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) outcome: Outcome,
    pub(super) asked: Option<Duration>,
}

impl Judgement {
    pub(super) const fn of(outcome: Outcome) -> Self {
        Self { outcome, asked: None }
    }

    pub(super) const fn of_verdict(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Success => Self::of(Outcome::Success),
            Verdict::Failure | Verdict::TimedOut => Self::of(Outcome::Failure),
            Verdict::Overload { retry_after } => Self { outcome: Outcome::Overload, asked: retry_after },
            Verdict::Neutral => Self::of(Outcome::Neutral),
        }
    }

    /// With the wait that an answer asks for which is no success. The verdict may know of one; with the time at hand a
    /// line that is a date counts too, and of all of them the longest.
    fn and_asked(mut self, fields: &HeaderMap, wall: impl Fn() -> SystemTime) -> Self {
        if matches!(self.outcome, Outcome::Failure | Outcome::Overload) {
            self.asked = self.asked.max(asked_wait(fields, wall));
        }
        self
    }
}

/// What a head settles by itself; `None` when the body has a say. `late` is whether a call that was cut off now would
/// count, `wall` the time of day.
#[inline]
pub(super) fn of_head(
    head: HeadVerdict,
    fields: &HeaderMap,
    late: bool,
    wall: impl Fn() -> SystemTime,
) -> Option<Judgement> {
    match head {
        HeadVerdict::AwaitsTrailers => None,
        HeadVerdict::Settled(Verdict::Success) => {
            (late && says_cancelled(fields)).then_some(Judgement::of(Outcome::Failure))
        }
        HeadVerdict::Settled(verdict) => Some(Judgement::of_verdict(verdict).and_asked(fields, wall)),
    }
}

/// What an exchange came to at the end of its body.
#[inline]
pub(super) fn of_end(head: HeadVerdict, end: BodyEnd<'_>, late: bool, wall: impl Fn() -> SystemTime) -> Judgement {
    let judgement = Judgement::of_verdict(classify_end(head, end));
    match end {
        BodyEnd::Complete(Some(trailers)) if late && says_cancelled(trailers) => Judgement::of(Outcome::Failure),
        BodyEnd::Complete(Some(trailers)) => judgement.and_asked(trailers, wall),
        _ => judgement,
    }
}

/// gRPC's CANCELLED, which tonic's server says of its own timeout too.
fn says_cancelled(fields: &HeaderMap) -> bool {
    grpc::status(fields) == Some(b"1")
}
