//! What an admitted request holds, and what becomes of it.

use std::sync::Arc;

use http::HeaderMap;
use smallvec::SmallVec;

use super::choice::OnAbandoned;
use super::fields::{Before, Stamp};
use super::layer::Core;
use super::limiter::{Grant, Hold};
use super::meter::Standing;
use super::nesting;
use super::rule::Rule;
use super::shared::RemoteHold;
use crate::spine::body::Guard;
use crate::spine::response::ResponseView;

/// A request on its way: its charges, and what its response is told. Dropped without a response, it is abandoned.
#[derive(Debug)]
pub(super) struct Admission {
    core: Arc<Core>,
    holds: SmallVec<[Hold; 1]>,
    /// Charges in a store that others share.
    remote: Vec<RemoteHold>,
    stamp: Option<Stamp>,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has not begun.
    Waiting,
    Running,
}

impl Admission {
    /// `None` when nothing will become of the request any more.
    pub(super) fn new(core: &Arc<Core>, grant: Grant) -> Option<Self> {
        let Grant { holds, stamp, wait_nanos, remote } = grant;
        if holds.is_empty() && stamp.is_none() && remote.is_empty() {
            return None;
        }
        let stage = if wait_nanos > 0 { Stage::Waiting } else { Stage::Running };
        Some(Self { core: Arc::clone(core), holds, remote, stamp, stage })
    }

    /// The wait is over: the request begins, and its charges stand.
    pub(super) fn begin(&mut self) {
        self.stage = Stage::Running;
        let rules = &self.core.limiter.rules;
        self.holds.retain(|hold| rules.get(hold.index).is_some_and(Rule::settles));
        self.remote.retain(|remote| rules.get(remote.hold.index).is_some_and(Rule::settles));
    }

    /// Lets its charges stand, whatever becomes of the request: something else holds them.
    pub(super) fn keep(mut self) {
        self.holds.clear();
        self.remote.clear();
    }

    /// Settles the charges by the response, and returns what is held until its body ends.
    pub(super) fn respond(&mut self, response: ResponseView<'_>) -> Option<Box<dyn Guard>> {
        if !self.remote.is_empty() {
            self.respond_remotely(response);
        }
        if self.holds.is_empty() {
            return None;
        }
        let now = self.core.now();
        // First what no judgement is needed for: should one panic, nothing is lost.
        let permits = self.take_permits();
        while let Some(hold) = self.holds.last().copied() {
            let rules = &self.core.limiter.rules;
            if let Some((rule, settle_by)) =
                rules.get(hold.index).and_then(|rule| Some((rule, rule.policy.settle.as_ref()?)))
            {
                let cost = settle_by.cost(hold.cost, response);
                if cost != hold.cost {
                    let standing = settle(rule, &hold, cost, now);
                    if let Some(stamp) = self.stamp.as_mut().filter(|_| hold.stamped) {
                        stamp.standing = standing;
                    }
                }
            }
            self.holds.pop();
        }
        permits.map(|permits| Box::new(permits) as Box<dyn Guard>)
    }

    fn respond_remotely(&mut self, response: ResponseView<'_>) {
        while let Some(remote) = self.remote.last() {
            let rule = self.core.limiter.rules.get(remote.hold.index);
            let cost = rule.and_then(|rule| rule.policy.settle.as_ref()).map(|by| by.cost(remote.hold.cost, response));
            if let Some(cost) = cost.filter(|cost| *cost != remote.hold.cost) {
                let standing = remote.settle(&self.core, cost, false);
                if let Some(stamp) = self.stamp.as_mut().filter(|_| remote.hold.stamped) {
                    stamp.standing = standing;
                }
            }
            self.remote.pop();
        }
    }

    /// The places among requests in flight, which are held for longer than the response's head.
    fn take_permits(&mut self) -> Option<Permits> {
        let rules = &self.core.limiter.rules;
        let is_permit = |hold: &Hold| rules.get(hold.index).is_some_and(Rule::is_concurrent);
        if !self.holds.iter().any(is_permit) {
            return None;
        }
        let (holds, others) = self.holds.iter().copied().partition(is_permit);
        self.holds = others;
        Some(Permits { core: Arc::clone(&self.core), holds })
    }

    /// Tells the client where it stands.
    pub(super) fn stamp(&self, stamped_inside: bool, headers: &mut HeaderMap) {
        if let Some(stamp) = &self.stamp {
            let before = if stamped_inside { Before::Ours } else { Before::Foreign };
            self.core.limiter.write(stamp, before, headers);
            nesting::mark_stamped();
        }
    }

    /// The names of the policies that make the request wait.
    pub(super) fn paced_by(&self) -> impl Iterator<Item = &Arc<str>> {
        let rules = &self.core.limiter.rules;
        let remote = self.remote.iter().map(|remote| &remote.hold);
        self.holds
            .iter()
            .chain(remote)
            .filter(|hold| hold.waits)
            .filter_map(|hold| rules.get(hold.index))
            .map(|rule| &rule.policy.name)
    }

    /// Gives the request up before it began, and what its client was to be told.
    pub(super) fn give_up(mut self) -> Option<Stamp> {
        self.stamp.take()
    }

    pub(super) fn core(&self) -> &Arc<Core> {
        &self.core
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        for remote in &self.remote {
            let Some(rule) = self.core.limiter.rules.get(remote.hold.index) else { continue };
            if self.stage == Stage::Waiting || rule.policy.on_abandoned == OnAbandoned::Refunded {
                remote.settle(&self.core, 0, self.stage == Stage::Waiting && remote.hold.paced);
            }
        }
        if self.holds.is_empty() {
            return;
        }
        let now = self.core.now();
        for hold in &self.holds {
            let Some(rule) = self.core.limiter.rules.get(hold.index) else { continue };
            match self.stage {
                Stage::Waiting => step_back(rule, hold, now),
                Stage::Running if rule.is_concurrent() || rule.policy.on_abandoned == OnAbandoned::Refunded => {
                    settle(rule, hold, 0, now);
                }
                Stage::Running => {}
            }
        }
    }
}

fn settle(rule: &Rule, hold: &Hold, cost: u32, now: u64) -> Standing {
    let mut standing = Standing::NONE;
    let after = (rule.table.generation() == hold.generation).then_some(hold.after);
    rule.table.revisit(hold.tag, hold.place, now, |meter, cell| {
        let meter = meter.for_quota(hold.quota.as_ref());
        let next = meter.settle(cell, hold.cost, cost, after, now);
        standing = meter.standing(next, now);
        next
    });
    standing
}

/// A request leaves before its turn. Those that wait behind it have their times already, so its place in the queue of a
/// pacing policy is free only when nobody does.
fn step_back(rule: &Rule, hold: &Hold, now: u64) {
    rule.table.revisit(hold.tag, hold.place, now, |meter, cell| {
        if hold.paced && cell != hold.after {
            return cell;
        }
        meter.for_quota(hold.quota.as_ref()).settle(cell, hold.cost, 0, Some(hold.after), now)
    });
}

/// Places among requests in flight, held until the body has ended.
struct Permits {
    core: Arc<Core>,
    holds: SmallVec<[Hold; 1]>,
}

impl Guard for Permits {}

impl Drop for Permits {
    fn drop(&mut self) {
        let now = self.core.now();
        for hold in &self.holds {
            if let Some(rule) = self.core.limiter.rules.get(hold.index) {
                settle(rule, hold, 0, now);
            }
        }
    }
}
