//! Somebody who watches a poll, by whichever protocol, for as long as there is something to tell.

use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, Interval, interval_at};

use crate::app::drained;
use crate::db::Results;
use crate::polls::{Refreshed, Watching};

/// So often it is looked whether something changed that nobody has told of. Where nothing has, proxies and clients may be
/// told that somebody is still here.
const LOOK: Duration = Duration::from_secs(15);

/// See the module. It ends when the poll is gone, and when the service is told to stop.
pub struct Watcher {
    watching: Watching,
    looks: Interval,
    draining: watch::Receiver<bool>,
    _place: OwnedSemaphorePermit,
}

/// What there is to tell.
pub enum Told {
    Results(Results),
    /// Nothing new.
    StillHere,
}

impl Watcher {
    pub fn new(watching: Watching, draining: watch::Receiver<bool>, place: OwnedSemaphorePermit) -> Self {
        Self { watching, looks: interval_at(Instant::now() + LOOK, LOOK), draining, _place: place }
    }

    /// Leaves out what somebody who comes back has seen already.
    pub fn seen(&mut self, version: i64) {
        self.watching.seen(version);
    }

    pub async fn next(&mut self) -> Option<Told> {
        tokio::select! {
            biased;
            () = drained(&mut self.draining) => None,
            results = self.watching.next() => Some(Told::Results(results?)),
            _ = self.looks.tick() => match self.watching.refresh().await {
                Refreshed::Changed(results) => Some(Told::Results(results)),
                Refreshed::Same => Some(Told::StillHere),
                Refreshed::Gone => None,
            },
        }
    }
}
