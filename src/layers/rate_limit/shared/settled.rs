//! Charges in the store of which something may still become.

use std::sync::Arc;

use super::super::layer::Core;
use super::super::limiter::Hold;
use super::super::meter::Standing;
use super::store::Settlement;

/// A charge in the store.
#[derive(Debug)]
pub(in super::super) struct RemoteHold {
    pub(in super::super) hold: Hold,
    pub(super) settlement: Settlement,
}

impl RemoteHold {
    /// Replaces what it took by what it cost, behind everybody's back, and says where the key stands then.
    pub(in super::super) fn settle(&self, core: &Arc<Core>, cost: u32, only_if_last: bool) -> Standing {
        let now = core.now();
        let mut settlement = self.settlement.clone();
        settlement.cost = cost;
        settlement.only_if_last = only_if_last;
        let meter = super::super::meter::Meter::new(&settlement.quota);
        let hold = &self.hold;
        let cell = meter.settle(hold.after, hold.cost, cost, Some(hold.after), now);
        super::task::settle(core, settlement);
        meter.standing(cell, now)
    }
}
