//! Several policies, one answer: all are asked, then all are charged.

use super::meter::{Standing, Verdict};
use super::place::{Place, Tag};
use super::quota::Quota;
use super::table::Table;

/// What one policy is to be charged with.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    /// Which policy of the limiter.
    pub(super) index: usize,
    pub(super) table: &'a Table,
    pub(super) terms: Terms,
    pub(super) tag: Tag,
    pub(super) cost: u32,
    /// This request's own quota.
    pub(super) quota: Option<Quota>,
    pub(super) verdict: Verdict,
    /// How long an admitted request waits.
    pub(super) wait_nanos: u64,
    /// The key's cell after the answer.
    pub(super) cell: u64,
    pub(super) place: Place,
    /// Where the key stands after the answer, if that was asked for.
    pub(super) standing: Standing,
}

/// What a policy does with those that are over its limit.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Terms {
    /// How long a request may be made to wait, instead of being refused.
    pub(super) max_wait_nanos: u64,
    /// How long a key is shut out that has used up its quota; 0 is not at all.
    pub(super) block_nanos: u64,
    /// Whether somebody is told where the key stands.
    pub(super) told: bool,
}

impl<'a> Charge<'a> {
    /// A charge that was not asked for yet.
    pub(super) const fn new(index: usize, table: &'a Table, terms: Terms, tag: Tag, cost: u32) -> Self {
        Self {
            index,
            table,
            terms,
            tag,
            cost,
            quota: None,
            verdict: Verdict::Admitted,
            wait_nanos: 0,
            cell: 0,
            place: Place::Own,
            standing: Standing::NONE,
        }
    }

    pub(super) const fn is_admitted(&self) -> bool {
        matches!(self.verdict, Verdict::Admitted)
    }

    /// Asks, and with `commit` charges what is admitted and blocks who is refused.
    pub(super) fn ask(&mut self, now: u64, commit: bool) {
        let Terms { max_wait_nanos, block_nanos, told } = self.terms;
        let (cost, quota) = (self.cost, self.quota);
        let (mut wait_nanos, mut cell_after, mut standing) = (0, 0, Standing::NONE);
        let answer = self.table.access(self.tag, now, |table_meter, cell, place| {
            let own = quota.map(|quota| table_meter.for_quota(Some(&quota)));
            let meter = own.as_ref().unwrap_or(table_meter);
            let mut decision = meter.decide(cell, cost, now);
            wait_nanos = 0;
            if let Verdict::Refused { wait_nanos: Some(wait) } = decision.verdict {
                if wait <= max_wait_nanos {
                    decision = meter.decide(cell, cost, now.saturating_add(wait));
                    wait_nanos = wait;
                } else if block_nanos > 0 && place == Place::Own {
                    // Those who share a bucket are not shut out for what others did.
                    decision = meter.block(cell, cost, block_nanos, now).unwrap_or(decision);
                }
            }
            cell_after = if commit { decision.next } else { cell };
            if told {
                standing = meter.standing(cell_after, now);
            }
            (cell_after, decision.verdict)
        });
        (self.wait_nanos, self.cell, self.standing) = (wait_nanos, cell_after, standing);
        (self.verdict, self.place) = answer.unwrap_or((Verdict::NoRoom, Place::Own));
        if self.verdict == Verdict::NoRoom {
            (self.wait_nanos, self.cell) = (0, 0);
            self.standing.remaining = 0;
            self.standing.next_nanos = 0;
        }
    }

    /// Takes a charge back that another policy has made void.
    fn undo(&self, now: u64) {
        let (quota, cost, after) = (self.quota, self.cost, Some(self.cell));
        self.table.revisit(self.tag, self.place, now, |meter, cell| {
            meter.for_quota(quota.as_ref()).settle(cell, cost, 0, after, now)
        });
    }
}

/// Charges all policies or none. `false` when one of them refuses.
pub(super) fn charge_all(charges: &mut [Charge<'_>], now: u64) -> bool {
    if let [only] = charges {
        only.ask(now, true);
        return only.is_admitted();
    }
    for charge in &mut *charges {
        charge.ask(now, false);
    }
    if !charges.iter().all(Charge::is_admitted) {
        // Nobody is charged, but those who shut a key out do so.
        let blocking = |charge: &&mut Charge<'_>| !charge.is_admitted() && charge.terms.block_nanos > 0;
        for charge in charges.iter_mut().filter(blocking) {
            charge.ask(now, true);
            if charge.is_admitted() {
                // Somebody gave something back in between; it is refused all the same, and asked for in vain.
                charge.undo(now);
                charge.verdict = Verdict::Refused { wait_nanos: Some(1) };
            }
        }
        return false;
    }
    for at in 0..charges.len() {
        let Some((charge, before)) = charges.get_mut(..=at).and_then(<[Charge<'_>]>::split_last_mut) else { continue };
        charge.ask(now, true);
        if !charge.is_admitted() {
            // Somebody else took the last of it since it was asked.
            before.iter().for_each(|charge| charge.undo(now));
            return false;
        }
    }
    true
}
