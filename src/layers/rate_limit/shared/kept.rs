//! A charge while its store is asked.

use super::super::agreement::{Charge, Terms};
use super::super::meter::{Meter, Standing, Verdict};
use super::super::place::{Place, Tag};
use super::super::quota::Quota;
use super::super::rule::{Rule, nanos};
use super::known::cell_of;
use super::store::{Answer, StoreVerdict};

/// A charge without its table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub(super) index: usize,
    pub(super) terms: Terms,
    pub(super) tag: Tag,
    pub(super) cost: u32,
    pub(super) quota: Option<Quota>,
    pub(super) verdict: Verdict,
    pub(super) wait_nanos: u64,
    pub(super) cell: u64,
    pub(super) place: Place,
    pub(super) standing: Standing,
}

impl Kept {
    pub(super) fn of(charge: &Charge<'_>) -> Self {
        let Charge { index, terms, tag, cost, quota, verdict, wait_nanos, cell, place, standing, .. } = *charge;
        Self { index, terms, tag, cost, quota, verdict, wait_nanos, cell, place, standing }
    }

    pub(super) fn charge<'a>(&self, rules: &'a [Rule]) -> Option<Charge<'a>> {
        let Self { index, terms, tag, cost, quota, verdict, wait_nanos, cell, place, standing } = *self;
        let table = &*rules.get(index)?.table;
        Some(Charge { index, table, terms, tag, cost, quota, verdict, wait_nanos, cell, place, standing })
    }

    /// Takes an answer over.
    pub(super) fn hear(&mut self, meter: &Meter, answer: &Answer, started: u64) {
        self.cell = cell_of(meter, answer, started);
        self.standing = Standing {
            limit: meter.limit(),
            remaining: answer.remaining,
            next_nanos: nanos(answer.more_in),
            full_nanos: nanos(answer.full_in),
        };
        (self.verdict, self.wait_nanos) = match answer.verdict {
            StoreVerdict::Admitted { wait } => (Verdict::Admitted, nanos(wait)),
            StoreVerdict::Refused { wait } => (Verdict::Refused { wait_nanos: Some(nanos(wait)) }, 0),
            StoreVerdict::Blocked { wait } => (Verdict::Blocked { wait_nanos: nanos(wait) }, 0),
        };
    }
}
