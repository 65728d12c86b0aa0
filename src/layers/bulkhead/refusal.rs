//! Why a request finds no place, in the terms of the catalogue.

use std::time::Duration;

use super::places::Full;
use crate::spine::event::Origin;
use crate::spine::problem::{Problem, ProblemKind};
use crate::spine::rejection::Rejection;

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// All places are taken, and those in the queue.
    Full,
    /// Those of the request's key are.
    KeyFull,
    /// It has waited for as long as it may.
    WaitedInVain,
    /// Nothing could end its wait.
    CannotWait,
}

impl From<Full> for Reason {
    fn from(full: Full) -> Self {
        match full {
            Full::All => Self::Full,
            Full::Key => Self::KeyFull,
        }
    }
}

impl Reason {
    pub(super) fn rejection(self, retry_after: Duration) -> Rejection {
        let detail = match self {
            Self::Full | Self::CannotWait => "Too many requests are in progress.",
            Self::KeyFull => "Too many requests of this kind are in progress.",
            Self::WaitedInVain => "Too many requests are in progress, and none has ended in time.",
        };
        let problem = Problem::new(ProblemKind::Unavailable).with_detail(detail);
        Rejection::new(Origin::Bulkhead, problem).with_retry_after(retry_after)
    }
}
