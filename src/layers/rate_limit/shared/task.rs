//! What takes waiting: asking the store.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::super::layer::Core;
use super::super::limiter::Outcome;
use super::pending::Pending;
use super::store::Settlement;
use crate::spine::clock::Sleep;
use crate::spine::event::StoreEvent;
use crate::spine::signal::Wait;
use crate::wiring;

/// How often a request waits for somebody else's answer before it asks for itself.
const MAX_WAITS: usize = 4;

/// How long it waits for one. Who asks may be a request that nobody goes on with, though its client is still there.
const LONGEST_WAIT: Duration = Duration::from_millis(500);

/// Waits for somebody else's answer, as long as that may take; `false` when it does not come.
async fn is_given(mut wait: Wait, mut longest: Option<Sleep>) -> bool {
    poll_fn(|cx| {
        if Pin::new(&mut wait).poll(cx).is_ready() {
            return Poll::Ready(true);
        }
        match &mut longest {
            Some(longest) => Pin::new(longest).poll(cx).map(|()| false),
            None => Poll::Pending,
        }
    })
    .await
}

/// Asks the store for what a request needs.
pub(in super::super) async fn ask(core: Arc<Core>, mut pending: Box<Pending>) -> Outcome {
    let Some(shared) = &core.shared else { return Outcome::Uncounted };
    let mut waits = 0;
    while let Some((at, wait)) = pending.wait.take() {
        if waits == MAX_WAITS {
            pending.give_back(shared);
            break;
        }
        waits += 1;
        if !is_given(wait, core.clock.sleep(LONGEST_WAIT)).await {
            pending.take_over(shared, at);
        }
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
        failed => {
            shared.failed(failed.err().map_or("it gave another number of answers", |error| error.reason()));
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
