//! A request that was made.

use std::fmt;
use std::sync::Arc;

use http::Response;

use super::super::ticket::Ticket;
use super::layer::Core;
use super::ratio::{Answer, Epoch};
use crate::spine::classify::{BodyEnd, HeadVerdict, Verdict, classify_end, classify_head};
use crate::spine::outcome::ObserveEnd;
use crate::spine::rejection::Rejection;
use crate::spine::response::ResponseView;

/// A request that was made, until it is known whether it was accepted.
pub struct Asked {
    core: Arc<Core>,
    admitted: Epoch,
    /// What the head says; nothing before it has come, or once the answer is settled.
    head: Option<HeadVerdict>,
    settled: bool,
}

impl Asked {
    pub(super) const fn new(core: Arc<Core>, admitted: Epoch) -> Self {
        Self { core, admitted, head: None, settled: false }
    }

    fn settle(&mut self, answer: Answer) {
        if !std::mem::replace(&mut self.settled, true) {
            self.core.settle(self.admitted, answer);
        }
    }
}

const fn answer(verdict: Verdict) -> Answer {
    match verdict {
        Verdict::Success => Answer::Accepted,
        Verdict::Failure | Verdict::TimedOut | Verdict::Overload { .. } => Answer::Rejected,
        Verdict::Neutral => Answer::Unknown,
    }
}

impl super::super::ticket::sealed::Sealed for Asked {}

impl Ticket for Asked {
    fn responded<B>(&mut self, response: &Response<B>) {
        // A layer further in has refused: the service was not asked.
        if response.extensions().get::<Rejection>().is_some() {
            return self.settle(Answer::Unknown);
        }
        match classify_head(ResponseView::of(response)) {
            HeadVerdict::Settled(Verdict::Success) | HeadVerdict::AwaitsTrailers => {
                self.head = Some(classify_head(ResponseView::of(response)));
            }
            HeadVerdict::Settled(verdict) => self.settle(answer(verdict)),
        }
    }

    fn failed(&mut self) {
        self.settle(Answer::Rejected);
    }

    fn outlives_head(&self) -> bool {
        !self.settled
    }
}

impl ObserveEnd for Asked {
    fn ended(mut self, end: BodyEnd<'_>) {
        if let Some(head) = self.head {
            self.settle(answer(classify_end(head, end)));
        }
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.settle(Answer::Unknown);
    }
}

impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asked").field("settled", &self.settled).finish_non_exhaustive()
    }
}
