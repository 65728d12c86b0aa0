//! What goes on beside requests: telling the store what was purged here, and hearing what was purged elsewhere.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use super::super::core::Core;
use super::super::purge::{Aim, Purge};
use super::super::store::{Listener, News};
use super::news::Effect;
use super::{Tier, within};
use crate::wiring;

/// The first pause after a failure, and the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Pauses that grow.
struct Pause(Duration);

impl Pause {
    const fn new() -> Self {
        Self(FIRST_PAUSE)
    }

    /// Lets time pass; `false` where there is no timer.
    async fn pass(&mut self, core: Arc<Core>) -> bool {
        let Some(sleep) = core.clock.sleep(self.0) else { return false };
        self.0 = LONGEST_PAUSE.min(self.0 * 2);
        // Nothing is held while nothing is done.
        drop(core);
        sleep.await;
        true
    }
}

/// Has the store told of what is owed to it, by one task at a time.
pub(super) fn deliver(core: &Arc<Core>) {
    let Some(tier) = &core.tier else { return };
    if tier.owed.is_empty() || !wiring::can_spawn() {
        return;
    }
    if let Some(running) = Running::begin(core, tier) {
        wiring::detach(deliver_all(running));
    }
}

/// The one that runs. A runtime that ends drops it, and another may begin.
struct Running {
    core: Weak<Core>,
    is_done: bool,
}

impl Running {
    fn begin(core: &Arc<Core>, tier: &Tier) -> Option<Self> {
        (!tier.is_delivering.swap(true, Ordering::AcqRel)).then(|| Self { core: Arc::downgrade(core), is_done: false })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let Some(core) = self.core.upgrade() else { return };
        if let Some(tier) = &core.tier {
            tier.is_delivering.store(false, Ordering::Release);
        }
        if self.is_done {
            // What came between the last look and this.
            deliver(&core);
        }
    }
}

async fn deliver_all(mut running: Running) {
    let mut pause = Pause::new();
    while let Some(core) = running.core.upgrade() {
        let Some(tier) = &core.tier else { return };
        let Some((purges, last)) = tier.owed.due() else {
            running.is_done = true;
            return;
        };
        match within(&core, tier.store.purge(&purges, tier.name)).await {
            Some(moment) => {
                tier.hearing.answered(moment);
                tier.owed.told(last);
                pause = Pause::new();
            }
            None => {
                if !pause.pass(core).await {
                    return;
                }
            }
        }
    }
}

/// Listens, unless somebody does.
pub(super) fn listen(core: &Arc<Core>) {
    let Some(tier) = &core.tier else { return };
    let mut ear = tier.ear.lock().unwrap_or_else(PoisonError::into_inner);
    if ear.as_ref().is_some_and(|task| !task.is_finished()) || !wiring::can_spawn() {
        return;
    }
    if let Some(listener) = tier.store.listen() {
        *ear = wiring::spawn(hear(Arc::downgrade(core), listener));
    }
}

async fn hear(core: Weak<Core>, mut listener: Box<dyn Listener>) {
    let mut pause = Pause::new();
    let is_deaf = AtomicBool::new(false);
    loop {
        let news = listener.next().await;
        let Some(core) = core.upgrade() else { return };
        match news {
            Ok(news) => {
                pause = Pause::new();
                is_deaf.store(false, Ordering::Relaxed);
                heed(&core, news);
                // The store is there.
                deliver(&core);
            }
            Err(_) => {
                crate::spine::event::store_is_unheard(&is_deaf);
                if !pause.pass(core).await {
                    return;
                }
            }
        }
    }
}

fn heed(core: &Core, news: News) {
    let Some(tier) = &core.tier else { return };
    match tier.hearing.news(news, tier.name) {
        Effect::Nothing => {}
        Effect::Purge(purges) => {
            for purge in purges {
                match (purge.mark, purge.how) {
                    (Some(mark), Purge::Hard) => core.purges.note_far(mark),
                    (Some(mark), Purge::Soft) => core.purges.note(Aim::Mark(mark), Purge::Soft),
                    (None, Purge::Hard) => drop_all(core),
                    (None, Purge::Soft) => core.purges.note(Aim::All, Purge::Soft),
                }
            }
        }
        Effect::DropAll => drop_all(core),
    }
}

fn drop_all(core: &Core) {
    core.purges.note(Aim::All, Purge::Hard);
    core.memory.clear();
}
