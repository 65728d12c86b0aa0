//! The worker that brings new polls to the external service.
//!
//! A poll and its letter are stored together, so nothing is lost; the poll's id is the Idempotency-Key, so a letter that
//! is sent twice is harmless. While the service is down letters wait, each longer than the time before, and nobody waits
//! for them. While its circuit is open none is sent, and none waits longer for that.

use std::sync::Arc;
use std::time::Duration;

use metrics::counter;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::app::{App, drained};
use crate::clock::now_ms;
use crate::db::Letter;
use crate::upstream::{Sent, Upstream};

/// Letters that are on the way at once.
const AT_A_TIME: i64 = 8;
/// So often the worker looks by itself; a new letter wakes it at once.
const LOOK: Duration = Duration::from_secs(1);
const FIRST_WAIT_MS: i64 = 1_000;
const LONGEST_WAIT_MS: i64 = 60_000;

/// Sends what is due until the service drains; what is on its way then is sent again at the next start.
pub async fn work(app: Arc<App>) {
    let mut draining = app.draining();
    loop {
        let sent = tokio::select! {
            () = drained(&mut draining) => return,
            sent = round(&app) => sent,
        };
        // More may be due when all of a full round went out.
        if sent == Some(true) {
            continue;
        }
        tokio::select! {
            () = drained(&mut draining) => return,
            () = app.polls.posted() => {}
            () = sleep(LOOK) => {}
        }
    }
}

/// Sends some letters; whether it is worth while to go on at once.
async fn round(app: &App) -> Option<bool> {
    let stack = app.stack()?;
    let upstream = stack.upstream()?;
    if upstream.is_shut_for().is_some() {
        return None;
    }
    let letters = match app.db.due_letters(AT_A_TIME).await {
        Ok(letters) => letters,
        Err(error) => {
            warn!(%error, "the outbox cannot be read");
            return None;
        }
    };
    let is_full = i64::try_from(letters.len()).is_ok_and(|count| count == AT_A_TIME);
    let sent = futures_util::future::join_all(letters.iter().map(|letter| deliver(app, upstream, letter))).await;
    Some(is_full && sent.iter().all(|delivered| *delivered))
}

async fn deliver(app: &App, upstream: &Upstream, letter: &Letter) -> bool {
    let sent = upstream.send(letter).await;
    let settled = match sent {
        Sent::Delivered => {
            counter!("poll_api_outbox_delivered_total").increment(1);
            info!(poll = letter.poll_id, attempts = letter.attempts + 1, "poll forwarded");
            app.db.letter_delivered(&letter.poll_id).await
        }
        Sent::Refused(status) => {
            counter!("poll_api_outbox_refused_total").increment(1);
            warn!(poll = letter.poll_id, %status, "the external service refuses a poll");
            app.db.letter_refused(&letter.poll_id).await
        }
        Sent::Later => {
            counter!("poll_api_outbox_failed_total").increment(1);
            app.db.letter_failed(&letter.poll_id, now_ms() + wait_ms(letter.attempts)).await
        }
        Sent::Unasked(wait) => {
            let wait_ms = i64::try_from(wait.as_millis()).unwrap_or(LONGEST_WAIT_MS).min(LONGEST_WAIT_MS);
            app.db.letter_postponed(&letter.poll_id, now_ms() + wait_ms).await
        }
    };
    if let Err(error) = &settled {
        // It is sent again, which is harmless, but not at once.
        warn!(%error, poll = letter.poll_id, "what became of a letter cannot be noted");
    }
    sent == Sent::Delivered && settled.is_ok()
}

/// Twice as long each time.
fn wait_ms(attempts: i64) -> i64 {
    let doublings = u32::try_from(attempts.clamp(0, 16)).unwrap_or_default();
    FIRST_WAIT_MS.saturating_mul(1 << doublings).min(LONGEST_WAIT_MS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_end() {
        assert_eq!([0, 1, 5, 6, 1000].map(wait_ms), [1_000, 2_000, 32_000, 60_000, 60_000]);
    }
}
