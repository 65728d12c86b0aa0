//! What takes waiting: asking the store.

use std::sync::Arc;

use super::super::layer::Core;
use super::super::limiter::Outcome;
use super::pending::Pending;
use super::store::Settlement;
use crate::spine::event::StoreEvent;
use crate::wiring;

/// How often a request waits for somebody else's answer before it asks for itself.
const MAX_WAITS: usize = 4;

/// Asks the store for what a request needs.
pub(in super::super) async fn ask(core: Arc<Core>, mut pending: Box<Pending>) -> Outcome {
    let Some(shared) = &core.shared else { return Outcome::Uncounted };
    let mut waits = 0;
    while let Some(wait) = pending.wait.take() {
        if waits == MAX_WAITS {
            pending.ask_alone(shared);
            break;
        }
        waits += 1;
        wait.await;
        pending.take_leases(shared, core.now());
    }
    if pending.is_complete() {
        return pending.complete(shared, &[]);
    }
    let asks = pending.asks(shared);
    shared.note(StoreEvent::Asked);
    match shared.store.take(&asks).await {
        Ok(answers) if answers.len() == asks.len() => {
            shared.works();
            pending.complete(shared, &answers)
        }
        _ => {
            shared.failed();
            pending.without_store(shared)
        }
    }
}

/// Tells the store what became of a charge. What it does not hear stays charged.
pub(super) fn settle(core: &Arc<Core>, settlement: Settlement) {
    let core = Arc::clone(core);
    wiring::detach(async move {
        let Some(shared) = &core.shared else { return };
        if shared.store.settle(&settlement).await.is_err() {
            shared.note(StoreEvent::Failed);
        }
    });
}
