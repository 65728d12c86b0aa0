//! The decision about a request: who is exempt, what each policy claims, and whether all agree.

use std::slice;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderMap, HeaderValue, Method};
use smallvec::SmallVec;

use super::agreement::{Charge, charge_all};
use super::choice::Mode;
use super::fields::{Before, HeaderStyle, Policies, Stamp, joined, policy_item};
use super::meter::Verdict;
use super::place::{Place, Tag};
use super::quota::Quota;
use super::refusal::Refusal;
use super::rule::{Claim, Rule};
use super::shared::RemoteHold;
use crate::spine::event::{PolicyEvent, Sampler};
use crate::spine::key::{ClientIp, TrustedProxies};
use crate::spine::path::{PathPattern, PathReadings};
use crate::spine::request::RequestView;

/// All policies of a layer at work.
#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) rules: Box<[Rule]>,
    pub(super) exemptions: Exemptions,
    /// What policies are told of by that do not say it themselves.
    style: HeaderStyle,
    /// Whether there is no other style.
    has_one_style: bool,
    pub(super) sampler: Sampler,
    /// Whether anything becomes of a charge when the response is there.
    settles: bool,
    /// Whether there is one policy, as plain as can be, and nobody is told anything.
    plain: bool,
    /// Policies that are not shadows.
    enforced: usize,
    /// Each policy's item of `RateLimit-Policy`, and all of them together.
    items: RwLock<(Vec<String>, HeaderValue)>,
}

/// Who is not counted, and who is not let in.
#[derive(Debug, Clone, Default)]
pub(super) struct Exemptions {
    pub(super) counts_preflights: bool,
    pub(super) paths: Vec<PathPattern>,
    pub(super) client_ip: ClientIp,
    pub(super) allowed: TrustedProxies,
    pub(super) denied: TrustedProxies,
}

/// What becomes of a request.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Nothing becomes of it any more: no policy counts it, or all is done.
    Uncounted,
    Admitted(Grant),
    Refused(Box<Refusal>),
}

/// An admitted request's charges, and what its response is told.
#[derive(Debug, Default)]
pub(super) struct Grant {
    pub(super) holds: SmallVec<[Hold; 1]>,
    pub(super) stamp: Option<Stamp>,
    pub(super) wait_nanos: u64,
    /// Charges in a store that others share.
    pub(super) remote: Vec<RemoteHold>,
}

/// A charge that something may still become of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hold {
    pub(super) index: usize,
    pub(super) tag: Tag,
    pub(super) place: Place,
    pub(super) cost: u32,
    /// The cell that the charge left.
    pub(super) after: u64,
    pub(super) quota: Option<Quota>,
    /// The table's generation when it was written.
    pub(super) generation: u64,
    pub(super) paced: bool,
    /// Whether it is this policy that makes the request wait.
    pub(super) waits: bool,
    pub(super) stamped: bool,
}

/// Four policies need no allocation.
type Charges<'a> = SmallVec<[Charge<'a>; 4]>;

impl Limiter {
    pub(super) fn new(rules: Vec<Rule>, exemptions: Exemptions, style: HeaderStyle) -> Self {
        let limiter = Self {
            settles: rules.iter().any(Rule::settles),
            plain: matches!(&*rules, [rule] if rule.is_plain() && rule.policy.headers.unwrap_or(style) == HeaderStyle::None)
                && exemptions.are_none(),
            has_one_style: rules.iter().all(|rule| rule.policy.headers.is_none_or(|own| own == style)),
            enforced: rules.iter().filter(|rule| !rule.is_shadow()).count(),
            rules: rules.into(),
            exemptions,
            style,
            sampler: Sampler::default(),
            items: RwLock::new((Vec::new(), HeaderValue::from_static(""))),
        };
        limiter.describe();
        limiter
    }

    /// Writes the policies down as they are now.
    pub(super) fn describe(&self) {
        // Under the lock, so that of two changes the later one is written down.
        let mut items_now = self.items.write().unwrap_or_else(PoisonError::into_inner);
        let enforced = self.rules.iter().filter(|rule| !rule.is_shadow());
        let item = |rule: &Rule| policy_item(self.style_of(rule), &rule.policy.name, &rule.table.meter());
        let all = joined(enforced.map(item).collect::<Vec<_>>().iter().map(String::as_str));
        let items = self.rules.iter().map(item).collect();
        *items_now = (items, all);
    }

    fn style_of(&self, rule: &Rule) -> HeaderStyle {
        rule.policy.headers.unwrap_or(self.style)
    }

    fn style_at(&self, index: usize) -> HeaderStyle {
        if self.has_one_style {
            self.style
        } else {
            self.rules.get(index).map_or(self.style, |rule| self.style_of(rule))
        }
    }

    /// Decides, and charges whoever is admitted.
    pub(super) fn decide(
        &self,
        request: RequestView<'_>,
        now: u64,
        report: impl FnMut(PolicyEvent, &Arc<str>),
    ) -> Outcome {
        if self.plain
            && *request.method() != Method::OPTIONS
            && let [rule] = &*self.rules
            && rule.admits(request, now)
        {
            return Outcome::Uncounted;
        }
        let mut readings = None;
        if let Some(outcome) = self.exemptions.outcome(request, &mut readings) {
            return outcome;
        }
        match &*self.rules {
            // The most common limiter needs no lists.
            [rule] if rule.policy.mode == Mode::Enforce => match rule.claim(0, request, &mut readings) {
                Claim::Charge(mut charge) => {
                    charge.ask(now, true);
                    let agreed = charge.is_admitted();
                    self.conclude(slice::from_mut(&mut charge), &mut [], agreed, report)
                }
                claim => claim.settled(rule).unwrap_or(Outcome::Uncounted),
            },
            rules => self.decide_among(rules, request, now, &mut readings, report),
        }
    }

    fn decide_among<'a>(
        &self,
        rules: &[Rule],
        request: RequestView<'a>,
        now: u64,
        readings: &mut Option<PathReadings<'a>>,
        report: impl FnMut(PolicyEvent, &Arc<str>),
    ) -> Outcome {
        let mut charges = Charges::new();
        let mut shadows: SmallVec<[Charge<'_>; 1]> = SmallVec::new();
        for (index, rule) in rules.iter().enumerate() {
            match rule.claim(index, request, readings) {
                Claim::Charge(charge) if rule.enforces(charge.tag) => charges.push(charge),
                Claim::Charge(charge) => shadows.push(charge),
                claim => {
                    if let Some(outcome) = claim.settled(rule) {
                        return outcome;
                    }
                }
            }
        }
        let agreed = charge_all(&mut charges, now);
        if agreed {
            for shadow in &mut shadows {
                shadow.terms.max_wait_nanos = 0;
                shadow.ask(now, true);
            }
        }
        self.conclude(&mut charges, &mut shadows, agreed, report)
    }

    /// Reports what there is to report, and says what becomes of the request.
    pub(super) fn conclude<'a>(
        &self,
        charges: &mut [Charge<'a>],
        shadows: &mut [Charge<'a>],
        agreed: bool,
        mut report: impl FnMut(PolicyEvent, &Arc<str>),
    ) -> Outcome {
        for charge in charges.iter().chain(&*shadows) {
            if charge.is_crowded() {
                self.report(&mut report, PolicyEvent::Overflowed, charge);
            }
        }
        if !agreed {
            return Outcome::Refused(Box::new(self.refusal(charges)));
        }
        for shadow in shadows.iter().filter(|shadow| !shadow.is_admitted()) {
            self.report(&mut report, PolicyEvent::Shadowed, shadow);
        }
        self.grant(charges, shadows)
    }

    #[cold]
    fn report(&self, report: &mut impl FnMut(PolicyEvent, &Arc<str>), event: PolicyEvent, charge: &Charge<'_>) {
        let Some(rule) = self.rules.get(charge.index) else { return };
        if event == PolicyEvent::Shadowed {
            rule.shadowed.fetch_add(1, Ordering::Relaxed);
        }
        report(event, &rule.policy.name);
    }

    fn grant(&self, charges: &[Charge<'_>], shadows: &[Charge<'_>]) -> Outcome {
        let wait_nanos = charges.iter().map(|charge| charge.wait_nanos).max().unwrap_or(0);
        let stamp = self.tightest(charges).map(|charge| self.stamp(charge, charges));
        if stamp.is_none() && wait_nanos == 0 && !self.settles {
            return Outcome::Uncounted;
        }
        let stamped = self.tightest(charges).map(|charge| charge.index);
        let mut holds = SmallVec::new();
        for charge in charges.iter().chain(shadows).filter(|charge| charge.is_admitted()) {
            // A request that waits may be gone before its time comes.
            if wait_nanos > 0 || self.rules.get(charge.index).is_some_and(Rule::settles) {
                let stamped = stamped == Some(charge.index);
                holds.push(Hold::of(charge, stamped));
            }
        }
        if holds.is_empty() && stamp.is_none() {
            return Outcome::Uncounted;
        }
        Outcome::Admitted(Grant { holds, stamp, wait_nanos, remote: Vec::new() })
    }

    /// The charge that leaves least.
    fn tightest<'a, 'b>(&self, charges: &'a [Charge<'b>]) -> Option<&'a Charge<'b>> {
        match charges {
            _ if self.has_one_style && self.style == HeaderStyle::None => None,
            [only] => Some(only).filter(|only| self.style_at(only.index) != HeaderStyle::None),
            _ => charges
                .iter()
                .filter(|charge| self.style_at(charge.index) != HeaderStyle::None)
                .min_by_key(|charge| (charge.standing.remaining, std::cmp::Reverse(charge.standing.next_nanos))),
        }
    }

    fn stamp(&self, charge: &Charge<'_>, all: &[Charge<'_>]) -> Stamp {
        Stamp {
            policies: self.policies(all, self.style_at(charge.index)),
            index: charge.index,
            standing: charge.standing,
            partition_key: self.rules.get(charge.index).and_then(|rule| rule.partition_key(charge.tag)),
        }
    }

    /// What `RateLimit-Policy` lists of those that apply and are told of in this style.
    fn policies(&self, charges: &[Charge<'_>], style: HeaderStyle) -> Policies {
        if self.has_one_style && charges.len() == self.enforced && charges.iter().all(|charge| charge.quota.is_none()) {
            return Policies::All;
        }
        let (items, _) = &*self.items.read().unwrap_or_else(PoisonError::into_inner);
        let item = |charge: &Charge<'_>| match (&charge.quota, self.rules.get(charge.index)) {
            (Some(quota), Some(rule)) => {
                policy_item(style, &rule.policy.name, &rule.table.meter().for_quota(Some(quota)))
            }
            _ => items.get(charge.index).cloned().unwrap_or_default(),
        };
        let told = charges.iter().filter(|charge| self.style_at(charge.index) == style);
        Policies::These(joined(told.map(item).collect::<Vec<_>>().iter().map(String::as_str)))
    }

    /// Tells a client where it stands.
    pub(super) fn write(&self, stamp: &Stamp, before: Before, headers: &mut HeaderMap) {
        let name = self.rules.get(stamp.index).map_or("", |rule| &rule.policy.name);
        let policies = || match &stamp.policies {
            Policies::All => self.items.read().unwrap_or_else(PoisonError::into_inner).1.clone(),
            Policies::These(policies) => policies.clone(),
        };
        stamp.write(self.style_at(stamp.index), name, policies, before, headers);
    }

    #[cold]
    fn refusal(&self, charges: &[Charge<'_>]) -> Refusal {
        let refusing = || charges.iter().filter(|charge| !charge.is_admitted());
        let name = |charge: &Charge<'_>| self.rules.get(charge.index).map(|rule| Arc::clone(&rule.policy.name));
        let longest = refusing().max_by_key(|charge| charge.verdict.wait_nanos());
        let is_told = |charge: &&Charge<'_>| self.style_at(charge.index) != HeaderStyle::None;
        let stamp = longest.filter(is_told).map(|charge| self.stamp(charge, charges));
        Refusal::violated(refusing().map(|charge| charge.verdict), refusing().filter_map(name).collect(), stamp)
    }
}

impl Rule {
    /// Whether something may become of a charge when the response is there.
    pub(super) fn settles(&self) -> bool {
        self.policy.settle.is_some() || self.is_concurrent()
    }

    pub(super) const fn is_concurrent(&self) -> bool {
        matches!(self.policy.limit, super::policy::Limit::Concurrent(_))
    }
}

impl Claim<'_> {
    /// What becomes of a request without asking for its quota; `None` when this policy has nothing to say.
    pub(super) fn settled(self, rule: &Rule) -> Option<Outcome> {
        let refusal = match self {
            Claim::Denied(tag) if rule.enforces(tag) => Refusal::denied(),
            Claim::Missing(missing) if !rule.is_shadow() => Refusal::missing(missing),
            Claim::Denied(_) | Claim::Missing(_) | Claim::None | Claim::Charge(_) => return None,
        };
        Some(Outcome::Refused(Box::new(refusal)))
    }
}

impl Charge<'_> {
    /// Whether the table had no place for the key.
    fn is_crowded(&self) -> bool {
        self.place == Place::Shared || self.verdict == Verdict::NoRoom
    }
}

impl Hold {
    pub(super) fn of(charge: &Charge<'_>, stamped: bool) -> Self {
        Self {
            index: charge.index,
            tag: charge.tag,
            place: charge.place,
            cost: charge.cost,
            after: charge.cell,
            quota: charge.quota,
            generation: charge.table.generation(),
            paced: charge.terms.max_wait_nanos > 0,
            waits: charge.wait_nanos > 0,
            stamped,
        }
    }
}

impl Exemptions {
    /// Whether nobody is exempt, but for preflights.
    fn are_none(&self) -> bool {
        self.paths.is_empty() && self.allowed.blocks().len() + self.denied.blocks().len() == 0
    }

    pub(super) fn outcome<'a>(
        &self,
        request: RequestView<'a>,
        readings: &mut Option<PathReadings<'a>>,
    ) -> Option<Outcome> {
        let has_lists = self.allowed.blocks().len() + self.denied.blocks().len() > 0;
        let client = has_lists.then(|| self.client_ip.resolve(request));
        match client {
            Some(Ok(client)) if self.denied.contains(client) => {
                return Some(Outcome::Refused(Box::new(Refusal::denied())));
            }
            // Whether a stranger is on the list of those who may not enter is not known.
            Some(Err(no_peer)) if self.denied.blocks().len() > 0 => {
                return Some(Outcome::Refused(Box::new(Refusal::missing(no_peer.into()))));
            }
            _ => {}
        }
        if request.method() == Method::OPTIONS && !self.counts_preflights && is_preflight(request) {
            return Some(Outcome::Uncounted);
        }
        if !self.paths.is_empty() {
            let readings = readings.get_or_insert_with(|| PathReadings::of(request.uri().path()));
            if self.paths.iter().any(|pattern| readings.all(pattern)) {
                return Some(Outcome::Uncounted);
            }
        }
        let allowed = client.is_some_and(|client| client.is_ok_and(|client| self.allowed.contains(client)));
        allowed.then_some(Outcome::Uncounted)
    }
}

/// A CORS preflight (Fetch, section 4.8), or the question about the server itself.
fn is_preflight(request: RequestView<'_>) -> bool {
    request.is_preflight() || request.uri().path() == "*"
}
