//! The decision about a request: who is exempt, what each policy claims, and whether all agree.

use std::net::IpAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError, RwLock};

use http::{HeaderValue, Method, header};
use smallvec::SmallVec;

use super::agreement::{Charge, charge_all};
use super::fields::{HeaderStyle, Stamp, joined, policy_item};
use super::meter::{Meter, Verdict};
use super::refusal::Refusal;
use super::rule::{Claim, Rule};
use super::table::{Place, Tag};
use crate::spine::event::{PolicyEvent, Sampler};
use crate::spine::key::{ClientIp, TrustedProxies};
use crate::spine::path::{PathPattern, PathReadings};
use crate::spine::request::RequestView;

/// All policies of a layer at work.
#[derive(Debug)]
pub(super) struct Limiter {
    pub(super) rules: Box<[Rule]>,
    pub(super) exemptions: Exemptions,
    pub(super) style: HeaderStyle,
    pub(super) sampler: Sampler,
    /// Each policy's item of `RateLimit-Policy`, and all of them together.
    items: RwLock<(Vec<String>, HeaderValue)>,
}

/// Who is not counted, and who is not let in.
#[derive(Debug, Default)]
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
    /// No policy counts it.
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
    pub(super) meter: Option<Meter>,
    pub(super) paced: bool,
    pub(super) stamped: bool,
}

type Charges<'a> = SmallVec<[Charge<'a>; 2]>;

impl Limiter {
    pub(super) fn new(rules: Vec<Rule>, exemptions: Exemptions, style: HeaderStyle) -> Self {
        let limiter = Self {
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
        let enforced = self.rules.iter().filter(|rule| !rule.is_shadow());
        let item = |rule: &Rule| policy_item(self.style, &rule.policy.name, &rule.table.meter());
        let all = joined(enforced.map(item).collect::<Vec<_>>().iter().map(String::as_str));
        let items = self.rules.iter().map(item).collect();
        *self.items.write().unwrap_or_else(PoisonError::into_inner) = (items, all);
    }

    /// Decides, and charges whoever is admitted.
    pub(super) fn decide(
        &self,
        request: RequestView<'_>,
        now: u64,
        mut report: impl FnMut(PolicyEvent, &Arc<str>),
    ) -> Outcome {
        let mut readings = None;
        if let Some(outcome) = self.exemptions.outcome(request, &mut readings) {
            return outcome;
        }
        let mut enforced = Charges::new();
        let mut shadows = Charges::new();
        for (index, rule) in self.rules.iter().enumerate() {
            match rule.claim(index, request, &mut readings) {
                Claim::None => {}
                Claim::Denied => return Outcome::Refused(Box::new(Refusal::denied())),
                Claim::Missing(_) if rule.is_shadow() => {}
                Claim::Missing(missing) => return Outcome::Refused(Box::new(Refusal::missing(missing))),
                Claim::Charge(charge) if rule.enforces(charge.tag) => enforced.push(charge),
                Claim::Charge(charge) => shadows.push(charge),
            }
        }
        let agreed = charge_all(&mut enforced, now);
        for charge in
            enforced.iter().filter(|charge| charge.place == Place::Shared || charge.verdict == Verdict::NoRoom)
        {
            self.report(&mut report, PolicyEvent::Overflowed, charge.index);
        }
        if !agreed {
            return Outcome::Refused(Box::new(self.refusal(&enforced, now)));
        }
        for shadow in &mut shadows {
            shadow.max_wait_nanos = 0;
            shadow.ask(now, true);
            if shadow.verdict != Verdict::Admitted {
                self.report(&mut report, PolicyEvent::Shadowed, shadow.index);
            }
        }
        for paced in enforced.iter().filter(|charge| charge.wait_nanos > 0) {
            self.report(&mut report, PolicyEvent::Paced, paced.index);
        }
        self.grant(&enforced, &shadows, now)
    }

    fn report(&self, report: &mut impl FnMut(PolicyEvent, &Arc<str>), event: PolicyEvent, index: usize) {
        let Some(rule) = self.rules.get(index) else { return };
        if event == PolicyEvent::Shadowed {
            rule.shadowed.fetch_add(1, Ordering::Relaxed);
        }
        report(event, &rule.policy.name);
    }

    fn grant(&self, enforced: &[Charge<'_>], shadows: &[Charge<'_>], now: u64) -> Outcome {
        if enforced.is_empty() && shadows.is_empty() {
            return Outcome::Uncounted;
        }
        let wait_nanos = enforced.iter().map(|charge| charge.wait_nanos).max().unwrap_or(0);
        let tightest = self.tightest(enforced, now);
        let stamped = tightest.map(|charge| charge.index);
        let mut holds = SmallVec::new();
        for charge in enforced.iter().chain(shadows.iter().filter(|charge| charge.verdict == Verdict::Admitted)) {
            // A request that waits may be gone before its time comes.
            if wait_nanos > 0 || self.rules.get(charge.index).is_some_and(Rule::settles) {
                holds.push(Hold::of(charge, stamped == Some(charge.index)));
            }
        }
        let stamp = tightest.map(|charge| self.stamp(charge, enforced, now));
        Outcome::Admitted(Grant { holds, stamp, wait_nanos })
    }

    /// The charge that leaves least.
    fn tightest<'a, 'b>(&self, charges: &'a [Charge<'b>], now: u64) -> Option<&'a Charge<'b>> {
        if self.style == HeaderStyle::None {
            return None;
        }
        if let [only] = charges {
            return Some(only);
        }
        charges.iter().min_by_key(|charge| {
            let standing = charge.by.standing(charge.cell, now);
            (standing.remaining, std::cmp::Reverse(standing.next_nanos))
        })
    }

    fn stamp(&self, charge: &Charge<'_>, all: &[Charge<'_>], now: u64) -> Stamp {
        let rule = self.rules.get(charge.index);
        Stamp {
            policies: self.policies(all),
            name: rule.map_or_else(|| Arc::from(""), |rule| Arc::clone(&rule.policy.name)),
            standing: charge.by.standing(charge.cell, now),
            partition_key: rule.and_then(|rule| rule.partition_key(charge.tag)),
        }
    }

    /// `RateLimit-Policy` of those that apply.
    fn policies(&self, charges: &[Charge<'_>]) -> HeaderValue {
        let items = self.items.read().unwrap_or_else(PoisonError::into_inner);
        let (items, all) = &*items;
        let enforced = self.rules.iter().filter(|rule| !rule.is_shadow()).count();
        if charges.len() == enforced && charges.iter().all(|charge| charge.meter.is_none()) {
            return all.clone();
        }
        let item = |charge: &Charge<'_>| match (&charge.meter, self.rules.get(charge.index)) {
            (Some(meter), Some(rule)) => policy_item(self.style, &rule.policy.name, meter),
            _ => items.get(charge.index).cloned().unwrap_or_default(),
        };
        joined(charges.iter().map(item).collect::<Vec<_>>().iter().map(String::as_str))
    }

    #[cold]
    fn refusal(&self, charges: &[Charge<'_>], now: u64) -> Refusal {
        let refusing = || charges.iter().filter(|charge| charge.verdict != Verdict::Admitted);
        let name = |charge: &Charge<'_>| self.rules.get(charge.index).map(|rule| Arc::clone(&rule.policy.name));
        let stamp = (self.style != HeaderStyle::None)
            .then(|| refusing().max_by_key(|charge| charge.verdict.wait_nanos()))
            .flatten()
            .map(|charge| self.stamp(charge, charges, now));
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

impl Hold {
    const fn of(charge: &Charge<'_>, stamped: bool) -> Self {
        Self {
            index: charge.index,
            tag: charge.tag,
            place: charge.place,
            cost: charge.cost,
            after: charge.cell,
            meter: charge.meter,
            paced: charge.max_wait_nanos > 0,
            stamped,
        }
    }
}

impl Exemptions {
    fn outcome<'a>(&self, request: RequestView<'a>, readings: &mut Option<PathReadings<'a>>) -> Option<Outcome> {
        if request.method() == Method::OPTIONS && !self.counts_preflights && is_preflight(request) {
            return Some(Outcome::Uncounted);
        }
        if !self.paths.is_empty() {
            let readings = readings.get_or_insert_with(|| PathReadings::of(request.uri().path()));
            if self.paths.iter().any(|pattern| readings.all(pattern)) {
                return Some(Outcome::Uncounted);
            }
        }
        if self.allowed.blocks().len() + self.denied.blocks().len() == 0 {
            return None;
        }
        let lies_in = |blocks: &TrustedProxies, client: IpAddr| blocks.contains(client);
        match self.client_ip.resolve(request) {
            Ok(client) if lies_in(&self.denied, client) => Some(Outcome::Refused(Box::new(Refusal::denied()))),
            Ok(client) if lies_in(&self.allowed, client) => Some(Outcome::Uncounted),
            // Whether a stranger is on the list of those who may not enter is not known.
            Err(no_peer) if self.denied.blocks().len() > 0 => {
                Some(Outcome::Refused(Box::new(Refusal::missing(no_peer.into()))))
            }
            Ok(_) | Err(_) => None,
        }
    }
}

/// A CORS preflight (Fetch, section 4.8), or the question about the server itself.
fn is_preflight(request: RequestView<'_>) -> bool {
    let headers = request.headers();
    let asks_for_method = headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    (asks_for_method && headers.contains_key(header::ORIGIN)) || request.uri().path() == "*"
}
