//! Timers of tokio, the one runtime that axum, tonic and hyper's server share.

use std::panic::catch_unwind;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{Sleep, sleep};

/// Ends after a wait.
#[derive(Debug)]
pub(crate) struct Timer(Pin<Box<Sleep>>);

/// Starts a timer; `None` outside of a runtime, and on one that was built without timers, which tokio says with a
/// panic alone.
pub(crate) fn start(wait: Duration) -> Option<Timer> {
    Handle::try_current().ok()?;
    catch_unwind(|| sleep(wait)).ok().map(|sleep| Timer(Box::pin(sleep)))
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(cx)
    }
}
