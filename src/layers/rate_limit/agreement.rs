//! Several policies, one answer: all are asked, then all are charged.

use super::meter::{Decision, Meter, Verdict};
use super::table::{Full, Place, Table, Tag};

/// What one policy is to be charged with.
#[derive(Debug)]
pub(super) struct Charge<'a> {
    /// Which policy of the limiter.
    pub(super) index: usize,
    pub(super) table: &'a Table,
    pub(super) tag: Tag,
    pub(super) cost: u32,
    /// The meter of this request's own quota.
    pub(super) meter: Option<Meter>,
    /// How long a request may be made to wait, instead of being refused.
    pub(super) max_wait_nanos: u64,
    /// How long a key is shut out that has used up its quota; 0 is not at all.
    pub(super) block_nanos: u64,
    pub(super) verdict: Verdict,
    /// How long an admitted request waits.
    pub(super) wait_nanos: u64,
    /// The key's cell after the answer.
    pub(super) cell: u64,
    pub(super) place: Place,
    /// The meter that answered.
    pub(super) by: Meter,
}

impl<'a> Charge<'a> {
    /// A charge that was not asked for yet.
    pub(super) const fn new(index: usize, table: &'a Table, tag: Tag, cost: u32) -> Self {
        Self {
            index,
            table,
            tag,
            cost,
            meter: None,
            max_wait_nanos: 0,
            block_nanos: 0,
            verdict: Verdict::Admitted,
            wait_nanos: 0,
            cell: 0,
            place: Place::Own,
            by: Meter::Concurrent { limit: 0 },
        }
    }

    const fn is_refused(&self) -> bool {
        !matches!(self.verdict, Verdict::Admitted)
    }

    /// Asks, and with `commit` charges what is admitted and blocks who is refused.
    pub(super) fn ask(&mut self, now: u64, commit: bool) {
        let Self { meter, cost, max_wait_nanos, block_nanos, .. } = *self;
        let answer = self.table.access(self.tag, now, |table_meter, cell| {
            let by = meter.unwrap_or(*table_meter);
            let (mut decision, wait_nanos) = decide(&by, cell, cost, now, max_wait_nanos);
            if block_nanos > 0 && matches!(decision.verdict, Verdict::Refused { .. }) {
                decision = blocked(&by, cell, block_nanos, now);
            }
            let next = if commit { decision.next } else { cell };
            (next, (decision.verdict, wait_nanos, next, by))
        });
        match answer {
            Ok(((verdict, wait_nanos, cell, by), place)) => {
                (self.verdict, self.wait_nanos, self.cell, self.by, self.place) =
                    (verdict, wait_nanos, cell, by, place);
            }
            Err(Full) => {
                (self.verdict, self.wait_nanos, self.cell, self.by) = (Verdict::NoRoom, 0, 0, self.table.meter());
            }
        }
    }

    /// Takes a charge back that another policy has made void.
    fn undo(&self, now: u64) {
        let (own, cost, after) = (self.meter, self.cost, self.cell);
        self.table.revisit(self.tag, self.place, now, |meter, cell| {
            own.as_ref().unwrap_or(meter).settle(cell, cost, 0, after, now)
        });
    }
}

fn decide(meter: &Meter, cell: u64, cost: u32, now: u64, max_wait_nanos: u64) -> (Decision, u64) {
    let decision = meter.decide(cell, cost, now);
    match decision.verdict {
        Verdict::Refused { wait_nanos: Some(wait_nanos) } if wait_nanos <= max_wait_nanos => {
            (meter.decide(cell, cost, now.saturating_add(wait_nanos)), wait_nanos)
        }
        _ => (decision, 0),
    }
}

fn blocked(meter: &Meter, cell: u64, block_nanos: u64, now: u64) -> Decision {
    let next = meter.block(cell, block_nanos, now);
    Decision { next, verdict: Verdict::Blocked { wait_nanos: block_nanos } }
}

/// Charges all policies or none. `false` when one of them refuses.
pub(super) fn charge_all(charges: &mut [Charge<'_>], now: u64) -> bool {
    if let [only] = charges {
        only.ask(now, true);
        return !only.is_refused();
    }
    for charge in &mut *charges {
        charge.ask(now, false);
    }
    if charges.iter().any(Charge::is_refused) {
        // Nobody is charged, but those who shut a key out do so.
        charges
            .iter_mut()
            .filter(|charge| charge.is_refused() && charge.block_nanos > 0)
            .for_each(|charge| charge.ask(now, true));
        return false;
    }
    for at in 0..charges.len() {
        let Some((charge, before)) = charges.get_mut(..=at).and_then(<[Charge<'_>]>::split_last_mut) else { continue };
        charge.ask(now, true);
        if charge.is_refused() {
            // Somebody else took the last of it since it was asked.
            before.iter().for_each(|charge| charge.undo(now));
            return false;
        }
    }
    true
}
