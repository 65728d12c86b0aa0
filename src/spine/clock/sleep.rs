//! Waiting, by the clock's time.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::{Clock, Manual, Source};
use crate::wiring;

/// Waits until a clock has gone on by so much.
pub(crate) struct Sleep(Kind);

enum Kind {
    Timer(wiring::Timer),
    Manual { clock: Arc<Manual>, until_nanos: u64, id: u64 },
}

impl Clock {
    /// A wait; `None` when there is no runtime whose timer could end it.
    pub(crate) fn sleep(&self, wait: Duration) -> Option<Sleep> {
        Some(Sleep(match &self.0 {
            Source::System => Kind::Timer(wiring::timer(wait)?),
            Source::Manual(clock) => {
                let until = clock.passed().saturating_add(wait);
                let until_nanos = u64::try_from(until.as_nanos()).unwrap_or(u64::MAX);
                let id = clock.sleeps.fetch_add(1, Ordering::Relaxed);
                Kind::Manual { clock: Arc::clone(clock), until_nanos, id }
            }
        }))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.0 {
            Kind::Timer(timer) => Pin::new(timer).poll(cx),
            Kind::Manual { clock, until_nanos, id } => {
                // Wakers are cloned and dropped outside the lock: either may run anything.
                let waker = cx.waker().clone();
                let before = clock.sleepers().insert(*id, (*until_nanos, waker));
                drop(before);
                // Looked at after the waker stands in the list: a hand that moves in between finds it.
                if clock.passed() >= Duration::from_nanos(*until_nanos) { Poll::Ready(()) } else { Poll::Pending }
            }
        }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Kind::Manual { clock, id, .. } = &self.0 {
            let sleeper = clock.sleepers().remove(id);
            drop(sleeper);
        }
    }
}

impl std::fmt::Debug for Sleep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sleep").finish_non_exhaustive()
    }
}
