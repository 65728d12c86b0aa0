//! Why a request is refused, in the terms of the catalogue.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue};

use super::fields::Stamp;
use super::meter::Verdict;
use crate::spine::event::Origin;
use crate::spine::key::MissingKey;
use crate::spine::problem::{Member, Problem, ProblemKind};
use crate::spine::rejection::Rejection;
use crate::spine::request::Protocol;

/// A refusal, before it is rendered.
#[derive(Debug)]
pub(super) struct Refusal {
    problem: Problem,
    wait: Option<Duration>,
    /// Whether no wait will help.
    permanent: bool,
    pub(super) stamp: Option<Stamp>,
}

impl Refusal {
    /// The client, or its key, is on a list.
    pub(super) fn denied() -> Self {
        let problem = Problem::new(ProblemKind::Forbidden).with_detail("This client may not use the service.");
        Self { problem, wait: None, permanent: true, stamp: None }
    }

    /// The request lacks what it would be counted by.
    pub(super) fn missing(missing: MissingKey) -> Self {
        let problem = Problem::new(missing.problem());
        let problem = match missing.problem() {
            // What the server lacks is no stranger's business.
            ProblemKind::Internal => problem,
            _ => problem.with_detail(format!("The request has no {}.", missing.part())),
        };
        Self { problem, wait: None, permanent: true, stamp: None }
    }

    /// The request would have to wait, and too many others do.
    pub(super) fn no_room_to_wait(wait_nanos: u64, names: &[Arc<str>], stamp: Option<Stamp>) -> Self {
        let names: Vec<_> = names.iter().map(|name| Member::from(name.to_string())).collect();
        let problem = Problem::new(ProblemKind::TemporaryReducedCapacity)
            .with_detail("Too many requests are waiting for their turn.")
            .add_member("violated-policies", names);
        Self { problem, wait: Some(Duration::from_nanos(wait_nanos)), permanent: false, stamp }
    }

    /// Nobody can say what the client has left.
    pub(super) fn store_failed() -> Self {
        const MOMENT: Duration = Duration::from_secs(1);
        let problem = Problem::new(ProblemKind::TemporaryReducedCapacity)
            .with_detail("The service cannot count requests for the moment.");
        Self { problem, wait: Some(MOMENT), permanent: false, stamp: None }
    }

    /// Policies are violated. The gravest decides the kind, the longest wait the rest.
    pub(super) fn violated(
        verdicts: impl Iterator<Item = Verdict>,
        names: Vec<Arc<str>>,
        stamp: Option<Stamp>,
    ) -> Self {
        let mut gravest: Option<Verdict> = None;
        let mut wait_nanos: Option<u64> = None;
        for verdict in verdicts {
            wait_nanos = wait_nanos.max(verdict.wait_nanos());
            if gravest.is_none_or(|held| gravity(verdict) > gravity(held)) {
                gravest = Some(verdict);
            }
        }
        let (kind, detail) = explain(gravest.unwrap_or(Verdict::NoRoom));
        let permanent = gravest == Some(Verdict::TooCostly);
        let wait_nanos = match gravest {
            Some(Verdict::TooCostly) => None,
            // Nobody knows when; a moment later is as good a time as any.
            Some(Verdict::NoRoom) => wait_nanos.or(Some(1)),
            _ => wait_nanos,
        };
        let names: Vec<_> = names.iter().map(|name| Member::from(name.to_string())).collect();
        Self {
            problem: Problem::new(kind).with_detail(detail).add_member("violated-policies", names),
            wait: wait_nanos.map(Duration::from_nanos),
            permanent,
            stamp,
        }
    }

    /// The rejection, for a client of this protocol.
    pub(super) fn rejection(&self, protocol: Protocol) -> Rejection {
        let rejection = Rejection::new(Origin::RateLimit, self.problem.clone());
        match self.wait {
            Some(wait) => rejection.with_retry_after(wait),
            // A negative pushback forbids retries (gRPC A6).
            None if self.permanent && protocol == Protocol::Grpc => {
                rejection.add_header(HeaderName::from_static("grpc-retry-pushback-ms"), HeaderValue::from_static("-1"))
            }
            None => rejection,
        }
    }
}

const fn gravity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Admitted => 0,
        Verdict::Refused { .. } => 1,
        Verdict::NoRoom => 2,
        Verdict::Blocked { .. } => 3,
        Verdict::TooCostly => 4,
    }
}

const fn explain(verdict: Verdict) -> (ProblemKind, &'static str) {
    match verdict {
        Verdict::TooCostly => {
            (ProblemKind::QuotaExceeded, "The request costs more than the quota ever holds; waiting does not help.")
        }
        Verdict::Blocked { .. } => (ProblemKind::AbnormalUsage, "This client is shut out for a while."),
        Verdict::NoRoom => (ProblemKind::TemporaryReducedCapacity, "The service takes no new clients for the moment."),
        Verdict::Refused { wait_nanos: None } => {
            (ProblemKind::QuotaExceeded, "Too many requests of this client are in progress.")
        }
        Verdict::Refused { .. } | Verdict::Admitted => {
            (ProblemKind::QuotaExceeded, "The quota of this client is used up.")
        }
    }
}
