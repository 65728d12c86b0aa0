//! Results as they change, for everybody who watches.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::Sleep;

use super::Polls;
use crate::clock::now_ms;
use crate::db::Results;

/// What a look has found.
#[derive(Debug)]
pub enum Refreshed {
    /// Nothing new, or nobody could say.
    Same,
    Changed(Results),
    /// The poll is gone.
    Gone,
}

/// Polls that somebody watches. One that nobody does has no entry.
#[derive(Debug, Default)]
pub struct Live {
    polls: Mutex<HashMap<String, Sender<Change>>>,
}

#[derive(Debug, Clone)]
pub enum Change {
    Results(Results),
    /// The poll is gone.
    Ended,
}

/// Changes that a slow reader may be behind; after that it is told how things stand, and not how they came to.
const BACKLOG: usize = 256;

impl Live {
    pub fn subscribe(&self, id: &str) -> Receiver<Change> {
        let mut polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        // Those whose watchers have left since.
        polls.retain(|_, changes| changes.receiver_count() > 0);
        polls.entry(id.to_owned()).or_insert_with(|| broadcast::channel(BACKLOG).0).subscribe()
    }

    /// The polls that somebody watches.
    pub fn watched(&self) -> Vec<String> {
        let polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        polls.iter().filter(|(_, changes)| changes.receiver_count() > 0).map(|(id, _)| id.clone()).collect()
    }

    pub fn is_watched(&self, id: &str) -> bool {
        let polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        polls.get(id).is_some_and(|changes| changes.receiver_count() > 0)
    }

    pub fn publish(&self, results: Results) {
        let polls = self.polls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(changes) = polls.get(&results.poll_id) {
            // Whoever left does not hear it.
            let _ = changes.send(Change::Results(results));
        }
    }

    pub fn end(&self, id: &str) {
        if let Some(changes) = self.polls.lock().unwrap_or_else(PoisonError::into_inner).remove(id) {
            let _ = changes.send(Change::Ended);
        }
    }
}

/// One who watches a poll.
#[derive(Debug)]
pub struct Watching {
    polls: Arc<Polls>,
    /// What is to be told first.
    first: Option<Results>,
    /// What was told last.
    told: i64,
    last: Results,
    changes: Receiver<Change>,
    /// When the poll closes by itself.
    closing: Option<Pin<Box<Sleep>>>,
}

/// Timers are set for no longer; a poll that closes later is looked at again when they ring.
const LONGEST_SLEEP_MS: i64 = 24 * 60 * 60 * 1000;

/// A moment after its time a poll is closed when it is looked at.
const MOMENT_MS: i64 = 5;
/// When the database could not say.
const LOOK_AGAIN_MS: i64 = 1000;

impl Watching {
    pub(super) fn new(polls: Arc<Polls>, now: Results, changes: Receiver<Change>) -> Self {
        Self { polls, told: -1, closing: closing(&now, MOMENT_MS), last: now.clone(), first: Some(now), changes }
    }

    /// Leaves out what somebody who comes back has seen already.
    pub fn seen(&mut self, version: i64) {
        if self.first.as_ref().is_some_and(|first| first.version() == version) {
            self.first = None;
            self.told = version;
        }
    }

    /// The next results to be told; none, and the poll is gone. Nothing is lost when it is dropped before it is done.
    pub async fn next(&mut self) -> Option<Results> {
        if let Some(first) = self.first.take() {
            self.told = first.version();
            return Some(first);
        }
        loop {
            let results = tokio::select! {
                change = self.changes.recv() => match change {
                    Ok(Change::Results(results)) => results,
                    Ok(Change::Ended) | Err(RecvError::Closed) => return None,
                    // Too far behind.
                    Err(RecvError::Lagged(_)) => self.look().await?,
                },
                // The timer stays until it was looked: whoever is dropped on the way looks again.
                () = rings(&mut self.closing) => {
                    let results = self.look().await?;
                    self.closing = None;
                    results
                }
            };
            // Changes of one instant may come in any order; the latest counts, and is told once.
            if results.version() > self.told {
                self.told = results.version();
                self.closing = closing(&results, MOMENT_MS);
                self.last = results.clone();
                return Some(results);
            }
            if self.closing.is_none() {
                self.closing = closing(&self.last, LOOK_AGAIN_MS);
            }
        }
    }

    /// How the poll stands; as it stood, when the database cannot say.
    async fn look(&self) -> Option<Results> {
        match self.polls.results(&self.last.poll_id).await {
            Ok(results) => Some(results),
            Err(crate::fault::Fault::NotFound(_)) => None,
            Err(_) => Some(self.last.clone()),
        }
    }

    /// Looks whether something changed that nobody here has heard of: a vote in another process.
    pub async fn refresh(&mut self) -> Refreshed {
        let results = match self.polls.results(&self.last.poll_id).await {
            Ok(results) => results,
            Err(crate::fault::Fault::NotFound(_)) => return Refreshed::Gone,
            Err(_) => return Refreshed::Same,
        };
        if self.first.is_some() || results.version() <= self.told {
            return Refreshed::Same;
        }
        self.told = results.version();
        self.last = results.clone();
        Refreshed::Changed(results)
    }
}

fn closing(results: &Results, least_ms: i64) -> Option<Pin<Box<Sleep>>> {
    let at = results.closes_at_ms.filter(|_| !results.closed)?;
    let wait = at.saturating_sub(now_ms()).saturating_add(MOMENT_MS).clamp(least_ms, LONGEST_SLEEP_MS);
    Some(Box::pin(tokio::time::sleep(Duration::from_millis(u64::try_from(wait).unwrap_or_default()))))
}

async fn rings(timer: &mut Option<Pin<Box<Sleep>>>) {
    match timer {
        Some(timer) => timer.as_mut().await,
        None => std::future::pending().await,
    }
}
