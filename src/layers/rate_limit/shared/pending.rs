//! A request whose charges are asked for: what it claims, what of that its instance can say, and what becomes of it.

use std::sync::Arc;

use super::super::admission::Admission;
use super::super::agreement::{Charge, charge_all};
use super::super::layer::Core;
use super::super::limiter::{Grant, Hold, Outcome};
use super::super::meter::{Meter, Verdict};
use super::super::refusal::Refusal;
use super::super::rule::{Claim, Rule};
use super::kept::Kept;
use super::known::{Remote, ahead, lease_end};
use super::lease::{Leases, Taken};
use super::settled::RemoteHold;
use super::store::{Answer, Ask, Settlement};
use super::{OnStoreFailure, Shared, key};
use crate::spine::event::{PolicyEvent, StoreEvent};
use crate::spine::request::RequestView;
use crate::spine::signal::Wait;

/// How far a decision comes without the store.
#[derive(Debug)]
pub(in super::super) enum Step {
    Done(Outcome),
    Ask(Box<Pending>),
}

/// See the module. Dropped before its end, it gives back what it holds.
pub(in super::super) struct Pending {
    core: Arc<Core>,
    asked: Vec<Asked>,
    /// What this instance counts by itself: places among requests in flight.
    own: Vec<Kept>,
    shadows: Vec<Kept>,
    /// Gives the places back.
    guard: Option<Admission>,
    /// For somebody else's answer, to which of what is asked.
    pub(super) wait: Option<(usize, Wait)>,
    /// When the store was asked.
    started: u64,
}

/// A charge that is the store's business.
struct Asked {
    kept: Kept,
    is_enforced: bool,
    key: Arc<[u8]>,
    share: Share,
    /// When the lease ends that the tokens were taken of.
    until: u64,
}

/// Where a charge's tokens come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Share {
    /// The store is asked for these alone.
    Strict,
    /// A lease had them.
    Had,
    /// The store is asked for more, for a lease.
    Asks { spare: u32 },
}

/// Decides about a request as far as this instance can.
pub(in super::super) fn begin(core: &Arc<Core>, shared: &Shared, request: RequestView<'_>) -> Step {
    let limiter = &core.limiter;
    let now = core.now();
    let mut readings = None;
    if let Some(outcome) = limiter.exemptions.outcome(request, &mut readings) {
        return Step::Done(outcome);
    }
    let mut pending = Box::new(Pending::new(core, now));
    for (index, rule) in limiter.rules.iter().enumerate() {
        match rule.claim(index, request, &mut readings) {
            Claim::Charge(charge) => pending.add(shared, rule, &charge, request),
            claim => {
                if let Some(outcome) = claim.settled(rule) {
                    return Step::Done(outcome);
                }
            }
        }
    }
    if let Some(refused) = pending.foreseen(shared, now) {
        return Step::Done(refused);
    }
    if let Some(refused) = pending.take_places(now) {
        return Step::Done(refused);
    }
    pending.take_leases(shared, now);
    if pending.is_complete() { Step::Done(pending.complete(shared, &[])) } else { Step::Ask(pending) }
}

impl Pending {
    fn new(core: &Arc<Core>, now: u64) -> Self {
        Self {
            core: Arc::clone(core),
            asked: Vec::new(),
            own: Vec::new(),
            shadows: Vec::new(),
            guard: None,
            wait: None,
            started: now,
        }
    }

    fn add(&mut self, shared: &Shared, rule: &Rule, charge: &Charge<'_>, request: RequestView<'_>) {
        let (kept, is_enforced) = (Kept::of(charge), rule.enforces(charge.tag));
        match shared.remote(kept.index).and_then(|_| key::of(rule, request)) {
            Some(key) => self.asked.push(Asked { kept, is_enforced, key, share: Share::Strict, until: 0 }),
            None if is_enforced => self.own.push(kept),
            None => self.shadows.push(kept),
        }
    }

    /// The refusal of a request that would be refused in any case.
    fn foreseen(&mut self, shared: &Shared, now: u64) -> Option<Outcome> {
        for asked in &mut self.asked {
            let Some(remote) = shared.remote(asked.kept.index) else { continue };
            let Kept { tag, cost, quota, .. } = asked.kept;
            (asked.kept.verdict, asked.kept.standing) = remote.foresee(tag, cost, quota.as_ref(), now);
        }
        let is_refused = |asked: &Asked| asked.is_enforced && asked.kept.verdict != Verdict::Admitted;
        if !self.asked.iter().any(is_refused) {
            // A shadow that would cost too much is nobody's business but its own.
            let core = Arc::clone(&self.core);
            self.asked.retain(|asked| {
                let too_costly = asked.kept.verdict == Verdict::TooCostly;
                if too_costly && let Some(rule) = core.limiter.rules.get(asked.kept.index) {
                    core.report(PolicyEvent::Shadowed, &rule.policy.name);
                }
                !too_costly
            });
            return None;
        }
        shared.note(StoreEvent::Remembered);
        let rules = &self.core.limiter.rules;
        let mut charges: Vec<_> = self.own.iter().filter_map(|kept| kept.charge(rules)).collect();
        charges.iter_mut().for_each(|charge| charge.ask(now, false));
        charges.extend(self.enforced().filter_map(|asked| asked.kept.charge(rules)));
        Some(self.concluded(&mut charges, &mut [], false))
    }

    /// Takes places among requests in flight, or says that there are none.
    fn take_places(&mut self, now: u64) -> Option<Outcome> {
        if self.own.is_empty() {
            return None;
        }
        let core = Arc::clone(&self.core);
        let rules = &core.limiter.rules;
        let mut charges: Vec<_> = self.own.iter().filter_map(|kept| kept.charge(rules)).collect();
        if !charge_all(&mut charges, now) {
            charges.extend(self.enforced().filter_map(|asked| asked.kept.charge(rules)));
            return Some(self.concluded(&mut charges, &mut [], false));
        }
        let holds = charges.iter().map(|charge| Hold::of(charge, false)).collect();
        self.own = charges.iter().map(Kept::of).collect();
        // It waits until the store has answered: whoever leaves before has used nothing.
        self.guard = Admission::new(&core, Grant { holds, wait_nanos: 1, ..Grant::default() });
        None
    }

    /// Takes what leases have, and finds out what is to be asked for. When somebody asks already, it waits for that,
    /// and holds nothing meanwhile.
    pub(super) fn take_leases(&mut self, shared: &Shared, now: u64) {
        for at in 0..self.asked.len() {
            let Some(asked) = self.asked.get_mut(at) else { continue };
            if !asked.is_enforced || asked.kept.quota.is_some() {
                continue;
            }
            let Some((leases, terms)) = shared.remote(asked.kept.index).and_then(Remote::lease_terms) else { continue };
            match leases.take(asked.kept.tag, asked.kept.cost, terms, now) {
                Taken::Had { standing, until } => {
                    shared.note(StoreEvent::Leased);
                    (asked.share, asked.kept.standing, asked.until) = (Share::Had, standing, until);
                }
                Taken::Ask { spare } => asked.share = Share::Asks { spare },
                Taken::Alone => asked.share = Share::Strict,
                Taken::Wait(wait) => {
                    self.give_back(shared);
                    self.wait = Some((at, wait));
                    return;
                }
            }
        }
    }

    /// Has somebody else ask, this one perhaps, for what was waited for in vain.
    pub(super) fn take_over(&self, shared: &Shared, at: usize) {
        if let Some(asked) = self.asked.get(at)
            && let Some(leases) = leases(shared, asked)
        {
            leases.answered(asked.kept.tag, None, 0);
        }
    }

    /// Goes on without leases.
    pub(super) fn give_back(&mut self, shared: &Shared) {
        for asked in &mut self.asked {
            let share = std::mem::replace(&mut asked.share, Share::Strict);
            let Some(leases) = leases(shared, asked) else { continue };
            match share {
                Share::Had => leases.give_back(asked.kept.tag, asked.kept.cost, asked.until),
                Share::Asks { .. } => leases.answered(asked.kept.tag, None, 0),
                Share::Strict => {}
            }
        }
    }

    /// Whoever waits for this answer is to ask for itself.
    fn stop_asking(&mut self, shared: &Shared) {
        for asked in &mut self.asked {
            if let (Share::Asks { .. }, Some(leases)) = (asked.share, leases(shared, asked)) {
                leases.answered(asked.kept.tag, None, 0);
                asked.share = Share::Strict;
            }
        }
    }

    /// Whether nothing is left to be asked.
    pub(super) fn is_complete(&self) -> bool {
        self.wait.is_none() && self.asked.iter().all(|asked| asked.share == Share::Had)
    }

    /// What the store is asked.
    pub(super) fn asks(&mut self, shared: &Shared) -> Vec<Ask> {
        self.started = self.core.now();
        let rules = &self.core.limiter.rules;
        let ask = |asked: &Asked| {
            let (rule, remote) = (rules.get(asked.kept.index)?, shared.remote(asked.kept.index)?);
            let quota = asked.kept.quota.unwrap_or_else(|| remote.quota());
            let mut ask = Ask::new(Arc::clone(&rule.policy.name), Arc::clone(&asked.key), quota);
            ask.cost = asked.kept.cost;
            ask.is_enforced = asked.is_enforced;
            ask.ahead = ahead(&rule.policy, &ask.quota);
            if asked.is_enforced {
                ask.max_wait = rule.policy.max_wait;
                ask.block_for = rule.policy.block_for;
            }
            // All of a quota that is leased keep something back, so that no lease comes on top of a whole bucket.
            if let Some((_, terms)) = remote.lease_terms().filter(|_| asked.kept.quota.is_none()) {
                ask.keep_back = std::time::Duration::from_nanos(terms.nanos);
            }
            if let Share::Asks { spare } = asked.share {
                ask.spare = spare;
            }
            Some(ask)
        };
        self.asked.iter().filter(|asked| asked.share != Share::Had).filter_map(ask).collect()
    }

    /// What becomes of the request by the store's answers.
    pub(super) fn complete(mut self: Box<Self>, shared: &Shared, answers: &[Answer]) -> Outcome {
        let (now, started) = (self.core.now(), self.started);
        let mut marks = Vec::with_capacity(self.asked.len());
        let mut answers = answers.iter();
        for asked in &mut self.asked {
            let kept = &mut asked.kept;
            let answer = if asked.share == Share::Had { None } else { answers.next() };
            if let (Some(answer), Some(remote)) = (answer, shared.remote(kept.index)) {
                let meter = Meter::new(&kept.quota.unwrap_or_else(|| remote.quota()));
                kept.hear(&meter, answer, started);
                remote.learn(kept.tag, kept.cell, answer, now);
                if let (Share::Asks { .. }, Some((leases, terms))) = (asked.share, remote.lease_terms()) {
                    let given = answer.is_admitted().then_some((answer.spare, kept.standing));
                    let until = started.saturating_add(terms.nanos.min(lease_end(&meter, answer)));
                    leases.answered(kept.tag, given, until);
                    kept.standing.remaining = kept.standing.remaining.saturating_add(answer.spare);
                    asked.share = Share::Strict;
                }
            }
            marks.push(answer.map(|answer| answer.mark));
        }
        let agreed = self.enforced().all(|asked| asked.kept.verdict == Verdict::Admitted);
        if !agreed {
            self.give_back(shared);
        }
        self.conclude(shared, agreed, &marks)
    }

    /// What becomes of the request when the store fails.
    pub(super) fn without_store(mut self: Box<Self>, shared: &Shared) -> Outcome {
        let now = self.core.now();
        self.stop_asking(shared);
        match shared.on_failure {
            OnStoreFailure::Open => {
                self.asked.retain(|asked| asked.share == Share::Had);
                self.conclude(shared, true, &[])
            }
            OnStoreFailure::Closed => Outcome::Refused(Box::new(Refusal::store_failed())),
            OnStoreFailure::Local { instances } => {
                let core = Arc::clone(&self.core);
                let rules = &core.limiter.rules;
                let mut at = Vec::new();
                let mut charges = Vec::new();
                for (index, asked) in self.asked.iter_mut().enumerate().filter(|(_, asked)| asked.share != Share::Had) {
                    let kept = &mut asked.kept;
                    let (Some(remote), Some(rule)) = (shared.remote(kept.index), rules.get(kept.index)) else {
                        continue;
                    };
                    kept.quota = Some(kept.quota.unwrap_or_else(|| remote.quota()).share(instances));
                    // What was used before counts, as a part of the bucket.
                    let known = remote.cell(kept.tag, now);
                    let _ = rule.table.access(kept.tag, now, |_, cell, _| (cell.max(known), ()));
                    if asked.is_enforced
                        && let Some(charge) = kept.charge(rules)
                    {
                        at.push(index);
                        charges.push(charge);
                    }
                }
                let agreed = charge_all(&mut charges, now);
                for (index, charge) in at.into_iter().zip(&charges) {
                    if let Some(asked) = self.asked.get_mut(index) {
                        asked.kept = Kept::of(charge);
                    }
                }
                // Shadows count in the store alone.
                self.asked.retain(|asked| asked.is_enforced);
                if !agreed {
                    self.give_back(shared);
                }
                self.conclude(shared, agreed, &[])
            }
        }
    }

    /// The end. `marks` are the store's, of the charges that it made.
    fn conclude(mut self: Box<Self>, shared: &Shared, agreed: bool, marks: &[Option<u64>]) -> Outcome {
        let core = Arc::clone(&self.core);
        let rules = &core.limiter.rules;
        let enforced = self.own.iter().chain(self.enforced().map(|asked| &asked.kept));
        let mut charges: Vec<_> = enforced.filter_map(|kept| kept.charge(rules)).collect();
        let asked_shadows = self.asked.iter().filter(|asked| !asked.is_enforced).map(|asked| asked.kept);
        let mut shadows: Vec<_> = asked_shadows.filter_map(|kept| kept.charge(rules)).collect();
        for kept in &self.shadows {
            if let Some(mut charge) = kept.charge(rules).filter(|_| agreed) {
                charge.terms.max_wait_nanos = 0;
                charge.ask(core.now(), true);
                shadows.push(charge);
            }
        }
        let mut outcome = self.concluded(&mut charges, &mut shadows, agreed);
        if let Outcome::Admitted(grant) = &mut outcome {
            let remote = self.remote_holds(shared, grant, marks);
            grant.remote = remote;
        }
        if agreed {
            // The grant holds all of it now.
            if let Some(guard) = self.guard.take() {
                guard.keep();
            }
            self.asked.clear();
        }
        outcome
    }

    fn concluded<'a>(&self, charges: &mut [Charge<'a>], shadows: &mut [Charge<'a>], agreed: bool) -> Outcome {
        self.core.limiter.conclude(charges, shadows, agreed, |event, policy| self.core.report(event, policy))
    }

    /// Takes out of a grant what is to be settled in the store.
    fn remote_holds(&self, shared: &Shared, grant: &mut Grant, marks: &[Option<u64>]) -> Vec<RemoteHold> {
        let mut holds = Vec::new();
        for (asked, mark) in self.asked.iter().zip(marks) {
            let (Some(mark), Some(remote)) = (mark, shared.remote(asked.kept.index)) else { continue };
            let Some(at) = grant.holds.iter().position(|hold| hold.index == asked.kept.index) else { continue };
            let hold = grant.holds.remove(at);
            let Some(rule) = self.core.limiter.rules.get(hold.index) else { continue };
            let quota = asked.kept.quota.unwrap_or_else(|| remote.quota());
            let mut ask = Ask::new(Arc::clone(&rule.policy.name), Arc::clone(&asked.key), quota);
            ask.cost = hold.cost;
            holds.push(RemoteHold { hold, settlement: Settlement::of(&ask, *mark) });
        }
        holds
    }

    fn enforced(&self) -> impl Iterator<Item = &Asked> {
        self.asked.iter().filter(|asked| asked.is_enforced)
    }
}

fn leases<'a>(shared: &'a Shared, asked: &Asked) -> Option<&'a Leases> {
    shared.remote(asked.kept.index)?.leases.as_ref()
}

impl Drop for Pending {
    fn drop(&mut self) {
        let core = Arc::clone(&self.core);
        if let Some(shared) = &core.shared {
            self.give_back(shared);
        }
    }
}

impl std::fmt::Debug for Pending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pending").field("asked", &self.asked.len()).finish_non_exhaustive()
    }
}
